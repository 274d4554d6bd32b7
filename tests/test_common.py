# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's own checks on every numeric estimator, and what ours promise in addition."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_regressor
from sklearn.datasets import make_classification
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_neurox.ablation import ConceptEraser
from sklearn_neurox.datasets import make_tagged_words
from tests.instances import expected_failures, numeric_estimators

# The checks that `parametrize_with_checks` leaves out.
_TRANSFORMER_CHECKS = [
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_global_output_transform_pandas,
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
    checks.check_get_feature_names_out_error,
]
_CHECKS = [checks.check_param_validation, checks.check_dataframe_column_names_consistency]

# The checks split without groups, give nearly all samples zero weight, and have few columns; our
# estimators promise to warn about all of these.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* was given no groups:UserWarning"),
    pytest.mark.filterwarnings("ignore:All coefficients are zero:UserWarning"),
    pytest.mark.filterwarnings("ignore:ConceptEraser removes all:UserWarning"),
]


def _every(*, such_that=lambda estimator: True):
    chosen = [estimator for estimator in numeric_estimators() if such_that(estimator)]
    return pytest.mark.parametrize("estimator", chosen, ids=repr)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    numeric_estimators(), expected_failed_checks=expected_failures, xfail_strict=True
)
def test_estimator(estimator, check):
    check(estimator)


@_every()
@pytest.mark.parametrize("check", _CHECKS, ids=lambda check: check.__name__)
def test_check_left_out(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")
@pytest.mark.parametrize("check", _TRANSFORMER_CHECKS, ids=lambda check: check.__name__)
@_every(such_that=lambda estimator: hasattr(estimator, "transform"))
def test_transformer_check_left_out(estimator, check):
    check(type(estimator).__name__, clone(estimator))


def _data(dtype=np.float64):
    X, y = make_classification(120, 12, n_informative=6, n_classes=3, random_state=0)
    return X.astype(dtype), np.array(["a", "b", "c"])[y]


def _outcome(estimator, X, y):
    estimator = clone(estimator)
    if is_regressor(estimator):
        y = np.unique(y, return_inverse=True)[1].astype(float)
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    estimator.fit(X, y)
    return estimator.transform(X) if hasattr(estimator, "transform") else estimator.predict(X)


@_every()
@pytest.mark.parametrize(
    ("dtype", "order"),
    [
        (np.float16, "F"),
        (np.float32, "C"),
        (np.float64, "F"),
        pytest.param(np.float16, "C", marks=pytest.mark.slow),
        pytest.param(np.float32, "F", marks=pytest.mark.slow),
        pytest.param(np.float64, "C", marks=pytest.mark.slow),
    ],
)
def test_input_kinds_agree_and_are_not_changed(estimator, dtype, order, tmp_path):
    X, y = _data(dtype)
    X = np.asarray(X, order=order)
    before = X.copy()
    expected = _outcome(estimator, X, y)
    assert np.array_equal(X, before)
    read_only = X.copy(order=order)
    read_only.flags.writeable = False
    mapped = np.memmap(tmp_path / "X", dtype=dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    for same in (read_only, mapped, X.tolist() if dtype == np.float64 else read_only):
        outcome = _outcome(estimator, same, y)
        if outcome.dtype.kind == "f":
            # Sums over rows may round differently in another memory layout, and a prediction
            # or an erased row sums many terms, which has a larger error than each term.
            is_sum = is_regressor(estimator) or isinstance(estimator, ConceptEraser)
            eps = np.finfo(dtype).eps * (100 if is_sum else 1)
            atol = eps if is_sum else 0
            np.testing.assert_allclose(outcome, expected, rtol=4 * eps, atol=atol)
        else:
            np.testing.assert_array_equal(outcome, expected)


@_every()
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_errors_name_values_that_are_not_finite(estimator, value):
    X, y = _data()
    X[7, 3] = value
    frame = pd.DataFrame(X, columns=[f"hidden.0.{i}" for i in range(X.shape[1])])
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity).*'hidden\.0\.3', row 7"):
        clone(estimator).fit(frame, y)


@_every(such_that=lambda estimator: estimator.__sklearn_tags__().target_tags.required)
def test_missing_labels_are_counted(estimator):
    X, y = _data()
    labels = pd.Series(y, dtype=object, name="upos")
    labels[[4, 9]] = None
    with pytest.raises(ValueError, match=r"2 of 120 labels.*row 4.*dropna\(subset=\['upos'\]\)"):
        clone(estimator).fit(X, labels)


@_every(such_that=lambda estimator: not is_regressor(estimator))
def test_rankings_and_labels_do_not_depend_on_class_names(estimator):
    X, y = _data()
    renamed = np.where(y == "a", "z", y)
    ours, theirs = _outcome(estimator, X, y), _outcome(estimator, X, renamed)
    if theirs.dtype.kind == "U":
        theirs = np.where(theirs == "z", "a", theirs)
        assert np.mean(ours == theirs) > 0.97
    elif isinstance(estimator, ConceptEraser):
        np.testing.assert_allclose(ours, theirs, atol=1e-3 if estimator.method == "inlp" else 1e-12)
    else:
        np.testing.assert_array_equal(ours, theirs)


@_every()
def test_a_frame_of_words_is_not_taken_for_a_matrix(estimator):
    words = make_tagged_words(3, random_state=0)
    with pytest.raises(ValueError, match="takes a matrix of activations, but got a frame of words"):
        clone(estimator).fit(words, words["upos"])
