# SPDX-License-Identifier: BSD-3-Clause
"""AUC, gold labels, numbers and whole texts in a report, compared with plain computations."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifierCV
from sklearn.metrics import roc_auc_score

import sklearn_neurox.inspection._report._contents as module
from sklearn_neurox.inspection import NeuronReport
from sklearn_neurox.inspection._report._packing import pack_rounded
from sklearn_neurox.inspection._report._targets import split_targets
from sklearn_neurox.ranking import LCARanker, ProbelessRanker
from sklearn_neurox.words import words_frame
from tests.inspection._report.test_neuron_report import contents

WORDS = words_frame([["The", "dog", "barks"], ["A", "dog", "runs"], ["Run", "dog"]] * 4)
LABELS = np.array((["D", "N", "V"] * 2 + ["V", "V"]) * 4)
X = np.random.default_rng(0).normal(size=(len(WORDS), 5)) + 1.5 * (LABELS == "N")[:, None]
RANKER = ProbelessRanker().fit(X, LABELS)


def test_the_area_is_that_of_scikit_learn():
    _, arrays = contents(NeuronReport(RANKER, X, LABELS, WORDS))
    for c, label in enumerate("DNV"):
        areas = [roc_auc_score(LABELS == label, column) for column in X.T]
        # A bin of 256 holds at most a few of the 32 values.
        np.testing.assert_allclose(arrays["auc"][:, c], areas, atol=0.01)
    alone, arrays = contents(NeuronReport(RANKER, X[LABELS == "D"], ["D"] * 8, WORDS[:8]))
    assert alone["class_counts"] == [8, 0, 0]


def test_every_word_is_listed_with_its_label():
    parsed, arrays = contents(NeuronReport(RANKER, X, LABELS, WORDS, min_count=99))
    assert set(parsed["words"]) == set(WORDS["word"])
    for w, word in enumerate(parsed["words"]):
        shares = pd.Series(LABELS[WORDS["word"] == word]).value_counts(normalize=True)
        assert parsed["classes"][int(arrays["type_label"][w])] == shares.index[0]
        assert arrays["type_share"][w] == round(100 * shares.iloc[0])
        assert arrays["type_count"][w] == (WORDS["word"] == word).sum()


def test_the_penalty_is_that_of_the_fitted_probe():
    y = LABELS == "N"
    given = LogisticRegression(C=0.25).fit(X, y)
    chosen = RidgeClassifierCV(alphas=[0.5]).fit(X, y)
    shown = {"C": (given, "0.25"), "alpha": (chosen, "0.5")}
    for name, (probe, value) in shown.items():
        for ranker in (LCARanker(FrozenEstimator(probe)), ProbelessRanker()):
            report = NeuronReport(ranker.fit(X, y), X, y, WORDS, probe=probe)
            assert [name, value] in contents(report)[0]["penalty"]
    assert contents(NeuronReport(RANKER, X, LABELS, WORDS))[0]["penalty"] == []


def test_numbers_have_a_correlation_and_ranges():
    y = X @ [2.0, -1, 0, 0, 0]
    ranker = LCARanker(Ridge()).fit(X, y)
    parsed, arrays = contents(NeuronReport(ranker, X, y, WORDS))
    expected = [np.corrcoef(column, y)[0, 1] for column in X.T]
    np.testing.assert_allclose(arrays["correlation"], expected, atol=1e-5)
    np.testing.assert_allclose(arrays["weight"], ranker.estimator_.coef_[np.newaxis], rtol=1e-6)
    assert parsed["numeric"] and parsed["label"] == "target" and "class_score" not in arrays
    edges = np.quantile(y, [0, 0.2, 0.4, 0.6, 0.8, 1], method="inverted_cdf")
    assert parsed["class_counts"] == np.histogram(-y, -edges[::-1])[0][::-1].tolist()
    means = pd.Series(y).groupby(WORDS["word"].to_numpy()).mean()
    np.testing.assert_allclose(arrays["type_target"], means[parsed["words"]], rtol=1e-6)
    whole = np.round(y).astype(int)
    assert contents(NeuronReport(ranker, X, whole, WORDS))[0]["numeric"]
    assert not contents(NeuronReport(RANKER, X, LABELS, WORDS))[0]["numeric"]


@pytest.mark.parametrize(
    ("targets", "names", "counts"),
    [
        ([1.5] * 3, ["1.5"], [3]),
        ([1, 2, 2, 3], ["1", "2", "3"], [1, 2, 1]),
        ([0] * 90 + list(range(1, 11)), ["0", "1 to 10"], [90, 10]),
        (range(10), ["0 to 1", "2 to 3", "4 to 5", "6 to 7", "8 to 9"], [2] * 5),
        ([-1, -0.5], ["−1", "−0.5"], [1, 1]),
        ([1.00001, 1.00002], ["1.00001", "1.00002"], [1, 1]),
    ],
)
def test_ranges_hold_equally_many_rows(targets, names, counts):
    found, codes = split_targets(np.array(targets, dtype=float))
    assert found == names and np.bincount(codes).tolist() == counts


def test_whole_texts_are_split_into_words():
    texts = pd.DataFrame({"text": ["good film", "bad film", "good", "bad"], "start": None})
    texts["end"] = np.nan
    values, y = np.array([[1.0], [-1.0], [2.0], [-2.0]]), [1, 0, 1, 0]
    ranker = ProbelessRanker().fit(values, y)
    parsed, arrays = contents(NeuronReport(ranker, values, y, texts, min_count=1))
    assert parsed["unit"] == "text"
    top = [parsed["words"][int(w)] for w in arrays["top_word"][0, 0]]
    assert top == ["good", "film", "bad"]
    np.testing.assert_allclose(
        arrays["top_word_mean"][0, 0] * values.std(), [1.5, 0, -1.5], atol=1e-3
    )


def test_many_neurons_are_listed_and_the_best_detailed(monkeypatch):
    monkeypatch.setattr("sklearn_neurox.inspection._report._neuron_report.MOST_DRAWN", 4)
    monkeypatch.setattr("sklearn_neurox.inspection._report._neuron_report._N_DETAILED", 2)
    monkeypatch.setattr(module, "MOST_DRAWN", 4)
    report = NeuronReport(RANKER, X, LABELS, WORDS)
    parsed, arrays = contents(report)
    best = sorted(RANKER.order_[:2].tolist())
    assert parsed["detailed"] == best and not parsed["all_drawn"]
    assert len(arrays["shares"]) == 2 and len(arrays["auc"]) == len(arrays["rank"]) == 5
    every = contents(NeuronReport(RANKER, X, LABELS, WORDS, n_detailed=5))
    assert every[0]["detailed"] is None and every[0]["all_drawn"]
    np.testing.assert_array_equal(arrays["shares"], every[1]["shares"][best])
    np.testing.assert_allclose(arrays["class_score"], RANKER.class_scores_, rtol=3e-4)


def test_rounding_keeps_what_is_not_finite():
    values = np.array([1.0, -1 / 3, 1e-30, np.nan, np.inf, 0.0])
    _, arrays = contents(_Page({"v": pack_rounded(values)}))
    np.testing.assert_allclose(arrays["v"], values, rtol=2.0**-12)


class _Page:
    def __init__(self, arrays):
        self.arrays = arrays

    def to_html(self):
        from sklearn_neurox.inspection._report._rendering import render

        return render("page", {"arrays": self.arrays})


def test_baselines_may_be_a_dict():
    pages = []
    for baselines in (
        {"majority": 0.25, "probe": np.float32(0.5)},
        pd.DataFrame({"name": ["majority", "probe"], "score": [0.25, 0.5]}),
    ):
        report = NeuronReport(RANKER, X, LABELS, WORDS, baselines=baselines)
        pages.append(contents(report)[0]["tables"]["baselines"])
    assert pages[0] == pages[1]


def test_wrong_targets_and_tables_are_named():
    y = X[:, 0]
    regression = LCARanker(Ridge()).fit(X, y)
    with pytest.raises(ValueError, match="y is inf at row 3"):
        NeuronReport(regression, X, np.where(np.arange(len(y)) == 3, np.inf, y), WORDS)
    classifier = LogisticRegression().fit(X, LABELS)
    with pytest.raises(ValueError, match="LogisticRegression was fitted on the labels"):
        NeuronReport(regression, X, y, WORDS, probe=classifier)
    with pytest.raises(ValueError, match="must be a frame returned by baseline_table"):
        NeuronReport(RANKER, X, LABELS, WORDS, baselines=pd.DataFrame({"a": [1]}))
    with pytest.raises(ValueError, match="'baselines' parameter .* pass pandas.DataFrame"):
        NeuronReport(RANKER, X, LABELS, WORDS, baselines={"name": ["a"], "score": [0.5]})
    with pytest.raises(ValueError, match="predicts 2 targets"):
        NeuronReport(regression, X, y, WORDS, probe=Ridge().fit(X, X[:, :2]))


def test_baselines_are_packed_with_the_columns_that_the_report_shows():
    frame = pd.DataFrame({"score": [0.5, 0.75], "fold": [0, 1], "name": ["majority", "probe"]})
    packed = module.pack_tables(None, None, frame)["baselines"]
    assert packed["columns"] == ["name", "score"]
    assert packed["rows"] == [["majority", 0.5], ["probe", 0.75]]
    packed = module.pack_tables(None, None, frame.assign(std=0.125))["baselines"]
    assert packed["columns"] == ["name", "score", "std"]
    assert packed["rows"] == [["majority", 0.5, 0.125], ["probe", 0.75, 0.125]]


def test_a_penalty_that_says_nothing_is_not_listed():
    probe = LogisticRegression(C=0.25).set_params(penalty="deprecated")
    probe = FrozenEstimator(probe.fit(X, LABELS == "N"))
    report = NeuronReport(LCARanker(probe).fit(X, LABELS == "N"), X, LABELS == "N", WORDS)
    assert "deprecated" not in str(contents(report)[0]["penalty"])


def test_the_ablation_of_a_file_is_that_of_the_frame():
    rows = [
        (which, fraction, retrained, "mean", fold, score + fold / 10)
        for which, score in {"top": 0.6, "all": 0.8}.items()
        for fraction in ([0.1, 0.5] if which == "top" else [1.0])
        for retrained in ([False, True] if which == "top" else [False])
        for fold in range(2)
    ]
    columns = ["which", "fraction", "retrained", "fill", "fold", "score"]
    curve = pd.DataFrame(rows, columns=columns)
    expected = contents(NeuronReport(RANKER, X, LABELS, WORDS, ablation=curve))[0]["tables"]
    given = curve.astype({"retrained": str})
    found = contents(NeuronReport(RANKER, X, LABELS, WORDS, ablation=given))[0]["tables"]
    assert found == expected
    models = pd.concat([curve.assign(model="bert"), curve.assign(model="gpt2")])
    for mixed, message in ((models, "'model' has"), (pd.concat([curve] * 2), "is repeated")):
        with pytest.raises(ValueError, match=f"^NeuronReport .*{message}"):
            contents(NeuronReport(RANKER, X, LABELS, WORDS, ablation=mixed))
