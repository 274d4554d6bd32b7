# SPDX-License-Identifier: BSD-3-Clause
"""What is drawn is what the frame says, however its rows are sorted, typed or put together."""

import io

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.inspection import (
    AblationCurveDisplay,
    ClassScoresDisplay,
    LayerProfileDisplay,
    NeuronDistributionDisplay,
    RankingAgreementDisplay,
    RegularizationPathDisplay,
    SparseProbingDisplay,
)
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.utils._names import neuron_names

SCORES = [0.5, 0.55, 0.6, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5]


def _profile(**columns):
    scores = np.array(SCORES)
    return pd.DataFrame(
        {"layer": range(12), "score": scores, "low": scores - 0.1, "high": scores + 0.05, **columns}
    )


def _ablation():
    rows = [
        {"fold": fold, "which": which, "fraction": fraction, "retrained": retrained,
         "fill": "drop" if retrained else "mean", "score": start + fraction + fold / 10}
        for fold in range(2)
        for retrained in (False, True)
        for which, start in {"top": 0.4 + 0.1 * retrained, "random": 0.3, "bottom": 0.1}.items()
        for fraction in (0.1, 0.5)
    ]  # fmt: skip
    for fold in range(2):
        rows.append(
            {"fold": fold, "which": "all", "fraction": 1.0, "retrained": False, "fill": "none",
             "score": 0.95}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _sparse(sizes=(1, 2, 10), rankers=("lasso", "random")):
    return pd.DataFrame(
        [
            {"fold": fold, "ranker": ranker, "labels": labels, "n_neurons": size,
             "score": size / 20 + fold / 10 + (labels == "true") / 5}
            for fold in range(2)
            for ranker in rankers
            for labels in ("true", "shuffled")
            for size in sizes
        ]
    )  # fmt: skip


def _from_file(frame):
    return pd.read_csv(io.StringIO(frame.to_csv()))


def _typed(frame):
    """Return the same table, with other types, and its rows in another order."""
    yield _from_file(frame)  # with a column of row numbers
    yield frame.astype(object).set_index(np.zeros(len(frame), dtype=int))
    yield frame.astype(str).sample(frac=1, random_state=0)
    names = frame.select_dtypes(exclude="number").columns
    yield frame.convert_dtypes().astype(dict.fromkeys(names, "category"))


def _outline(band):
    """Read x, low and high from the outlines of a band."""
    vertices = np.concatenate([path.vertices for path in band.get_paths()])
    x = np.unique(vertices[:, 0])
    ends = [vertices[vertices[:, 0] == place, 1] for place in x]
    return x, [y.min() for y in ends], [y.max() for y in ends]


@pytest.mark.slow
def test_profile_is_the_same_for_every_type_and_order(pyplot):
    frame = _profile()
    for given in _typed(frame):
        display = LayerProfileDisplay.from_frame(given)
        (line,), (band,) = display.lines_, display.bands_
        assert line.get_xdata().tolist() == list(range(12))
        np.testing.assert_allclose(line.get_ydata(), SCORES)
        np.testing.assert_allclose(_outline(band), frame[["layer", "low", "high"]].to_numpy().T)
        pyplot.close("all")


def test_layers_of_names_keep_the_order_of_the_frame(pyplot):
    names = ["emb", "mlp $x$", "attn", "out"]
    frame = _profile().head(4).assign(layer=names)
    display = LayerProfileDisplay.from_frame(frame, name="one")
    assert display.lines_[0].get_xdata().tolist() == [0, 1, 2, 3]
    again = LayerProfileDisplay.from_frame(frame.iloc[::-1], name="two", ax=display.ax_)
    np.testing.assert_allclose(again.lines_[0].get_ydata(), SCORES[:4])
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == names
    assert not any(text.get_parse_math() for text in display.ax_.get_xticklabels())


def test_profile_refuses_rows_that_cannot_be_drawn(pyplot):
    frame = _profile()
    wrong = {
        "row 2 has no layer \\(1 such": frame.assign(layer=[0, 1, None, *range(3, 12)]),
        "numbers in the column 'score', but row 0 has 'high' \\(12 such": frame.assign(
            score="high"
        ),
        "finite numbers in 'high', but row 0": frame.assign(high=np.inf),
        "row 0 has a 'low' above its 'high' \\(12 such": frame.rename(
            columns={"low": "high", "high": "low"}
        ),
    }
    for message, given in wrong.items():
        with pytest.raises(ValueError, match=f"LayerProfileDisplay.from_frame.*{message}"):
            LayerProfileDisplay.from_frame(given)
    with pytest.raises(ValueError, match="'baselines' parameter .* has nan for 'majority'"):
        LayerProfileDisplay.from_frame(frame, baselines={"majority": np.nan})


@pytest.mark.slow
def test_curves_are_the_same_for_every_type_and_order(pyplot):
    for given in _typed(_ablation()):
        display = AblationCurveDisplay.from_frame(given)
        assert set(display.frame["way"]) == {"filled: mean", "retrained"}
        for way, start in {"filled: mean": 0.4, "retrained": 0.5}.items():
            line, band = display.lines_[way, "top"], display.bands_[way, "top"]
            np.testing.assert_allclose(line.get_xdata(), [10, 50])
            means = np.array([start + 0.15, start + 0.55])
            np.testing.assert_allclose(line.get_ydata(), means)
            deviation = 0.1 / np.sqrt(2)  # of two numbers that differ by 0.1
            np.testing.assert_allclose(_outline(band)[1:], [means - deviation, means + deviation])
            assert display.lines_[way, "all"].get_ydata()[0] == 0.95
        pyplot.close("all")
    for given in _typed(_sparse()):
        display = SparseProbingDisplay.from_frame(given, band="range")
        np.testing.assert_allclose(display.lines_["lasso", "true"].get_xdata(), [1, 2, 10])
        means = np.array([0.05, 0.1, 0.5]) + 0.05
        np.testing.assert_allclose(display.lines_["lasso", "shuffled"].get_ydata(), means)
        low, high = _outline(display.bands_["lasso", "true"])[1:]
        np.testing.assert_allclose([low, high], [means + 0.15, means + 0.25])
        ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
        assert ticks == ["1", "2", "10"]
        pyplot.close("all")


@pytest.mark.slow
def test_means_do_not_mix_measurements():
    ablation, sparse = _ablation(), _sparse()
    for make, frame in (
        (AblationCurveDisplay.from_frame, ablation),
        (SparseProbingDisplay.from_frame, sparse),
    ):
        models = pd.concat([frame.assign(model="bert"), frame.assign(model="gpt2")])
        with pytest.raises(ValueError, match=r"the column 'model' has \['bert', 'gpt2'\]"):
            make(models)
        for both in (pd.concat([frame, frame]), pd.concat([frame.assign(layer=i) for i in (0, 1)])):
            with pytest.raises(ValueError, match="one row per measurement, but .* is repeated"):
                make(both)
    # Numbered repetitions are averaged.
    seeds = pd.concat([sparse.assign(seed=i, score=sparse["score"] + i) for i in (0, 1)])
    display = SparseProbingDisplay.from_frame(seeds)
    expected = seeds[(seeds["ranker"] == "lasso") & (seeds["labels"] == "true")]
    np.testing.assert_allclose(
        display.lines_["lasso", "true"].get_ydata(),
        [expected.loc[expected["n_neurons"] == k, "score"].mean() for k in (1, 2, 10)],
    )
    with pytest.raises(ValueError, match="True or False in the column 'retrained', but row 0"):
        AblationCurveDisplay.from_frame(ablation.assign(retrained="perhaps"))


def test_runs_are_joined_by_class(pyplot):
    one = pd.DataFrame({"class": ["a", "b", "c"], "run": "one", "score": [0.9, 0.8, 0.7]})
    other = pd.DataFrame({"class": ["c", "a"], "run": "two", "score": [0.1, 0.3]})
    display = ClassScoresDisplay(pd.concat([one, other])).plot()
    segments = [segment.tolist() for segment in display.difference_.get_segments() if len(segment)]
    assert [[0.9, 0], [0.3, 0]] in segments and [[0.7, 2], [0.1, 2]] in segments
    assert display.lines_[1].get_ydata().tolist() == [2, 0]
    with pytest.raises(ValueError, match="'class': 'a', 'run': 'one'} is repeated"):
        ClassScoresDisplay(pd.concat([one, one])).plot()
    # A second display keeps the places of the classes, in whatever order it has them.
    again = ClassScoresDisplay(other.assign(run="three")).plot(ax=display.ax_)
    assert again.lines_[0].get_ydata().tolist() == [2, 0]
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in again.legend_.get_texts()] == ["one", "two", "three"]
    colors = {line.get_color() for line in [*display.lines_, *again.lines_]}
    assert len(colors) == 3


def test_scores_beyond_0_and_1_are_in_view(pyplot):
    frame = pd.DataFrame({"class": ["a", "b"], "run": "one", "score": [-0.5, 1.4]})
    low, high = ClassScoresDisplay(frame).plot().ax_.get_xlim()
    assert low < -0.5 and high > 1.4


def test_counts_lose_no_neuron(pyplot):
    frame = pd.DataFrame({"layer": ["0", "1", "10"], "class": ["a", "b", "a"]})
    display = NeuronDistributionDisplay.from_frame(frame)
    assert display.frame.loc["a"].tolist() == [1] + [0] * 9 + [1]
    wrong = {
        "the class of every neuron, but row 1 has none": frame.assign(
            **{"class": ["a", None, "b"]}
        ),
        "layer of every neuron as a whole number, but row 2": frame.assign(layer=[0, 1, 1.5]),
        "numbers in the column 'layer', but row 0 has 'emb'": frame.assign(layer="emb"),
        "number of neurons in every row, but row 0 has none": frame.assign(n_selected=np.nan),
        "number of neurons in every row, but row 0 has a negative": frame.assign(n_selected=-1),
    }
    for message, given in wrong.items():
        with pytest.raises(ValueError, match=message):
            NeuronDistributionDisplay.from_frame(given)
    with pytest.raises(ValueError, match="has bars already"):
        NeuronDistributionDisplay.from_frame(frame, ax=display.ax_)


def test_layers_that_are_not_in_the_data_are_not_shown(pyplot):
    names = neuron_names([0, 2, 4], 3)
    ranker = ProbelessRanker().fit(np.arange(36.0).reshape(4, 9) ** 2, [0, 1, 0, 1])
    how = {"input_features": names, "n_neurons": 2}
    display = NeuronDistributionDisplay.from_estimator(ranker, **how)
    assert display.frame.columns.tolist() == [0, 2, 4]
    assert display.frame.to_numpy().sum() == 2
    assert [bar.get_x() + bar.get_width() / 2 for bar in display.bars_[0]] == [0, 2, 4]
    heat = NeuronDistributionDisplay.from_estimator(ranker, kind="heatmap", **how)
    assert [text.get_text() for text in heat.ax_.get_xticklabels()] == ["0", "2", "4"]
    assert heat.im_.get_array().tolist() == display.frame.to_numpy().tolist()
    # A frame lists the neurons that were selected, not those that could have been.
    rows = NeuronDistributionDisplay.from_frame(pd.DataFrame({"layer": [0, 2]}))
    assert rows.frame.to_numpy().tolist() == [[1, 0, 1]]


@pytest.mark.slow
def test_agreement_from_a_file_takes_a_measure(pyplot):
    frame = pd.DataFrame({"first": ["a", "a", "b"], "second": ["b", "c", "c"]})
    frame = frame.assign(**{"jaccard@5": [0.1, 0.2, 0.3], "spearman": 0.5})
    for given in (*_typed(frame), frame[["first", "spearman", "second", "jaccard@5"]]):
        measure = "spearman" if given.columns[1] == "spearman" else "jaccard@5"
        display = RankingAgreementDisplay.from_frame(given)
        assert display.measure == measure
        expected = 0.5 if measure == "spearman" else 0.2
        assert display.frame.loc["a", "c"] == display.frame.loc["c", "a"] == expected
        pyplot.close("all")


@pytest.mark.slow
def test_path_of_rows_in_any_order(pyplot):
    alphas = [0.0, 0.01, 0.1, 1.0]
    frame = pd.DataFrame(
        {"l1_ratio": 1.0, "alpha": alphas, "score": [0.7, 0.9, 0.8, 0.6], "standard_error": 0.1,
         "n_nonzero": [50, 40, 20, 0]}
    )  # fmt: skip
    for given in (frame, frame.iloc[[2, 0, 3, 1]]):
        display = RegularizationPathDisplay(given, alpha=0.01, l1_ratio=1.0).plot()
        assert display.lines_[0].get_xdata().tolist() == alphas[::-1]
        assert display.nonzero_lines_[0].get_ydata().tolist() == [0, 20, 40, 50]
        # No penalty at all has a place on the axis.
        display.figure_.canvas.draw()
        shown = display.ax_.transData.transform([(alpha, 0.7) for alpha in alphas])[:, 0]
        assert np.isfinite(shown).all() and (np.diff(shown) > 10).all()
