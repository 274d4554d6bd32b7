# SPDX-License-Identifier: BSD-3-Clause
"""Rows are paired by position; a warning is issued if pandas indexes disagree."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_neurox.ablation import ablation_curve, causal_effect
from sklearn_neurox.datasets import demo_model_path, make_tagged_words, make_tiny_model
from sklearn_neurox.evaluation import (
    ControlTaskClassifier,
    baseline_table,
    cka,
    compare,
    control_labels,
    layer_profile,
    leakage_report,
    maxcorr,
    online_codelength,
    pwcca,
    selectivity_score,
    svcca,
)
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.inspection import (
    NeuronReport,
    highlight,
    neuron_summary,
    predictions_frame,
    top_contexts,
    top_words,
)
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.ranking import GaussianRanker, ProbelessRanker
from sklearn_neurox.utils._validation import check_row_order

FRAME = pd.DataFrame({"x": range(6)}, index=[3, 9, 4, 7, 1, 8])
WARNS = "paired by position"


def series(labels):
    return pd.Series(0, index=labels)


def test_the_warning_names_the_row_and_the_remedy():
    with pytest.warns(UserWarning, match=WARNS) as warned:
        check_row_order(X=FRAME, y=series([3, 9, 7, 4, 1, 8]))
    (warning,) = warned
    text = str(warning.message)
    assert "row 2, which is 4 in X and 7 in y (2 of 6 rows)" in text
    assert "y = y.loc[X.index]" in text and "y = y.set_axis(X.index)" in text
    assert warning.filename == __file__


ROTATED = [9, 4, 7, 1, 8, 3]
OTHERS = {
    "reversed": (FRAME, series([8, 1, 7, 4, 9, 3])),
    "sorted": (FRAME, series([1, 3, 4, 7, 8, 9])),
    "several outputs": (FRAME, series(ROTATED).to_frame()),
    "a column": (FRAME["x"], series(ROTATED)),
    "floats": (FRAME, series(np.array(ROTATED, dtype=float))),
    "a part of each, half of it shared": (FRAME, series([9, 3, 4, 20, 21, 22])),
    "strings": (FRAME.set_axis(list("abcdef")), series(list("fabcde"))),
    "tuples": (
        FRAME.set_axis(pd.MultiIndex.from_product([[0, 1], [0, 1, 2]])),
        series(pd.MultiIndex.from_product([[1, 0], [0, 1, 2]])),
    ),
    "categories": (
        FRAME.set_axis(pd.CategoricalIndex(list("abcdef"))),
        series(pd.CategoricalIndex(list("fabcde"))),
    ),
    "missing": (FRAME.set_axis([np.nan, 1, 2, 3, 4, 5]), series([1, np.nan, 2, 3, 4, 5])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_same_labels_in_another_order(name):
    with pytest.warns(UserWarning, match=WARNS):
        check_row_order(**dict(zip("Xy", OTHERS[name], strict=True)))


def test_duplicates_get_another_remedy():
    X = FRAME.set_axis([0, 1, 2, 0, 1, 2])
    with pytest.warns(UserWarning, match=r"row 1, which is 1 in X and 0 in y \(3 of 6 rows\)") as w:
        check_row_order(X=X, y=series([0, 0, 2, 2, 1, 1]))
    assert "loc[X.index]" not in str(w[0].message) and "repeated labels" in str(w[0].message)


QUIET = {
    "equal": series(FRAME.index.copy()),
    "a fresh index": series(range(10, 16)),
    "rows of another kind": series(list("abcdef")),
    "an array": np.zeros(6),
    "a list": [0] * 6,
    "nothing": None,
    "another length": series([9, 3, 4, 7, 1]),
}


@pytest.mark.parametrize("name", QUIET)
def test_no_warning(name):
    check_row_order(X=FRAME, y=QUIET[name])
    check_row_order(X=FRAME.to_numpy(), y=QUIET[name])


def test_a_fresh_index_behind_rows_left_out_is_in_the_same_order():
    # Most labels are shared at other positions, but in the same order.
    check_row_order(X=FRAME.set_axis([0, 1, 3, 4, 5, 7]), y=series(range(6)))
    check_row_order(X=FRAME.set_axis([0, 0, 1, 1, 2, 2]), y=series(range(6)))


def test_a_fresh_index_shares_some_labels_with_a_sample_by_chance():
    sample = pd.DataFrame(index=np.random.default_rng(0).permutation(1000)[:200])
    check_row_order(X=sample, y=series(range(200)))


def test_words_and_labels_in_another_order():
    words = make_tagged_words(10, random_state=0)
    y = words["upos"].sample(frac=1, random_state=0)
    extractor = ActivationExtractor(demo_model_path(), layers=[1])
    for way in (extractor.fit, extractor.fit_transform):
        with pytest.warns(UserWarning, match=WARNS) as warned:
            way(words, y)
        assert len(warned) == 1 and warned[0].filename == __file__
    extractor.fit(words, y.loc[words.index])
    extractor.fit(words, words["upos"])


@pytest.mark.parametrize("estimator", [ElasticNetProbeClassifier(), ProbelessRanker()])
def test_a_matrix_with_the_index_of_the_words(estimator):
    rng = np.random.default_rng(0)
    H = pd.DataFrame(rng.normal(size=(40, 3)), index=rng.permutation(40)).add_prefix("x")
    y = pd.Series(rng.integers(2, size=40), index=H.index)
    estimator.fit(H, y)
    with pytest.warns(UserWarning, match=WARNS):
        estimator.fit(H, y.sort_index())
    estimator.fit(H, y.sort_index().to_numpy())


@pytest.mark.slow
@pytest.mark.parametrize("n_folds", [2, 5])
def test_parts_of_a_split_share_only_some_labels(n_folds):
    words = make_tagged_words(20, random_state=0)
    y = words["upos"].sample(frac=1, random_state=1)
    features = make_pipeline(ActivationExtractor(demo_model_path(), layers=[1]))
    pipe = make_pipeline(*features, SubwordAggregator(), LogisticRegression())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cross_validate(pipe, words, y, cv=KFold(n_folds))
    assert sum(WARNS in str(warning.message) for warning in caught) == n_folds


WORDS = make_tagged_words(20, random_state=0)
H = pd.DataFrame({"hidden.0.0": WORDS["start"], "hidden.0.1": WORDS["end"]}, index=WORDS.index)
Y = (WORDS["upos"] == "NOUN").sort_values(kind="stable")
PROBE = LogisticRegression(max_iter=5000)
FUNCTIONS = {
    "ablation_curve": lambda y: ablation_curve(
        PROBE, H, y, ranker=ProbelessRanker(), fractions=[0.5], n_draws=0, groups=WORDS["text"]
    ),
    "baseline_table": lambda y: baseline_table(
        WORDS, y, baselines=["majority"], groups=WORDS["text"]
    ),
    "causal_effect": lambda y: causal_effect(
        make_tiny_model("gpt2", hidden_size=8),
        WORDS[WORDS["start"] > 0],
        y[WORDS["start"].loc[y.index] > 0],
        ["hidden.1.0", "hidden.1.1"],
        steps=[1],
        which="top",
    ),
    "layer_profile": lambda y: layer_profile(PROBE, H, y, groups=WORDS["text"]),
    "online_codelength": lambda y: online_codelength(
        PROBE, H, y, fractions=[0.5, 1.0], groups=WORDS["text"]
    ),
    "selectivity_score": lambda y: selectivity_score(
        PROBE, H, y, y.to_numpy(), groups=WORDS["text"]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_warn_too(name):
    called = "words" if name in ("baseline_table", "causal_effect") else "X"
    with pytest.warns(UserWarning, match=WARNS) as warned:
        FUNCTIONS[name](Y)
    (warning,) = (one for one in warned if WARNS in str(one.message))
    assert warning.filename == __file__
    assert f"y = y.loc[{called}.index]" in str(warning.message)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FUNCTIONS[name](Y.loc[WORDS.index])
    assert not any(WARNS in str(warning.message) for warning in caught)


@pytest.mark.slow
def test_all_matrices_and_all_labels_are_checked():
    y, rows = Y.loc[WORDS.index], WORDS.index[::-1]
    given = {"groups": WORDS["text"].to_numpy()}
    for name in ("X", "X_untrained"):
        tables = {"X": H, "X_untrained": H} | {name: H.loc[rows]}
        with pytest.warns(UserWarning, match=rf"{name} = {name}\.loc\[words\.index\]"):
            baseline_table(WORDS, y, estimator=PROBE, **tables, **given)
    remedy = r"control_y = control_y\.loc\[X\.index\]"
    with pytest.warns(UserWarning, match=remedy):
        selectivity_score(PROBE, H, y, y.loc[rows], **given)
    with pytest.warns(UserWarning, match=remedy):
        ControlTaskClassifier(PROBE).fit(H, y, control_y=y.loc[rows])


CHECKED = {
    "ablation_curve, groups": lambda rows, index: ablation_curve(
        PROBE, H, Y.loc[H.index], fractions=[0.5], n_draws=0, groups=WORDS["text"].loc[index]
    ),
    "ablation_curve, sample_weight": lambda rows, index: ablation_curve(
        PROBE,
        H,
        Y.loc[H.index],
        fractions=[0.5],
        n_draws=0,
        groups=WORDS["text"].to_numpy(),
        sample_weight=pd.Series(1.0, index=index),
    ),
    "baseline_table, groups": lambda rows, index: baseline_table(
        WORDS, Y.loc[H.index], baselines=["majority"], groups=WORDS["text"].loc[index]
    ),
    "cka": lambda rows, index: cka(H, H.loc[index]),
    "control_labels": lambda rows, index: control_labels(rows, WORDS["upos"], random_state=0),
    "GaussianRanker, groups": lambda rows, index: GaussianRanker(n_neurons=1).fit(
        H, Y.loc[H.index], groups=WORDS["text"].loc[index]
    ),
    "highlight": lambda rows, index: highlight(rows, H, "hidden.0.1"),
    "layer_profile, groups": lambda rows, index: layer_profile(
        PROBE, H, Y.loc[H.index], groups=WORDS["text"].loc[index]
    ),
    "leakage_report": lambda rows, index: leakage_report(
        WORDS, 2, y=Y.loc[index], groups=WORDS["text"]
    ),
    "leakage_report, groups": lambda rows, index: leakage_report(
        WORDS, cv=2, groups=WORDS["text"].loc[index]
    ),
    "maxcorr": lambda rows, index: maxcorr(H, H.loc[index]),
    "NeuronReport": lambda rows, index: NeuronReport(
        ProbelessRanker().fit(H, Y.loc[H.index]), H, Y.loc[H.index], rows
    ),
    "NeuronReport, y": lambda rows, index: NeuronReport(
        ProbelessRanker().fit(H, Y.loc[H.index]), H, Y.loc[index], WORDS
    ),
    "compare": lambda rows, index: compare(
        H.iloc[:, 0], H.iloc[:, 1].loc[index], np.arange(len(H))
    ),
    "compare, groups": lambda rows, index: compare(
        H.iloc[:, 0], H.iloc[:, 1], WORDS["text"].loc[index]
    ),
    "neuron_summary": lambda rows, index: neuron_summary(
        ProbelessRanker().fit(H, Y.loc[H.index]), H, Y.loc[H.index], words=rows, min_count=1
    ),
    "neuron_summary, y": lambda rows, index: neuron_summary(
        ProbelessRanker().fit(H, Y.loc[H.index]), H, Y.loc[index]
    ),
    "online_codelength, groups": lambda rows, index: online_codelength(
        PROBE, H, Y.loc[H.index], fractions=[0.5, 1.0], groups=WORDS["text"].loc[index]
    ),
    "predictions_frame": lambda rows, index: predictions_frame(FITTED, H, rows),
    "predictions_frame, y": lambda rows, index: predictions_frame(FITTED, H, WORDS, Y.loc[index]),
    "pwcca": lambda rows, index: pwcca(H, H.loc[index]),
    "selectivity_score, groups": lambda rows, index: selectivity_score(
        PROBE, H, Y.loc[H.index], Y.loc[H.index], groups=WORDS["text"].loc[index]
    ),
    "svcca": lambda rows, index: svcca(H, H.loc[index]),
    "top_contexts": lambda rows, index: top_contexts(H, rows, [1]),
    "top_words": lambda rows, index: top_words(H, rows, [1], min_count=1),
    "top_words of a column": lambda rows, index: top_words(H, rows["word"], [1], min_count=1),
}
FITTED = LogisticRegression(max_iter=5000).fit(H, Y.loc[H.index])


def _said(check, index):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check(WORDS.loc[index], index)
    return any(WARNS in str(warning.message) for warning in caught)


@pytest.mark.slow
def test_whatever_is_paired_by_position_is_checked():
    """Words, groups, weights and second matrices, not only labels."""
    wrong = [name for name, check in CHECKED.items() if not _said(check, Y.index)]
    wrong += [f"{name}, in order" for name, check in CHECKED.items() if _said(check, WORDS.index)]
    assert not wrong
