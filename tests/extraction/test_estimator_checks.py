# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's checks that need no data, and text versions of some that do."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_parameters_default_constructible
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator

ESTIMATORS = [ActivationExtractor, SubwordAggregator]
DATA_FREE = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_set_params",
    "check_valid_tag_types",
]
CHOICES = {"stack": "middle", "weights": "none", "missing": "drop", "overflow": "cut"}


@pytest.mark.parametrize("check", DATA_FREE)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_checks_without_data(estimator, check):
    getattr(estimator_checks, check)(estimator.__name__, estimator())


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_default_constructible(estimator):
    check_parameters_default_constructible(estimator.__name__, estimator())


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_constraints_name_every_parameter(estimator):
    assert set(estimator._parameter_constraints) == set(estimator().get_params())


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize("name", sorted(ActivationExtractor().get_params()))
def test_every_parameter_is_validated(name, method, tiny, words):
    """Like `check_param_validation`: an object of an invalid type, then an invalid string."""
    wrong = type("BadType", (), {})()
    extractor = ActivationExtractor(tiny("bert")).set_params(**{name: wrong})
    message = f"The {name!r} parameter of ActivationExtractor must be"
    with pytest.raises(ValueError, match=message):
        getattr(extractor, method)(words)
    if name in CHOICES:
        with pytest.raises(ValueError, match=message):
            getattr(extractor.set_params(**{name: CHOICES[name]}), method)(words)


def test_the_strategy_is_validated(tiny, words):
    plan = ActivationExtractor(tiny("bert")).transform(words)
    for wrong in (type("BadType", (), {})(), "median", 0):
        with pytest.raises(ValueError, match="The 'strategy' parameter of SubwordAggregator must"):
            SubwordAggregator(wrong).fit(plan)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_signatures_are_scikit_learns(estimator):
    assert list(inspect.signature(estimator.fit).parameters) == ["self", "X", "y"]
    assert list(inspect.signature(estimator.transform).parameters) == ["self", "X"]
    parameters = list(inspect.signature(estimator.__init__).parameters.values())[2:]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters)


# Text versions


def test_the_extractor_needs_no_fit_and_the_aggregator_does(tiny, words):
    plan = ActivationExtractor(tiny("bert")).transform(words)
    check_is_fitted(ActivationExtractor())
    with pytest.raises(NotFittedError):
        SubwordAggregator().transform(plan)
    with pytest.raises(NotFittedError):
        SubwordAggregator().get_feature_names_out()
    with pytest.raises(NotFittedError):
        SubwordAggregator().transform("not activations")


def test_fit_returns_self_and_sets_only_what_has_an_underscore(tiny, words):
    extractor = ActivationExtractor(tiny("bert"))
    before = dict(extractor.__dict__)
    assert extractor.fit(words, words["tag"]) is extractor
    before["_fitted_on_words"] = True
    assert extractor.__dict__ == before
    aggregator = SubwordAggregator()
    plan = extractor.transform(words)
    assert aggregator.fit(plan, words["tag"]) is aggregator
    parameters = {"strategy", "dtype", "memmap", "pair", "sparse_output"}
    assert set(aggregator.__dict__) == {*parameters, "feature_names_", "n_features_out_"}
    assert extractor.__dict__ == before


def test_transform_changes_neither_estimator(tiny, words):
    extractor = ActivationExtractor(tiny("bert"))
    plan = extractor.transform(words)
    aggregator = SubwordAggregator().fit(plan)
    before = pickle.dumps((extractor, aggregator))
    np.testing.assert_array_equal(aggregator.transform(plan), aggregator.transform(plan))
    assert pickle.dumps((extractor, aggregator)) == before


def test_fit_forgets_earlier_fits(tiny, words):
    plans = [ActivationExtractor(tiny("bert"), layers=k).transform(words) for k in (1, [0, 2])]
    aggregator = SubwordAggregator("mean")
    for plan in plans:
        aggregator.fit(plan)
        fresh = clone(aggregator).fit(plan)
        np.testing.assert_array_equal(aggregator.feature_names_, fresh.feature_names_)
        assert aggregator.n_features_out_ == fresh.n_features_out_


def test_fit_transform_is_fit_then_transform(tiny, words):
    extractor = ActivationExtractor(tiny("bert"))
    plan = extractor.fit_transform(words, words["tag"])
    both = SubwordAggregator().fit_transform(plan, words["tag"])
    np.testing.assert_array_equal(both, SubwordAggregator().fit(plan).transform(plan))


def test_tags_are_correct():
    tags = ActivationExtractor().__sklearn_tags__()
    assert tags.input_tags.string and not tags.input_tags.two_d_array
    assert not tags.requires_fit
    assert tags.transformer_tags is not None
    assert not tags.target_tags.required


def test_input_features_are_compared(tiny, words):
    aggregator = SubwordAggregator().fit(ActivationExtractor(tiny("bert")).transform(words))
    names = aggregator.get_feature_names_out()
    np.testing.assert_array_equal(aggregator.get_feature_names_out(names), names)
    with pytest.raises(ValueError, match="input_features is not equal"):
        aggregator.get_feature_names_out(names[:-1])
    names[0] = "changed"
    assert aggregator.feature_names_[0] == "hidden.0.0"  # a copy was given
