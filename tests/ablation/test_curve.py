# SPDX-License-Identifier: BSD-3-Clause
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_neurox.ablation import NeuronAblator, ablation_curve, ablation_table
from sklearn_neurox.ranking import GaussianRanker, LCARanker, ProbelessRanker
from sklearn_neurox.utils._names import neuron_names

PIPE = make_pipeline(StandardScaler(), LogisticRegression())
GROUPS = np.arange(300) // 3


def _planted(n_samples=300, n_features=20, seed=0):
    """Return twenty neurons of different scales and offsets, with signal in columns 3 and 11."""
    rng = np.random.RandomState(seed)
    y = rng.randint(3, size=n_samples)
    X = rng.randn(n_samples, n_features)
    X[:, 3] += 3 * (y == 1)
    X[:, 11] += 3 * (y == 2)
    return X * np.linspace(0.5, 2, n_features) + np.linspace(-9, 9, n_features), y


def _means(curve):
    return curve.groupby(["retrained", "which"])["score"].mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [PIPE, RidgeClassifier()],
)
def test_top_beats_random_beats_bottom(estimator):
    X, y = _planted()
    curve = ablation_curve(estimator, X, y, groups=GROUPS, n_draws=4, random_state=0)
    columns = "repeat fold which fraction n_neurons retrained fill draw score low high".split()
    assert curve.columns.tolist() == columns
    assert curve.groupby(["which", "retrained"])["fill"].unique().explode().to_dict() == {
        ("all", False): "none",
        **{(which, False): "mean" for which in ("top", "random", "bottom")},
        **{(which, True): "drop" for which in ("top", "random", "bottom")},
    }
    assert len(curve) == 5 * (1 + 3 * 2 * (1 + 4 + 1))
    counts = curve.groupby("which")["n_neurons"].unique()
    assert counts["all"].tolist() == [20] and counts["top"].tolist() == [2, 3, 4]
    means = _means(curve)
    for retrained in (False, True):
        top, random, bottom = (means[retrained, which] for which in ("top", "random", "bottom"))
        assert top > random + 0.1 > bottom + 0.1
    assert means[False, "top"] > means[False, "all"] - 0.1


@pytest.mark.slow
def test_everything_kept_scores_as_all():
    X, y = _planted()
    curve = ablation_curve(PIPE, X, y, fractions=[1.0], n_draws=2, groups=GROUPS)
    assert (curve.groupby("fold")["score"].nunique() == 1).all()


def test_one_measurement_by_hand():
    X, y = _planted()
    train, test = np.arange(200), np.arange(200, 300)
    curve = ablation_curve(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
        X,
        y,
        fractions=[0.25],
        n_draws=1,
        cv=[(train, test)],
        scoring="f1_macro",
        random_state=0,
    ).set_index(["which", "retrained"])["score"]

    scaler = StandardScaler().fit(X[train])
    Z_train, Z_test = scaler.transform(X[train]), scaler.transform(X[test])
    probe = LogisticRegression(C=0.1).fit(Z_train, y[train])
    order = LCARanker(FrozenEstimator(probe)).fit(Z_train, y[train]).order_
    for which, kept in {"top": order[:5], "bottom": order[-5:]}.items():
        ablator = NeuronAblator(kept, keep=True, fill="mean").fit(Z_train)
        predicted = probe.predict(ablator.transform(Z_test))
        assert curve[which, False] == f1_score(y[test], predicted, average="macro")
        dropper = NeuronAblator(kept, keep=True).fit(Z_train)
        refitted = LogisticRegression(C=0.1).fit(dropper.transform(Z_train), y[train])
        predicted = refitted.predict(dropper.transform(Z_test))
        assert curve[which, True] == f1_score(y[test], predicted, average="macro")


def test_a_pipeline_of_one_step_is_this_step():
    X, y = _planted()
    options = {"fractions": [0.25], "n_draws": 1, "cv": 2, "groups": GROUPS, "random_state": 0}
    curves = [
        ablation_curve(estimator, X, y, ranker=ProbelessRanker(), **options)
        for estimator in (LinearDiscriminantAnalysis(), make_pipeline(LinearDiscriminantAnalysis()))
    ]
    pd.testing.assert_frame_equal(*curves)


@pytest.mark.slow
def test_the_mean_is_the_same_on_both_sides_of_a_scaler_and_zero_is_not():
    X, y = _planted()
    nested = make_pipeline(FunctionTransformer(), PIPE)
    options = {"groups": GROUPS, "n_draws": 2, "retrain": False, "random_state": 0}

    def curve(estimator, fill):
        return ablation_curve(
            estimator, X, y, ranker=ProbelessRanker(scale=True), fill=fill, **options
        ).drop(columns="fill")

    pd.testing.assert_frame_equal(curve(PIPE, "mean"), curve(nested, "mean"))
    pd.testing.assert_frame_equal(curve(PIPE, "mean"), curve(PIPE, "zero"))
    assert _means(curve(nested, "zero"))[False, "top"] < _means(curve(PIPE, "zero"))[False, "top"]


@pytest.mark.slow
def test_transformers_are_fitted_once_a_fold_on_training_rows():
    X, y = _planted()
    seen = []

    def record(rows):
        seen.append(len(rows))
        return rows

    ablation_curve(
        make_pipeline(FunctionTransformer(record), RidgeClassifier()),
        X,
        y,
        groups=GROUPS,
        cv=3,
        n_draws=1,
    )
    assert len(seen) == 6
    assert all(seen[i] + seen[i + 1] == 300 and seen[i] > 190 for i in (0, 2, 4))


@pytest.mark.slow
def test_frames_of_words_and_pandas_steps():
    X, y = _planted()
    words = pd.DataFrame({"row": np.arange(300), "upos": np.array(["A", "B", "C"])[y]})
    names = neuron_names([0, 1], 10)

    def look_up(frame):
        return pd.DataFrame(X[frame["row"]], columns=names, index=frame.index)

    options = {"groups": GROUPS, "n_draws": 1, "random_state": 0}
    by_words = ablation_curve(
        make_pipeline(
            FunctionTransformer(look_up),
            StandardScaler().set_output(transform="pandas"),
            LogisticRegression(),
        ),
        words,
        words["upos"],
        **options,
    )
    plain = ablation_curve(PIPE, X, y, **options)
    pd.testing.assert_frame_equal(by_words, plain)


@pytest.mark.slow
def test_same_seed_same_bits_and_draws_differ():
    X, y = _planted()
    options = {"groups": GROUPS, "n_draws": 3, "fill": "resample", "retrain": [True, False]}
    curves = [ablation_curve(PIPE, X, y, random_state=seed, **options) for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(curves[0], curves[1])
    assert (curves[0]["score"] != curves[2]["score"]).any()
    random = curves[0].query("which == 'random' and fraction == 0.2 and retrained")
    assert random.groupby("fold")["score"].nunique().max() > 1


@pytest.mark.slow
def test_folds_are_contiguous_and_warn_without_groups():
    X, y = _planted()
    model = RidgeClassifier()
    options = {"n_draws": 0, "retrain": False, "fractions": [0.1]}
    with pytest.warns(UserWarning, match=r'no groups.*groups=words\["text"\]'):
        default = ablation_curve(model, X, y, **options)
    with pytest.warns(UserWarning, match="no groups"):
        counted = ablation_curve(model, X, y, cv=5, **options)
    given = ablation_curve(model, X, y, cv=KFold(5), **options)
    pd.testing.assert_frame_equal(default, counted)
    pd.testing.assert_frame_equal(default, given)


@pytest.mark.slow
def test_the_bottom_of_a_sparse_probe_needs_no_warning():
    X, y = _planted()
    sparse = LogisticRegression(l1_ratio=1, C=0.05, solver="saga", max_iter=5000, random_state=0)
    pipe = make_pipeline(StandardScaler(), sparse)
    options = {"groups": GROUPS, "n_draws": 1, "retrain": False}
    for ranker in (None, LCARanker(sparse, n_neurons=2, which="bottom")):
        curve = ablation_curve(pipe, X, y, ranker=ranker, **options)
        assert _means(curve)[False, "top"] > _means(curve)[False, "bottom"] + 0.2


def test_regression():
    X, y = _planted()
    curve = ablation_curve(
        LinearRegression(), X, X[:, 2] - X[:, 9] + 0.01 * y, groups=GROUPS, n_draws=1, retrain=True
    )
    assert _means(curve)[True, "top"] > 0.99 > 0.5 > _means(curve)[True, "bottom"]


@pytest.mark.slow
def test_any_ranker_and_a_probe_without_weights():
    X, y = _planted()
    with pytest.raises(ValueError, match="GaussianNB has no attribute 'coef_'. Pass a ranker"):
        ablation_curve(GaussianNB(), X, y, groups=GROUPS)
    curve = ablation_curve(
        GaussianNB(), X, y, ranker=ProbelessRanker(scale=True), groups=GROUPS, n_draws=1
    )
    assert _means(curve)[True, "top"] > _means(curve)[True, "bottom"] + 0.2


def test_bad_input_fails_before_any_work():
    X, y = _planted()

    class Untouched(LogisticRegression):
        def fit(self, X, y):
            raise AssertionError("fitted")

    def call(**options):
        ablation_curve(Untouched(), X, **{"y": y, "groups": GROUPS, **options})

    missing = pd.Series(y, name="upos").astype(object)
    missing[7] = None
    with pytest.raises(ValueError, match=r"1 of 300 labels are missing, the first at row 7"):
        call(y=missing)
    with pytest.raises(ValueError, match=r"floats in \(0, 1\]. Got 1.5"):
        call(fractions=[0.1, 1.5])
    with pytest.raises(ValueError, match="The 'fractions' parameter of ablation_curve must be"):
        call(fractions=30.0)
    with pytest.raises(ValueError, match="The 'fractions' parameter of ablation_curve must be"):
        call(fractions=True)
    with pytest.raises(ValueError, match="at least one number or fraction.*Got none"):
        call(fractions=[])
    with pytest.raises(ValueError, match="'retrain' parameter.*must be a bool"):
        call(retrain=["no"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        call(y=y[:-1])
    with pytest.raises(ValueError, match="The 'fill' parameter of ablation_curve must be"):
        call(fill="drop")
    with pytest.raises(ValueError, match="The 'n_draws' parameter of ablation_curve must be"):
        call(n_draws=-1)


@pytest.mark.slow
def test_several_fills_are_those_of_single_calls():
    X, y = _planted()
    options = {"groups": GROUPS, "n_draws": 2, "random_state": 0}
    fills = ["mean", "zero", -2.5]
    together = ablation_curve(PIPE, X, y, fill=fills, **options)
    assert set(together["fill"]) == {"none", "drop", "mean", "zero", -2.5}
    assert len(together) == 5 * (1 + 3 * 4 * (3 + 1))
    for fill in fills:
        alone = ablation_curve(PIPE, X, y, fill=fill, **options)
        same = together[together["fill"].isin([fill, "none", "drop"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(same, alone, check_dtype=False)


@pytest.mark.slow
def test_a_single_fraction_needs_no_list():
    X, y = _planted()
    options = {"groups": GROUPS, "n_draws": 1, "random_state": 0}
    tables = {"rankings": [ProbelessRanker()], "probes": [PIPE]}
    for fraction in (0.2, np.float32(0.25), 1.0):
        one, listed = (
            ablation_curve(PIPE, X, y, fractions=given, **options)
            for given in (fraction, [fraction])
        )
        pd.testing.assert_frame_equal(one, listed)
        assert set(one["fraction"]) == {1.0, float(fraction)}
    one, listed = (
        ablation_table(X, y, fractions=given, **tables, **options) for given in (0.2, [0.2])
    )
    pd.testing.assert_frame_equal(one, listed)


@pytest.mark.slow
def test_threads_change_nothing_and_a_bar_tells_how_far(capsys):
    X, y = _planted()
    options = {"groups": GROUPS, "n_draws": 2, "fill": "resample", "random_state": 0}
    one = ablation_curve(PIPE, X, y, **options)
    assert not any(capsys.readouterr())
    two = ablation_curve(PIPE, X, y, n_jobs=2, verbose=True, **options)
    pd.testing.assert_frame_equal(one, two)
    shown = capsys.readouterr()
    assert not shown.out and f"{len(two)}/{len(two)}" in shown.err


@pytest.mark.slow
def test_repeats_give_other_seeds_and_one_keeps_that_given():
    X, y = _planted()
    probe = SGDClassifier(max_iter=5, tol=None, random_state=7)
    options = {"ranker": ProbelessRanker(), "groups": GROUPS, "n_draws": 0, "random_state": 0}
    curve = ablation_curve(probe, X, y, n_repeats=3, **options)
    assert curve["repeat"].unique().tolist() == [0, 1, 2]
    assert (curve.groupby(["fold", "which"])["score"].nunique() > 1).any()
    again = ablation_curve(probe, X, y, n_repeats=3, **options)
    pd.testing.assert_frame_equal(curve, again)
    assert probe.random_state == 7
    single = ablation_curve(probe, X, y, cv=[(np.arange(200), np.arange(200, 300))], **options)
    by_hand = clone(probe).fit(X[:200], y[:200]).score(X[200:], y[200:])
    assert single["score"][0] == by_hand


@pytest.mark.slow
def test_selectors_of_scikit_learn_rank_too():
    X, y = _planted()
    curve = ablation_curve(
        PIPE, X, y, ranker=SelectKBest(k=1), groups=GROUPS, n_draws=1, random_state=0
    )
    assert _means(curve)[False, "top"] > _means(curve)[False, "bottom"] + 0.2
    with pytest.raises(ValueError, match="VarianceThreshold does not rank"):
        ablation_curve(PIPE, X, y, ranker=VarianceThreshold(), groups=GROUPS)


def test_groups_reach_a_ranker_that_splits():
    X, y = _planted()
    ranker = GaussianRanker(max_neurons=2)
    curve = ablation_curve(PIPE, X, y, ranker=ranker, groups=GROUPS, n_draws=1, retrain=False)
    assert _means(curve)[False, "top"] > _means(curve)[False, "bottom"] + 0.2


def test_wrong_fills_are_named():
    X, y = _planted()
    for fill, message in (
        (["mean", "drop"], "finite numbers. Got 'drop'. To drop neurons, use retrain=True"),
        ([np.inf], "Got inf"),
        (True, "'fill' parameter of ablation_curve must be"),
        (["mean", False], "finite numbers. Got False"),
        ([], "at least one fill. Got none"),
    ):
        with pytest.raises(ValueError, match=message):
            ablation_curve(PIPE, X, y, fill=fill, groups=GROUPS)


@pytest.mark.slow
@pytest.mark.parametrize("fill", [["zero", "mean", "resample", -2.5, 1.0], "resample"])
def test_however_many_fills_there_is_one_working_copy(fill, monkeypatch):
    monkeypatch.setattr("sklearn_neurox.utils._row_blocks._BLOCK_BYTES", 200_000)
    rng = np.random.RandomState(0)
    X, y = rng.randn(6000, 200).astype(np.float32), rng.randint(2, size=6000)
    split = [(np.arange(600), np.arange(600, 6000))]
    ranker = FrozenEstimator(ProbelessRanker().fit(X, y))
    options = {"ranker": ranker, "cv": split, "n_draws": 2, "retrain": False, "fill": fill}
    tracemalloc.start()
    try:
        ablation_curve(_ByFirstColumn(), X, y, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The training and test rows of the fold, the stored rows, and one filled copy.
    assert peak < X.nbytes + 1.2 * X[600:].nbytes + X[:600].nbytes


@pytest.mark.slow
@pytest.mark.parametrize("fill", ["mean", "resample"])
def test_half_precision_stays_so_and_files_are_read(fill, tmp_path):
    X, y = _planted()
    half = (X / 4).astype(np.float16)
    np.save(tmp_path / "X.npy", half)
    seen = []

    class Seeing(LogisticRegression):
        def predict(self, X):
            seen.append(X.dtype)
            return super().predict(X)

    options = {"groups": GROUPS, "n_draws": 1, "fill": fill, "random_state": 0}
    probe = Seeing(max_iter=1000)
    of_file = ablation_curve(probe, np.load(tmp_path / "X.npy", mmap_mode="r"), y, **options)
    assert set(seen) == {np.dtype(np.float16)}
    pd.testing.assert_frame_equal(of_file, ablation_curve(probe, half, y, **options))


class _ByFirstColumn(ClassifierMixin, BaseEstimator):
    """A probe that allocates no memory."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[(X[:, 0] > 0).astype(int)]
