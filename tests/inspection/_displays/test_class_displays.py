# SPDX-License-Identifier: BSD-3-Clause
"""The displays by class, layer and ranking: scores, distribution of neurons, agreement."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, recall_score

from sklearn_neurox.evaluation import ranking_agreement
from sklearn_neurox.inspection import (
    ClassScoresDisplay,
    NeuronDistributionDisplay,
    RankingAgreementDisplay,
    neuron_table,
    predictions_frame,
)
from sklearn_neurox.ranking import LCARanker, ProbelessRanker, RandomRanker
from sklearn_neurox.utils._names import neuron_names
from sklearn_neurox.words import words_frame

TAGS = [
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN",
    "PUNCT", "SCONJ", "SYM", "VERB", "X",
]  # fmt: skip


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    y_true = rng.choice(TAGS, size=400)
    wrong, worse = rng.random(400) < 0.2, rng.random(400) < 0.6
    return y_true, np.where(wrong, "NOUN", y_true), np.where(worse, "NOUN", y_true)


def _data():
    rng = np.random.default_rng(0)
    y = np.tile(["a", "b", "c"], 30)
    X = rng.normal(size=(90, 20))
    X[:, [0, 7]] += 2 * (y == "a")[:, None]
    X[:, 13] += 2 * (y == "b")
    return X, y


@pytest.fixture(scope="module")
def ranker():
    return LCARanker(LogisticRegression(), n_neurons=4).fit(*_data())


NAMES = np.r_[neuron_names([0, 1, 2], 4), neuron_names([1, 2], 4, component="mlp")]


def _ticks(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


@pytest.mark.slow
def test_scores_are_those_of_scikit_learn(pyplot, predictions):
    y_true, y_pred, other = predictions
    display = ClassScoresDisplay.from_predictions(y_true, y_pred, other=other, names=("one", "two"))
    classes = _ticks(display.ax_.yaxis)
    assert sorted(classes) == TAGS
    for line, predicted in zip(display.lines_, (y_pred, other), strict=True):
        expected = f1_score(y_true, predicted, labels=classes, average=None)
        np.testing.assert_allclose(line.get_xdata(), expected)
        assert line.get_ydata().tolist() == list(range(17))
    assert (np.diff(display.lines_[0].get_xdata()) <= 0).all()  # the best at the top
    assert display.ax_.get_ylim() == (16.5, -0.5)
    joined = [segment[:, 0].tolist() for segment in display.difference_.get_segments()]
    assert joined == [list(pair) for pair in zip(*(li.get_xdata() for li in display.lines_))]  # noqa: B905
    assert [text.get_text() for text in display.legend_.get_texts()] == ["one", "two"]
    assert display.ax_.get_xlabel() == "F1"


def test_scores_of_chosen_classes_keep_their_order(pyplot, predictions):
    y_true, y_pred, _ = predictions
    display = ClassScoresDisplay.from_predictions(
        y_true, y_pred, metric="recall", labels=["VERB", "ADJ"]
    )
    assert _ticks(display.ax_.yaxis) == ["VERB", "ADJ"]
    expected = recall_score(y_true, y_pred, labels=["VERB", "ADJ"], average=None)
    np.testing.assert_allclose(display.lines_[0].get_xdata(), expected)
    assert display.legend_ is None and display.difference_ is None
    counts = pd.Series(y_true).value_counts()
    assert display.frame["support"].tolist() == counts[["VERB", "ADJ"]].tolist()


def test_score_that_is_not_defined_is_not_drawn(pyplot):
    display = ClassScoresDisplay.from_predictions(["a", "b"], ["a", "new"], metric="recall")
    assert display.frame["class"].tolist() == ["a", "b", "new"]
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 0, np.nan])


def test_scores_of_estimators(pyplot):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), np.tile([0, 1, 2], 20)
    X[:, 0] += y
    one, other = LogisticRegression().fit(X, y), LogisticRegression().fit(X[:, 1:], y)
    display = ClassScoresDisplay.from_estimator(one, X, y, other=other, other_X=X[:, 1:])
    expected = ClassScoresDisplay.from_predictions(y, one.predict(X), other=other.predict(X[:, 1:]))
    pd.testing.assert_frame_equal(display.frame, expected.frame)


def test_scores_of_a_frame_of_predictions(pyplot):
    X, y = _data()
    words = words_frame([[f"w{i}" for i in range(90)]])
    probe = LogisticRegression().fit(X[:, :5], y)
    frame = predictions_frame(probe, X[:, :5], words, y)
    display = ClassScoresDisplay.from_predictions(
        frame["gold"], frame["predicted"], metric="recall"
    )
    expected = ClassScoresDisplay.from_estimator(probe, X[:, :5], y, metric="recall")
    pd.testing.assert_frame_equal(display.frame, expected.frame)
    recalls = frame.groupby("gold")["correct"].mean()
    assert 0 < recalls.min() < 1
    drawn = display.frame.set_index("class")["score"]
    assert drawn.to_dict() == pytest.approx(recalls.to_dict())


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"metric": "accuracy"}, "'metric' parameter .* got 'accuracy'"),
        ({"other": ["a", "b"], "names": ["one"]}, "'names' parameter .* must name each run"),
        ({"other": ["a"]}, "inconsistent numbers of samples"),
        ({"other": ["a", None]}, "Input other contains NaN: 1 of 2 labels .* row 1"),
        ({"y_true": ["a", None]}, "Input y_true contains NaN: 1 of 2 labels .* row 1"),
        ({"y_pred": [np.nan, "a"]}, "Input y_pred contains NaN: 1 of 2 labels .* row 0"),
    ],
)
def test_scores_of_bad_input(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ClassScoresDisplay.from_predictions(**{"y_true": ["a", "b"], "y_pred": ["a", "b"]} | kwargs)


def test_neurons_per_layer_and_component(pyplot):
    neurons = ["hidden.0.1", "mlp.2.3", "hidden.2.0", "hidden.2.5", "decoder.hidden.1.0"]
    display = NeuronDistributionDisplay.from_frame(pd.DataFrame({"neuron": neurons}))
    assert display.frame.to_dict("split") == {
        "index": ["hidden", "mlp", "decoder.hidden"],
        "columns": [0, 1, 2],
        "data": [[1, 0, 2], [0, 0, 1], [0, 1, 0]],
    }
    heights = [[bar.get_height() for bar in bars] for bars in display.bars_]
    assert heights == display.frame.to_numpy().tolist()
    tops = [bar.get_y() + bar.get_height() for bar in display.bars_[-1]]
    assert tops == [1, 1, 3]  # stacked
    assert display.ax_.get_ylabel() == "neurons"
    assert [t.get_text() for t in display.legend_.get_texts()] == [
        "hidden",
        "mlp",
        "decoder.hidden",
    ]


def test_neurons_of_a_table_of_counts(pyplot):
    frame = pd.DataFrame({"layer": [0, 2, 2], "class": ["x", "y", "x"], "n_selected": [5, 3, 2]})
    display = NeuronDistributionDisplay.from_frame(frame)
    assert display.by == "class"
    assert display.frame.to_numpy().tolist() == [[5, 0, 2], [0, 0, 3]]
    assert NeuronDistributionDisplay.from_frame(frame, by="component").frame.index == ["neurons"]


def test_neurons_of_a_ranker(pyplot, ranker):
    display = NeuronDistributionDisplay.from_estimator(ranker, input_features=NAMES)
    chosen = NAMES[ranker.get_support()]
    for component, row in display.frame.iterrows():
        for layer, count in row.items():
            assert count == sum(name.startswith(f"{component}.{layer}.") for name in chosen)
    assert display.frame.to_numpy().sum() == 4
    assert display.frame.columns.tolist() == [0, 1, 2]
    by_number = NeuronDistributionDisplay.from_estimator(ranker, n_layers=5, n_neurons=7)
    expected = np.bincount(ranker.order_[:7] // 4, minlength=5)
    assert by_number.frame.loc["neurons"].tolist() == expected.tolist()


@pytest.mark.slow
def test_neurons_of_every_class(pyplot, ranker):
    display = NeuronDistributionDisplay.from_estimator(
        ranker, n_layers=5, by="class", n_neurons=0.3
    )
    assert display.frame.index.tolist() == ["a", "b", "c"]
    for number in range(3):
        expected = np.bincount(ranker.class_order_[number, :6] // 4, minlength=5)
        assert display.frame.iloc[number].tolist() == expected.tolist()
    totals = NeuronDistributionDisplay.from_estimator(
        ranker, n_layers=5, by="class", mass=0.3, kind="total"
    )
    widths = [bar.get_width() for bar in totals.bars_[0]]
    by_itself = clone(ranker).set_params(n_neurons=None, mass=0.3).fit(*_data())
    itself = NeuronDistributionDisplay.from_estimator(by_itself, n_layers=5, by="class")
    pd.testing.assert_frame_equal(itself.frame, totals.frame)
    assert widths == (ranker.class_scores_ > 0.7).sum(axis=1).tolist()
    assert _ticks(totals.ax_.yaxis) == ["a", "b", "c"]


@pytest.mark.slow
def test_neurons_of_a_neuron_table(pyplot, ranker):
    by_layer = neuron_table(ranker, by="layer", input_features=NAMES)
    display = NeuronDistributionDisplay.from_frame(by_layer)
    assert display.frame.loc["neurons"].tolist() == by_layer["n_selected"].tolist()
    for by in ("class", "component"):
        table = neuron_table(ranker, by=[by, "layer"], n_neurons=6, input_features=NAMES)
        display = NeuronDistributionDisplay.from_frame(table)
        expected = NeuronDistributionDisplay.from_estimator(
            ranker, by=by, n_neurons=6, input_features=NAMES
        )
        pd.testing.assert_frame_equal(display.frame, expected.frame)
        assert display.by == by
        assert display.frame.to_numpy().sum() == (18 if by == "class" else 6)


def test_neurons_by_mass_over_all_classes(pyplot, ranker):
    display = NeuronDistributionDisplay.from_estimator(ranker, n_layers=5, mass=0.3)
    expected = np.bincount(np.flatnonzero(ranker.scores_ > 0.7) // 4, minlength=5)
    assert display.frame.loc["neurons"].tolist() == expected.tolist()


def test_neurons_of_a_selector_of_scikit_learn(pyplot):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30, 20)), columns=NAMES)
    selector = SelectKBest(k=5).fit(X, np.tile([0, 1], 15))
    display = NeuronDistributionDisplay.from_estimator(selector)
    assert display.frame.to_numpy().sum() == 5
    with pytest.raises(ValueError, match="SelectKBest has no attribute 'ranks_'"):
        NeuronDistributionDisplay.from_estimator(selector, n_neurons=3)
    with pytest.raises(ValueError, match="'class_order_', which the SelectKBest lacks"):
        NeuronDistributionDisplay.from_estimator(selector, by="class", n_neurons=3)
    with pytest.raises(ValueError, match="selection .* contains no neuron"):
        NeuronDistributionDisplay.from_estimator(selector.set_params(k=0))


@pytest.mark.slow
def test_many_classes_make_a_heat_map(pyplot):
    frame = pd.DataFrame({"class": np.repeat(TAGS, 3), "layer": np.tile([0, 1, 12], 17)})
    display = NeuronDistributionDisplay.from_frame(frame)
    assert display.bars_ == []
    np.testing.assert_array_equal(display.im_.get_array(), display.frame)
    assert _ticks(display.ax_.yaxis) == TAGS
    assert [text.get_text() for text in display.text_[:3]] == ["1", "1", "0"]


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"by": "tag"}, "'by' parameter .* got 'tag'"),
        ({}, "needs to know the layer of every column"),
        (
            {"n_layers": 5, "by": "class", "n_neurons": 3, "mass": 0.5},
            "'mass', not both",
        ),
        ({"n_layers": 5, "by": "class", "mass": 1.5}, "'mass' parameter .* Got 1.5"),
        ({"n_layers": 5, "kind": "pie"}, "'kind' parameter .* got 'pie'"),
    ],
)
def test_neurons_of_bad_parameters(ranker, kwargs, message):
    with pytest.raises(ValueError, match=message):
        NeuronDistributionDisplay.from_estimator(ranker, **kwargs)


def test_neurons_of_every_class_need_a_number():
    X, y = np.random.default_rng(0).normal(size=(9, 4)), np.tile([0, 1, 2], 3)
    ranker = ProbelessRanker().fit(X, y)
    with pytest.raises(ValueError, match="keeps all neurons.*Set the number of best"):
        NeuronDistributionDisplay.from_estimator(ranker, n_layers=2, by="class")
    with pytest.raises(ValueError, match="'mass' parameter .* got the ProbelessRanker"):
        NeuronDistributionDisplay.from_estimator(ranker, n_layers=2, by="class", mass=0.5)


@pytest.mark.parametrize(
    "frame, message",
    [
        ({"unit": [1]}, r"without the column 'layer'\) .* lacks \['neuron'\]"),
        ({"neuron": ["hidden.0.1", "x7"]}, "'x7'"),
        ({"layer": [0, None, None]}, "row 1 has none .2 such"),
        ({"layer": []}, "without rows"),
    ],
)
def test_neurons_of_a_bad_frame(frame, message):
    with pytest.raises(ValueError, match=message):
        NeuronDistributionDisplay.from_frame(pd.DataFrame(frame))


@pytest.fixture
def orders():
    rng = np.random.default_rng(0)
    return {(m, s): rng.permutation(40) for m in ("lca", "iou") for s in (0, 1)}


@pytest.mark.slow
def test_agreement_is_symmetric(pyplot, orders):
    frame = ranking_agreement(orders, k=[5, 10])
    display = RankingAgreementDisplay.from_frame(frame, measure="jaccard@10")
    names = ["lca 0", "lca 1", "iou 0", "iou 1"]
    assert _ticks(display.ax_.xaxis) == _ticks(display.ax_.yaxis) == names
    drawn = np.asarray(display.im_.get_array())
    np.testing.assert_array_equal(drawn, drawn.T)
    np.testing.assert_array_equal(np.diag(drawn), 1)
    np.testing.assert_array_equal(drawn[np.triu_indices(4, 1)], frame["jaccard@10"])
    assert display.text_[1].get_text() == f"{drawn[0, 1]:.2f}"
    assert display.im_.get_clim() == (0, 1)
    assert display.colorbar_.ax.get_ylabel() == "jaccard@10"


@pytest.mark.slow
def test_agreement_by_columns_of_parts_and_by_rankings(pyplot, orders):
    frame = ranking_agreement(orders, names=["method", "seed"])
    by_parts = RankingAgreementDisplay.from_frame(frame)
    by_rankings = RankingAgreementDisplay.from_rankings(orders)
    pd.testing.assert_frame_equal(by_parts.frame, by_rankings.frame)
    assert by_parts.measure == "jaccard@4"
    signed = RankingAgreementDisplay.from_frame(frame, measure="spearman", colorbar=False)
    assert signed.im_.get_clim() == (-1, 1) and signed.colorbar_ is None


@pytest.mark.slow
def test_agreement_of_a_part_of_the_pairs_leaves_gaps(pyplot, orders):
    display = RankingAgreementDisplay.from_frame(ranking_agreement(orders)[:3])
    assert np.isnan(display.frame.to_numpy()).sum() == 6
    assert len(display.text_) == 10


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda f: f.drop(columns="second"), r"lacks \['second'\]"),
        (lambda f: f.drop(columns="first"), r"lacks \['first'\]"),
        (lambda f: f.assign(second=f["first"]), "names one ranking twice"),
        (lambda f: pd.concat([f, f]), "occurs again"),
    ],
)
def test_agreement_of_a_bad_frame(orders, change, message):
    frame = change(ranking_agreement(orders))
    with pytest.raises(ValueError, match=f"RankingAgreementDisplay.from_frame.*{message}"):
        RankingAgreementDisplay.from_frame(frame)
    with pytest.raises(ValueError, match=r"lacks \['kappa'\]"):
        RankingAgreementDisplay.from_frame(ranking_agreement(orders), measure="kappa")


def _all_displays(ranker, predictions, orders):
    tags = pd.DataFrame({"class": np.repeat(TAGS, 13), "layer": np.tile(np.arange(13), 17)})
    scores, distribution = ClassScoresDisplay.from_predictions, NeuronDistributionDisplay.from_frame
    return [
        lambda **kw: scores(*predictions[:2], other=predictions[2], **kw),
        lambda **kw: NeuronDistributionDisplay.from_estimator(ranker, input_features=NAMES, **kw),
        lambda **kw: distribution(tags, **kw),
        lambda **kw: distribution(tags, kind="total", **kw),
        lambda **kw: RankingAgreementDisplay.from_rankings(orders, **kw),
    ]


@pytest.mark.slow
def test_displays_draw_where_told(pyplot, ranker, predictions, orders):
    for make in _all_displays(ranker, predictions, orders):
        _, ax = pyplot.subplots()
        display = make(ax=ax)
        assert display.ax_ is ax and display.figure_ is ax.figure
        assert display.plot() is display and display.ax_ is not ax


@pytest.mark.slow
@pytest.mark.parametrize("width", [3.3, 6.9])
def test_displays_are_legible_at_the_width_of_a_paper(
    pyplot, assert_legible, ranker, predictions, orders, width
):
    pyplot.rcParams.update({"font.size": 8, "figure.figsize": (width, 3)})
    for make in _all_displays(ranker, predictions, orders):
        display = make()
        assert_legible(display.figure_)
        assert display.figure_.get_figwidth() == width


@pytest.mark.slow
def test_style_of_the_user_wins(pyplot, ranker, predictions, orders):
    scores = ClassScoresDisplay.from_predictions(*predictions[:2], line_kw={"c": "red"})
    assert scores.lines_[0].get_color() == "red"
    bars = NeuronDistributionDisplay.from_estimator(ranker, n_layers=5, bar_kw={"ec": "red"})
    assert bars.bars_[0][0].get_edgecolor() == (1, 0, 0, 1)
    agreement = RankingAgreementDisplay.from_rankings(
        orders, im_kw={"cmap": "gray", "vmax": 0.5}, text_kw={"size": 4}
    )
    assert agreement.im_.get_cmap().name == "gray" and agreement.im_.get_clim() == (0, 0.5)
    assert agreement.text_[0].get_fontsize() == 4


def test_labels_are_shown_as_they_are(pyplot):
    labels = ["$x^2$", "_", "a\nb", "<script>", "w" * 60, "名詞"]
    display = ClassScoresDisplay.from_predictions(labels[:5], labels[:5], labels=labels[:5])
    assert _ticks(display.ax_.yaxis) == ["$x^2$", "'_'", "a b", "<script>", "w" * 23 + "…"]
    display.figure_.canvas.draw()
    assert not any(text.get_parse_math() for text in display.ax_.get_yticklabels())
    frame = pd.DataFrame({"class": labels[:2], "layer": 0})
    legend = NeuronDistributionDisplay.from_frame(frame).legend_
    assert [text.get_text() for text in legend.get_texts()] == ["$x^2$", "'_'"]


def test_displays_say_that_matplotlib_is_missing(monkeypatch, ranker, predictions, orders):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    cases = [
        lambda: ClassScoresDisplay.from_predictions(*predictions[:2]),
        lambda: NeuronDistributionDisplay.from_estimator(ranker, n_layers=5),
        lambda: RankingAgreementDisplay.from_rankings(orders),
    ]
    names = ["ClassScoresDisplay", "NeuronDistributionDisplay", "RankingAgreementDisplay"]
    for make, name in zip(cases, names, strict=True):
        with pytest.raises(ImportError, match=rf"{name}.plot needs .*sklearn-neurox\[plot\]"):
            make()


@pytest.mark.slow
def test_agreement_of_fitted_rankers(pyplot):
    X = np.zeros((1, 30))
    rankers = {seed: RandomRanker(random_state=seed).fit(X) for seed in range(26)}
    display = RankingAgreementDisplay.from_rankings(rankers)
    assert display.frame.shape == (26, 26)
    assert display.text_ == []  # they do not fit


@pytest.mark.slow
def test_agreement_of_rankers_of_two_kinds(pyplot, ranker):
    rankers = {"lca": ranker, "probeless": ProbelessRanker().fit(*_data())}
    display = RankingAgreementDisplay.from_rankings(rankers)
    orders = {name: fitted.order_ for name, fitted in rankers.items()}
    expected = RankingAgreementDisplay.from_rankings(orders)
    pd.testing.assert_frame_equal(display.frame, expected.frame)
    assert 0 < display.frame.to_numpy()[0, 1] < 1
