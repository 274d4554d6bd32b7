# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_neurox.selection import LayerSelector
from sklearn_neurox.utils._names import neuron_names

GROUPS = np.arange(400) // 2


def _layered(informative=(1, 2), n_layers=4, effect=1.5, seed=0):
    """Return four layers of five neurons, some of which each carry a part of the class."""
    rng = np.random.RandomState(seed)
    y = rng.randint(2, size=400)
    X = rng.randn(400, n_layers * 5)
    for layer in informative:
        X[:, layer * 5] += effect * y
    return pd.DataFrame(X, columns=neuron_names(range(n_layers), 5)), np.array(["a", "b"])[y]


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.0, 0.02, 0.1, 0.3])
def test_the_fewest_layers_are_those_found_by_hand(delta):
    X, y = _layered()
    probe, folds = LogisticRegression(), GroupKFold(5)
    oracle = cross_val_score(probe, X, y, groups=GROUPS, cv=folds)
    by_hand = [
        cross_val_score(probe, X.iloc[:, : 5 * k], y, groups=GROUPS, cv=folds) for k in range(1, 5)
    ]
    k = next(k for k, s in enumerate(by_hand, 1) if s.mean() >= oracle.mean() * (1 - delta))
    selector = LayerSelector("auto", estimator=probe, delta=delta).fit(X, y, groups=GROUPS)
    assert selector.layers_.tolist() == list(range(k))
    np.testing.assert_allclose(selector.oracle_scores_, oracle)
    np.testing.assert_allclose(selector.layer_scores_, by_hand[:k])
    np.testing.assert_array_equal(selector.transform(X), X.iloc[:, : 5 * k])


@pytest.mark.slow
def test_informative_layers_are_reached_and_later_ones_left():
    X, y = _layered(effect=4.0)
    assert LayerSelector("auto").fit(X, y, groups=GROUPS).layers_.tolist() in ([0, 1], [0, 1, 2])
    X, y = _layered(informative=[3], effect=4.0)
    assert LayerSelector("auto").fit(X, y, groups=GROUPS).layers_.tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_any_scorer_negative_ones_and_numbers():
    X, y = _layered(effect=4.0)
    options = {"estimator": LogisticRegression(), "scoring": "neg_log_loss"}
    selector = LayerSelector("auto", delta=0.2, **options).fit(X, y, groups=GROUPS)
    assert selector.layer_scores_[-1].mean() >= 1.2 * selector.oracle_scores_.mean()
    assert selector.layers_.tolist() == [0, 1, 2]
    target = X["hidden.1.2"] + 0.1 * X["hidden.3.0"]
    for estimator in (None, Ridge()):
        selector = LayerSelector("auto", estimator=estimator, delta=0.05)
        assert selector.fit(X, target, groups=GROUPS).layers_.tolist() == [0, 1]


def test_the_search_as_a_table_and_a_held_out_part():
    X, y = _layered(effect=4.0)
    held_out = [(np.arange(300), np.arange(300, 400))]
    selector = LayerSelector("auto", estimator=LogisticRegression(), delta=0.1, cv=held_out)
    frame = selector.fit(X, y).to_frame()
    assert frame["layers"].tolist() == ["0", "0-1", "all"]
    assert frame["n_layers"].tolist() == [1, 2, 4]
    assert frame["selected"].tolist() == [False, True, False]
    assert frame["score"].tolist()[-1] == selector.oracle_scores_.mean()
    selector.set_params(layers=2).fit(X)
    with pytest.raises(ValueError, match="did not search for layers.*layers='auto'"):
        selector.to_frame()


@pytest.mark.slow
def test_threads_change_nothing():
    X, y = _layered()
    one, two = (
        LayerSelector("auto", delta=0.0, n_jobs=n_jobs).fit(X, y, groups=GROUPS)
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.layer_scores_, two.layer_scores_)


def test_without_groups_folds_are_contiguous_and_warned_of():
    X, y = _layered()
    with pytest.warns(UserWarning, match="LayerSelector was given no groups") as record:
        selector = LayerSelector("auto", estimator=LogisticRegression()).fit(X, y)
    assert record[0].filename == __file__
    expected = cross_val_score(LogisticRegression(), X, y, cv=KFold(5))
    np.testing.assert_allclose(selector.oracle_scores_, expected)


@pytest.mark.slow
def test_groups_are_routed_through_a_pipeline():
    X, y = _layered(effect=4.0)
    with sklearn.config_context(enable_metadata_routing=True):
        selector = LayerSelector("auto", estimator=LogisticRegression())
        pipe = make_pipeline(selector.set_fit_request(groups=True), LogisticRegression())
        scores = cross_val_score(pipe, X, y, cv=GroupKFold(3), params={"groups": GROUPS})
    assert scores.mean() > 0.9


def test_weights_of_rows_are_repetitions():
    X, y = _layered()
    weight = np.random.RandomState(0).randint(3, size=400)
    rows = np.repeat(np.arange(400), weight)
    probe = LogisticRegression(solver="newton-cholesky", tol=1e-9)
    split = np.arange(400) < 300
    fitted = [
        LayerSelector(
            "auto",
            estimator=probe,
            scoring="neg_log_loss",
            cv=[(np.flatnonzero(split[own]), np.flatnonzero(~split[own]))],
        ).fit(X.iloc[own], y[own], sample_weight=given)
        for own, given in ((np.arange(400), weight), (rows, None))
    ]
    for name in ("oracle_scores_", "layer_scores_"):
        np.testing.assert_allclose(getattr(fitted[0], name), getattr(fitted[1], name), rtol=1e-5)
    with pytest.raises(ValueError, match="KNeighborsClassifier takes no sample_weight"):
        LayerSelector("auto", estimator=KNeighborsClassifier()).fit(
            X, y, groups=GROUPS, sample_weight=weight
        )


def test_bad_input_is_named():
    X, y = _layered()
    with pytest.raises(ValueError, match="The 'layers' parameter of LayerSelector must be"):
        LayerSelector("all").fit(X, y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        LayerSelector("auto").fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LayerSelector("auto").fit(X, y, groups=GROUPS[:-1])
    with pytest.raises(ValueError, match="fold 0 of LayerSelector is nan"):
        LayerSelector("auto", scoring=lambda *_: np.nan).fit(X, y, groups=GROUPS)
