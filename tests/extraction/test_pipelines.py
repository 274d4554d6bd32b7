# SPDX-License-Identifier: BSD-3-Clause
"""Pipelines, output containers and meta-estimators of scikit-learn around the two steps."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.extraction import ActivationExtractor, Activations, SubwordAggregator

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

POSITIONS = ["text", "start", "end"]


def classifier():
    return LogisticRegression(C=0.1, max_iter=500)


@pytest.mark.slow
def test_stored_activations_enter_a_pipeline(activations, features, words):
    y, groups = words["tag"], words["text"]
    late = make_pipeline(SubwordAggregator("mean"), StandardScaler(), classifier())
    whole = make_pipeline(features, StandardScaler(), classifier())
    cv = GroupKFold(3)
    plain = cross_validate(whole, words, y, groups=groups, cv=cv, error_score="raise")
    stored = cross_validate(late, activations, y, groups=groups, cv=cv, error_score="raise")
    np.testing.assert_array_equal(stored["test_score"], plain["test_score"])
    predictions = cross_val_predict(late, activations, y, groups=groups, cv=cv)
    np.testing.assert_array_equal(
        predictions, cross_val_predict(whole, words, y, groups=groups, cv=cv)
    )


def test_arrays_computed_elsewhere_enter_a_pipeline():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((1 + i % 3, 4)) + (i % 2) for i in range(40)]
    stored = Activations.from_arrays(arrays)
    expected = {
        "first": [a[0] for a in arrays],
        "last": [a[-1] for a in arrays],
        "mean": [a.mean(axis=0) for a in arrays],
        "max": [a.max(axis=0) for a in arrays],
    }
    for strategy, rows in expected.items():
        H = SubwordAggregator(strategy).fit_transform(stored)
        np.testing.assert_allclose(H, rows, rtol=1e-6)
        np.testing.assert_array_equal(
            SubwordAggregator(strategy).fit_transform(stored[5:9]), H[5:9]
        )
    pipeline = make_pipeline(SubwordAggregator("mean"), LogisticRegression())
    assert cross_validate(pipeline, stored, np.arange(40) % 2)["test_score"].mean() > 0.6
    names = SubwordAggregator().fit(stored).get_feature_names_out()
    assert names.tolist() == ["x0", "x1", "x2", "x3"]


def test_rows_without_subwords_may_be_stored():
    stored = Activations.from_arrays([np.ones((2, 3)), np.empty((0, 3)), np.full((1, 3), 2.0)])
    for strategy in ("first", "last", "mean", "max"):
        H = SubwordAggregator(strategy).fit_transform(stored)
        np.testing.assert_array_equal(H, [[1] * 3, [0] * 3, [2] * 3])


def test_clone_and_transform_unfitted(extractor, words):
    activations = clone(extractor).transform(words)
    aggregator = SubwordAggregator("mean").fit(activations)
    assert not hasattr(clone(aggregator), "feature_names_")
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        clone(aggregator).transform(activations)


def test_aggregator_refuses_other_neurons(tiny, words):
    aggregator = SubwordAggregator().fit(
        ActivationExtractor(tiny("bert"), layers=1).transform(words)
    )
    with pytest.raises(ValueError, match="fitted on 16 neurons .*'hidden.1.0'.* X has 32"):
        aggregator.transform(ActivationExtractor(tiny("bert"), layers=[0, 1]).transform(words))
    with pytest.raises(ValueError, match="hidden.2.15"):
        aggregator.transform(ActivationExtractor(tiny("bert"), layers=2).transform(words))


def test_feature_names_match_the_columns(features, words):
    with config_context(transform_output="default"):
        H = features.fit_transform(words)
    names = features.get_feature_names_out()
    assert names.dtype == object and len(set(names)) == H.shape[1]
    frame = clone(features).set_output(transform="pandas").fit_transform(words)
    assert list(frame.columns) == list(names)
    np.testing.assert_array_equal(frame.to_numpy(), H)
    np.testing.assert_array_equal(features[0].get_feature_names_out(), names)


# Output


@pytest.mark.parametrize("how", ["set_output", "global", "step"])
def test_pandas_output_carries_the_index(how, features, words):
    H = features.fit_transform(words)
    words.index = [f"row {i}" for i in range(len(words))][::-1]
    pipeline = clone(features)
    if how == "global":
        with config_context(transform_output="pandas"):
            frame = pipeline.fit_transform(words)
            again = pipeline.transform(words.iloc[:5])
    else:
        (pipeline if how == "set_output" else pipeline[-1]).set_output(transform="pandas")
        frame, again = pipeline.fit_transform(words), pipeline.transform(words.iloc[:5])
    pd.testing.assert_index_equal(frame.index, words.index)
    pd.testing.assert_index_equal(again.index, words.index[:5])
    np.testing.assert_array_equal(frame.to_numpy(), H)
    assert frame.columns[17] == "hidden.1.1"


def test_pandas_output_through_a_selector_and_a_classifier(features, words):
    from sklearn.feature_selection import SelectKBest

    pipeline = make_pipeline(*features, StandardScaler(), SelectKBest(k=5), classifier())
    pipeline.set_output(transform="pandas").fit(words, words["tag"])
    assert len(pipeline[-1].feature_names_in_) == 5
    assert pipeline[-1].feature_names_in_[0].startswith("hidden.")


def test_pandas_output_of_lists_and_of_stored_arrays(features, extractor):
    frame = features.set_output(transform="pandas").fit_transform(["Dogs bark", "A dog"])
    pd.testing.assert_index_equal(frame.index, pd.RangeIndex(2))
    stored = Activations.from_arrays([np.ones((1, 2)), np.ones((2, 2))], index=["a", "b"])
    frame = SubwordAggregator().set_output(transform="pandas").fit_transform(stored[::-1])
    assert frame.index.tolist() == ["b", "a"]
    assert isinstance(extractor.set_output(transform="pandas").transform(["Dogs"]), Activations)


def test_set_output_survives_clone_and_pickle(features, words):
    pipeline = features.set_output(transform="pandas")
    assert isinstance(clone(pipeline).fit_transform(words), pd.DataFrame)
    assert isinstance(pickle.loads(pickle.dumps(pipeline)).fit_transform(words), pd.DataFrame)
    assert isinstance(pipeline.set_output(transform="default").fit_transform(words), np.ndarray)
    assert isinstance(pipeline.set_output(transform=None).fit_transform(words), np.ndarray)


# Meta-estimators


def test_column_transformer(features, words):
    H = features.fit_transform(words)
    columns = ColumnTransformer([("neurons", clone(features), POSITIONS)])
    np.testing.assert_array_equal(columns.fit_transform(words), H)
    np.testing.assert_array_equal(columns.transform(words.iloc[::-1]), H[::-1])
    assert columns.get_feature_names_out()[0] == "neurons__hidden.0.0"


def test_column_transformer_with_numbers_and_pandas_output(features, words):
    words.index = words.index + 100
    columns = ColumnTransformer(
        [("neurons", features, POSITIONS), ("place", "passthrough", ["position"])]
    ).set_output(transform="pandas")
    frame = columns.fit_transform(words)
    pd.testing.assert_index_equal(frame.index, words.index)
    np.testing.assert_array_equal(frame["place__position"], words["position"])


@pytest.mark.slow
def test_feature_union_of_two_models(tiny, words):
    union = FeatureUnion(
        [
            ("bert", make_pipeline(ActivationExtractor(tiny("bert")), SubwordAggregator())),
            ("gpt2", make_pipeline(ActivationExtractor(tiny("gpt2")), SubwordAggregator())),
        ]
    )
    H = union.fit_transform(words)
    names = union.get_feature_names_out()
    assert H.shape == (len(words), 96) == (len(words), len(names))
    assert names[0] == "bert__hidden.0.0" and names[-1] == "gpt2__hidden.2.15"
    alone = ActivationExtractor(tiny("gpt2")).transform(words).pool("last")
    np.testing.assert_array_equal(H[:, 48:], alone)
    frame = union.set_output(transform="pandas").fit_transform(words)
    assert list(frame.columns) == list(names)


@pytest.mark.slow
def test_stacking_of_two_pipelines(tiny, words):
    stack = StackingClassifier(
        [
            (
                name,
                make_pipeline(ActivationExtractor(tiny(name)), SubwordAggregator(), classifier()),
            )
            for name in ("bert", "gpt2")
        ],
        classifier(),
        cv=2,
    )
    stack.fit(words, words["tag"])
    assert set(stack.predict(words.iloc[:5])) <= set(words["tag"])


@pytest.mark.parametrize("columns", [slice(None), POSITIONS])
def test_an_array_of_rows_is_refused_with_a_workaround(columns, features, words):
    X = words.loc[:, columns]
    with pytest.raises(ValueError, match=r"ndarray of rows.*Pass the DataFrame.*bagging"):
        features.fit(X.to_numpy())
    bagging = BaggingClassifier(make_pipeline(features, classifier()), n_estimators=2)
    with pytest.raises(ValueError, match=r"ndarray of rows.*Pass the DataFrame.*bagging"):
        bagging.fit(X, words["tag"])
    behind = BaggingClassifier(classifier(), n_estimators=2, random_state=0)
    pipeline = Pipeline([("features", features), ("bagging", behind)])
    assert pipeline.fit(words, words["tag"]).score(words, words["tag"]) > 0.3
