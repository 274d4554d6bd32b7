# SPDX-License-Identifier: BSD-3-Clause
"""The displays with lines: layer profile, ablation curve, regularization path."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.ablation import ablation_curve, ablation_table
from sklearn_neurox.evaluation import interval_table, layer_profile, sparse_probing_curve
from sklearn_neurox.inspection import (
    AblationCurveDisplay,
    LayerProfileDisplay,
    RegularizationPathDisplay,
    SparseProbingDisplay,
)
from sklearn_neurox.probes import ElasticNetProbeClassifierCV, ElasticNetProbeRegressorCV
from sklearn_neurox.ranking import ProbelessRanker, RandomRanker
from sklearn_neurox.utils._names import neuron_names

WIDTHS = (3.3, 6.9)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1, 2], 20)
    X = rng.normal(size=(60, 12)).astype(np.float32)
    X[:, 4:6] += y[:, None]  # only layer 1 of 3 is informative
    return X, y, np.repeat(np.arange(12), 5)


@pytest.fixture(scope="module")
def curve(data):
    X, y, groups = data
    return ablation_curve(
        LogisticRegression(), X, y, ranker=ProbelessRanker(), fractions=(0.1, 0.25, 0.5),
        fill=["mean", "zero"], n_draws=4, cv=3, groups=groups, random_state=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def path(data):
    X, y, groups = data
    probe = ElasticNetProbeClassifierCV([0.2, 0.8], alphas=5, cv=3, random_state=0)
    return probe.fit(X, y, groups=groups)


@pytest.fixture
def profile():
    return pd.DataFrame(
        {
            "component": ["hidden"] * 3 + ["mlp"] * 2,
            "layer": [2, 0, 1, 1, 2],
            "score": [0.7, 0.5, 0.9, 0.6, 0.65],
            "low": [0.6, 0.4, 0.8, 0.5, 0.6],
            "high": [0.8, 0.6, 0.95, 0.7, 0.7],
            "p_value": 0.5,
        }
    )


def _band(collection):
    """Read x, low and high of `fill_between` from its outline."""
    vertices = collection.get_paths()[0].vertices
    x = np.unique(vertices[:, 0])
    at = [vertices[vertices[:, 0] == place, 1] for place in x]
    return x, [y.min() for y in at], [y.max() for y in at]


def test_profile_draws_its_frame(pyplot, profile):
    before = profile.copy()
    display = LayerProfileDisplay.from_frame(profile, score_name="accuracy")
    pd.testing.assert_frame_equal(profile, before)
    hidden, mlp = display.lines_
    assert hidden.get_xdata().tolist() == [0, 1, 2] and mlp.get_xdata().tolist() == [1, 2]
    assert hidden.get_ydata().tolist() == [0.5, 0.9, 0.7]
    np.testing.assert_allclose(
        _band(display.bands_[0]), [[0, 1, 2], [0.4, 0.8, 0.6], [0.6, 0.95, 0.8]]
    )
    assert display.ax_.get_xlabel() == "layer" and display.ax_.get_ylabel() == "accuracy"
    assert [text.get_text() for text in display.legend_.get_texts()] == [
        "hidden",
        "mlp",
        "interval",
    ]
    assert display.figure_ is display.ax_.figure


def test_profile_without_interval_or_components(pyplot):
    frame = pd.DataFrame({"layer": [0, 1], "score": [0.5, 0.6]})
    display = LayerProfileDisplay.from_frame(frame)
    assert display.bands_ == [] and display.legend_ is None


def test_profile_of_layers_told_by_number(pyplot):
    frame = pd.DataFrame({"name": ["0", "1"], "component": pd.NA, "layer": [0, 1], "score": [1, 2]})
    display = LayerProfileDisplay.from_frame(frame, name="tags")
    assert display.lines_[0].get_ydata().tolist() == [1, 2]
    assert len(display.lines_) == 1 and display.lines_[0].get_label() == "tags"


def test_profiles_of_two_tasks_share_axes(pyplot, profile):
    frame = profile[profile["component"] == "hidden"]
    first = LayerProfileDisplay.from_frame(frame, name="tags")
    second = LayerProfileDisplay.from_frame(frame, name="tense", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert first.lines_[0].get_color() != second.lines_[0].get_color()
    assert [text.get_text() for text in second.legend_.get_texts()] == ["tags", "tense", "interval"]


@pytest.mark.slow
def test_profile_with_baselines(pyplot, profile, assert_legible):
    frame = profile[profile["component"] == "hidden"]
    table = pd.DataFrame({"name": ["majority", "word type", "probe"], "score": [0.3, 0.75, 0.9]})
    for given in (table, {"majority": 0.3, "word type": 0.75}):
        display = LayerProfileDisplay.from_frame(frame, baselines=given, band_name="95% interval")
        names = [text.get_text() for text in display.legend_.get_texts()]
        assert names == ["probe", "majority", "word type", "95% interval"]
        assert [line.get_ydata()[0] for line in display.baseline_lines_] == [0.3, 0.75]
        assert_legible(display.figure_)
        again = LayerProfileDisplay.from_frame(frame, ax=display.ax_)
        # Baselines are not counted as series.
        assert again.lines_[0].get_color() == "#D55E00"
    named = LayerProfileDisplay.from_frame(frame, name="BERT", baselines=table)
    assert named.lines_[0].get_label() == "BERT"
    wrong = {
        "but its 'baselines' parameter lacks \\['score'\\]": table[["name"]],
        "^The 'baselines' parameter of LayerProfileDisplay must be a DataFrame": 0.3,
        "one number for each baseline, but that of 'majority' is '0.3'": {"majority": "0.3"},
    }
    for message, given in wrong.items():
        with pytest.raises((TypeError, ValueError), match=message):
            LayerProfileDisplay.from_frame(frame, baselines=given)
        # Before the probes are fitted, here to nothing.
        with pytest.raises((TypeError, ValueError), match=message):
            LayerProfileDisplay.from_estimator(None, None, None, groups=None, baselines=given)


@pytest.mark.slow
def test_a_cut_axis_is_marked(pyplot, profile):
    display = LayerProfileDisplay.from_frame(profile)
    (mark,) = (text for text in display.ax_.texts if text.get_text() == "//")
    assert mark.get_visible()
    display.ax_.set_ylim(0, 1)
    assert not mark.get_visible()
    LayerProfileDisplay.from_frame(profile, ax=display.ax_)
    assert [text.get_text() for text in display.ax_.texts] == ["//"]
    display.ax_.set_ylim(0.1, 1)
    assert mark.get_visible()
    zero = LayerProfileDisplay.from_frame(profile.assign(low=-0.1))
    assert not zero.ax_.texts[0].get_visible()


@pytest.mark.slow
def test_profile_of_an_estimator_is_that_of_evaluation(pyplot, data):
    X, y, groups = data
    frame = pd.DataFrame(X, columns=neuron_names([0, 1, 2], 4))
    how = {"groups": groups, "cv": 3, "confidence": 0.8}
    display = LayerProfileDisplay.from_estimator(LogisticRegression(), frame, y, **how)
    profile = layer_profile(LogisticRegression(), frame, y, **how)
    columns = ["component", "layer", "score", "low", "high"]
    pd.testing.assert_frame_equal(display.frame, profile[columns])
    for layer in range(3):
        block = X[:, 4 * layer : 4 * layer + 4]
        predicted = cross_val_predict(
            LogisticRegression(), block, y, cv=GroupKFold(3), groups=groups
        )
        assert display.lines_[0].get_ydata()[layer] == np.mean(predicted == y)
    assert profile["score"].idxmax() == 1 and (profile["low"] < profile["high"]).all()
    _, low, high = _band(display.bands_[0])
    np.testing.assert_allclose([low, high], profile[["low", "high"]].T)
    by_number = LayerProfileDisplay.from_estimator(LogisticRegression(), X, y, n_layers=3, **how)
    pd.testing.assert_frame_equal(by_number.frame, profile[columns[1:]])
    assert by_number.score_name == "accuracy"


@pytest.mark.slow
def test_profile_of_activations_made_in_every_fold(pyplot, data):
    X, y, groups = data
    how = {"groups": groups, "input_features": neuron_names([0, 1, 2], 4)}
    display = LayerProfileDisplay.from_estimator(Ridge(), X, y, features=StandardScaler(), **how)
    profile = layer_profile(Ridge(), X, y, features=StandardScaler(), **how)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), profile["score"])
    for more in ("return_words", "return_pairs"):
        again = LayerProfileDisplay.from_estimator(
            Ridge(), X, y, features=StandardScaler(), **how, **{more: True}
        )
        np.testing.assert_array_equal(again.lines_[0].get_ydata(), profile["score"])


@pytest.mark.slow
def test_profile_frame_of_evaluation_of_two_components(pyplot, data):
    X, y, groups = data
    names = np.r_[neuron_names([0, 1], 3), neuron_names([0, 1], 3, component="mlp")]
    profile = layer_profile(LogisticRegression(), X, y, groups=groups, input_features=names)
    display = LayerProfileDisplay.from_frame(profile)
    assert [line.get_label() for line in display.lines_] == ["hidden", "mlp"]
    drawn = np.concatenate([line.get_ydata() for line in display.lines_])
    np.testing.assert_array_equal(drawn, profile["score"])


@pytest.mark.slow
def test_profile_of_a_regressor_names_its_score(pyplot, data):
    X, y, groups = data
    for scoring, name in ((None, "R²"), ("neg_mean_squared_error", "neg mean squared error")):
        display = LayerProfileDisplay.from_estimator(
            Ridge(), X, y, n_layers=3, groups=groups, scoring=scoring
        )
        assert display.ax_.get_ylabel() == name


def test_profile_needs_layers(data):
    X, y, groups = data
    with pytest.raises(ValueError, match="needs to know the layer of every column"):
        LayerProfileDisplay.from_estimator(LogisticRegression(), X, y, groups=groups)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"columns": "score"}, r"reads the columns .* lacks \['score'\]"),
        ({"columns": "layer"}, r"lacks \['layer'\]"),
        ({"columns": "low"}, r"lacks \['low'\]"),
        (
            {"columns": "component"},
            r"one row per value.*\{'layer': 1\}.*2 such",
        ),
        ({"index": range(5)}, "without rows"),
    ],
)
def test_profile_tells_what_is_wrong_with_a_frame(profile, change, message):
    with pytest.raises(ValueError, match=f"LayerProfileDisplay.from_frame.*{message}"):
        LayerProfileDisplay.from_frame(profile.drop(**change))


@pytest.mark.slow
def test_curve_draws_means_and_spread(pyplot, curve):
    display = AblationCurveDisplay.from_frame(curve, score_name="accuracy")
    ways = ["filled: mean", "filled: zero", "retrained"]
    assert display.frame["way"].unique().tolist() == ways
    assert len(display.axes_) == 3 and display.ax_ is display.axes_[0]
    assert [ax.get_title(loc="left") for ax in display.axes_] == ways
    assert display.axes_[2].get_ylim() == display.axes_[0].get_ylim()
    for retrained, fill, way in ((False, "zero", "filled: zero"), (True, "drop", "retrained")):
        for which in ("top", "random", "bottom"):
            chosen = curve[
                (curve["retrained"] == retrained)
                & (curve["fill"] == fill)
                & (curve["which"] == which)
            ]
            scores = chosen.groupby("fraction")["score"]
            line = display.lines_[way, which]
            assert line.get_xdata().tolist() == [10, 25, 50]
            np.testing.assert_allclose(line.get_ydata(), scores.mean())
            _, low, high = _band(display.bands_[way, which])
            np.testing.assert_allclose(low, scores.mean() - scores.std())
            np.testing.assert_allclose(high, scores.mean() + scores.std())
    everything = curve.loc[curve["which"] == "all", "score"].mean()
    assert display.lines_["retrained", "all"].get_ydata() == pytest.approx([everything] * 2)
    names = [text.get_text() for text in display.legend_.get_texts()]
    assert names == ["top", "random", "bottom", "all neurons", "± 1 standard deviation"]


@pytest.mark.slow
def test_curve_with_its_range(pyplot, curve):
    display = AblationCurveDisplay.from_frame(curve, band="range")
    scores = curve.query("which == 'random' and fill == 'mean'").groupby("fraction")["score"]
    _, low, high = _band(display.bands_["filled: mean", "random"])
    np.testing.assert_array_equal(low, scores.min())
    np.testing.assert_array_equal(high, scores.max())


def test_curve_on_one_axes_tells_ways_by_line_style(pyplot, curve):
    _, ax = pyplot.subplots()
    display = AblationCurveDisplay.from_frame(curve, ax=ax)
    assert display.axes_.tolist() == [ax] and display.figure_ is ax.figure
    styles = {display.lines_[way, "top"].get_linestyle() for way in display.frame["way"].unique()}
    assert len(styles) == 3
    names = [text.get_text() for text in display.legend_.get_texts()]
    assert names[4:-1] == ["filled: mean", "filled: zero", "retrained"]


def test_curve_on_several_axes(pyplot, curve):
    figure, axes = pyplot.subplots(1, 3)
    display = AblationCurveDisplay.from_frame(curve, ax=axes)
    assert display.axes_.tolist() == axes.tolist()
    with pytest.raises(ValueError, match="must be one axes or 3 axes, one for each of .*got 2"):
        AblationCurveDisplay.from_frame(curve, ax=axes[:2])


@pytest.mark.slow
def test_curve_of_one_measurement_has_no_spread(pyplot, curve):
    display = AblationCurveDisplay.from_frame(curve[curve["fold"] == 0].query("draw == 0"))
    np.testing.assert_array_equal(display.frame["low"], display.frame["high"])


@pytest.mark.slow
def test_curve_of_an_estimator(pyplot, data, curve):
    X, y, groups = data
    probe = make_pipeline(StandardScaler(), LogisticRegression())
    display = AblationCurveDisplay.from_estimator(
        probe, X, y, fractions=(0.5,), n_draws=1, retrain=True, cv=3, groups=groups, random_state=0
    )
    curve = ablation_curve(
        probe, X, y, fractions=(0.5,), n_draws=1, retrain=True, cv=3, groups=groups, random_state=0
    )
    top = curve.query("which == 'top'")["score"].mean()
    assert display.lines_["retrained", "top"].get_ydata() == pytest.approx([top])
    assert display.ax_.get_ylabel() == "accuracy"


def test_curve_of_one_ranking_of_a_table(pyplot):
    frame = pd.DataFrame(
        {"which": ["top", "top", "random", "all"], "fraction": 0.1, "retrained": True,
         "fill": "drop", "score": 0.5, "ranking": ["a", "b", "random", "all"]}
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"draws one ranking.* has \['a', 'b'\]"):
        AblationCurveDisplay.from_frame(frame)
    display = AblationCurveDisplay.from_frame(frame[frame["ranking"] != "b"])
    assert set(display.lines_) == {("retrained", w) for w in ("top", "random", "all")}


@pytest.mark.slow
def test_curve_of_a_measured_table(pyplot, data):
    X, y, groups = data
    table = ablation_table(
        X, y, rankings={"probeless": ProbelessRanker(), "random order": RandomRanker()},
        probes={"linear": LogisticRegression(), "naive": GaussianNB()}, fractions=(0.25, 0.5),
        n_draws=2, cv=3, groups=groups, random_state=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"draws one probe.*\['linear', 'naive'\]. Keep the rows"):
        AblationCurveDisplay.from_frame(table)
    linear = table[table["probe"] == "linear"]
    with pytest.raises(ValueError, match=r"draws one ranking.*'probeless', 'random order'"):
        AblationCurveDisplay.from_frame(linear)
    chosen = linear[linear["ranking"].isin(["probeless", "random", "all"])]
    display = AblationCurveDisplay.from_frame(chosen)
    for which in ("top", "random", "bottom"):
        scores = chosen[chosen["retrained"] & (chosen["which"] == which)].groupby("fraction")
        drawn = display.lines_["retrained", which].get_ydata()
        np.testing.assert_allclose(drawn, scores["score"].mean())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.drop(columns=["fill", "which"]), r"lacks \['which', 'fill'\]"),
        (lambda c: c.assign(which="best"), r"'top', 'random' or 'bottom', got \['best'\]"),
        (lambda c: c[c["which"] == "all"], "got none"),
        (lambda c: c[:0], "without rows"),
    ],
)
def test_curve_tells_what_is_wrong_with_a_frame(curve, change, message):
    with pytest.raises(ValueError, match=message):
        AblationCurveDisplay.from_frame(change(curve))


def test_curve_takes_no_other_band(curve):
    with pytest.raises(ValueError, match="'band' parameter of AblationCurveDisplay.from_frame"):
        AblationCurveDisplay.from_frame(curve, band="sem")


@pytest.mark.slow
def test_path_draws_scores_errors_and_weights(pyplot, path):
    display = RegularizationPathDisplay.from_estimator(path)
    for number in range(2):
        line, nonzero = display.lines_[number], display.nonzero_lines_[number]
        scores = path.scores_[:, number]
        np.testing.assert_array_equal(line.get_xdata(), path.alphas_[number])
        np.testing.assert_allclose(line.get_ydata(), scores.mean(axis=0))
        np.testing.assert_allclose(nonzero.get_ydata(), path.n_nonzero_[:, number].mean(axis=0))
        _, low, high = _band(display.bands_[number])
        error = scores.std(axis=0, ddof=1) / np.sqrt(3)
        np.testing.assert_allclose(high[::-1], scores.mean(axis=0) + error)
        np.testing.assert_allclose(low[::-1], scores.mean(axis=0) - error)
    assert display.ax_.get_xscale() == "log"
    assert display.chosen_line_.get_xdata() == [path.alpha_] * 2
    assert display.chosen_point_.get_xdata().tolist() == [path.alpha_]
    ratio = [0.2, 0.8].index(path.l1_ratio_)
    expected = path.scores_[:, ratio, path.alphas_[ratio] == path.alpha_].mean()
    assert display.chosen_point_.get_ydata() == pytest.approx([expected])
    assert display.ax_nonzero_.get_ylabel() == "non-zero weights"


@pytest.mark.slow
def test_path_of_one_ratio_on_given_axes(pyplot, data):
    X, y, groups = data
    probe = ElasticNetProbeRegressorCV(alphas=4, cv=3, random_state=0).fit(X, y, groups=groups)
    _, ax = pyplot.subplots()
    display = RegularizationPathDisplay.from_estimator(probe, ax=ax)
    assert display.ax_ is ax and display.ax_.get_ylabel() == "R²"
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), probe.alphas_)


@pytest.mark.slow
def test_path_of_a_regressor_of_several_ratios(pyplot, data):
    X, y, groups = data
    probe = ElasticNetProbeRegressorCV([0.2, 0.5, 0.9], alphas=4, cv=3, random_state=0)
    probe.fit(X, y, groups=groups)
    display = RegularizationPathDisplay.from_estimator(probe)
    assert len(display.lines_) == len(display.nonzero_lines_) == 3
    for number, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), probe.alphas_[number])
        np.testing.assert_allclose(line.get_ydata(), probe.scores_[:, number].mean(axis=0))
    assert display.chosen_point_.get_xdata().tolist() == [probe.alpha_]
    ratio = [0.2, 0.5, 0.9].index(probe.l1_ratio_)
    expected = probe.scores_[:, ratio, probe.alphas_[ratio] == probe.alpha_].mean()
    assert display.chosen_point_.get_ydata() == pytest.approx([expected])


def test_path_needs_a_fitted_path(data):
    with pytest.raises(NotFittedError):
        RegularizationPathDisplay.from_estimator(ElasticNetProbeClassifierCV())
    with pytest.raises(TypeError, match="LogisticRegression has no 'alphas_'"):
        RegularizationPathDisplay.from_estimator(LogisticRegression().fit(*data[:2]))


def _all_displays(profile, curve, path, **kwargs):
    return [
        LayerProfileDisplay.from_frame(profile, **kwargs),
        AblationCurveDisplay.from_frame(curve, **kwargs),
        RegularizationPathDisplay.from_estimator(path, **kwargs),
    ]


@pytest.mark.slow
def test_style_of_the_user_wins(pyplot, profile, curve, path):
    displays = _all_displays(
        profile, curve, path, line_kw={"c": "red", "lw": 7}, band_kw={"alpha": 0.9},
        legend_kw={"loc": "lower right"},
    )  # fmt: skip
    for display in displays:
        lines = display.lines_
        for line in lines.values() if isinstance(lines, dict) else lines:
            assert line.get_color() == "red" and line.get_linewidth() == 7
        bands = display.bands_
        for band in bands.values() if isinstance(bands, dict) else bands:
            assert band.get_alpha() == 0.9


@pytest.mark.slow
def test_displays_plot_again(pyplot, profile, curve, path):
    for display in _all_displays(profile, curve, path):
        first = display.figure_
        assert display.plot() is display and display.figure_ is not first


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_displays_are_legible_at_the_width_of_a_paper(
    pyplot, assert_legible, profile, curve, path, width
):
    pyplot.rcParams["font.size"] = 8
    height = 3 if width > 5 else 5
    for display in _all_displays(profile, curve, path, figsize=(width, height)):
        assert_legible(display.figure_)
        assert display.figure_.get_size_inches().tolist() == [width, height]


@pytest.mark.slow
def test_displays_say_that_matplotlib_is_missing(monkeypatch, profile, curve, path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    cases = [
        (LayerProfileDisplay.from_frame, profile),
        (AblationCurveDisplay.from_frame, curve),
        (RegularizationPathDisplay.from_estimator, path),
    ]
    for make, argument in cases:
        name = make.__self__.__name__
        with pytest.raises(ImportError, match=rf"{name}.plot needs .*sklearn-neurox\[plot\]"):
            make(argument)


@pytest.mark.slow
def test_intervals_are_those_of_the_outcomes(pyplot, data):
    X, y, groups = data
    how = {"groups": groups, "cv": 3, "random_state": 0}
    few = {"fractions": [2, 4], "n_draws": 2, "retrain": False}
    curve, words = ablation_curve(LogisticRegression(), X, y, **how, **few, return_words=True)
    table = interval_table(words, by=["which", "n_neurons"], confidence=0.8)
    table = table.set_index(["which", "n_neurons"])
    display = AblationCurveDisplay.from_frame(curve, band="interval", words=words, confidence=0.8)
    same = AblationCurveDisplay.from_estimator(
        LogisticRegression(), X, y, band="interval", confidence=0.8, **how, **few
    )
    pd.testing.assert_frame_equal(display.frame, same.frame)
    for which in ("top", "random", "bottom"):
        _, low, high = _band(display.bands_["filled: mean", which])
        np.testing.assert_allclose([low, high], table.loc[which, ["low", "high"]].T)
    assert display.legend_.get_texts()[-1].get_text() == "80% interval"
    with pytest.raises(ValueError, match="return_words=True, and pass the second frame as words"):
        AblationCurveDisplay.from_frame(curve, band="interval")

    few = {"n_neurons": [1, 2], "n_random": 1, "estimator": LogisticRegression()}
    curve, words = sparse_probing_curve(X, y == 1, **how, **few, return_words=True)
    display = SparseProbingDisplay.from_frame(curve, band="interval", words=words)
    table = interval_table(words, by=["ranker", "labels", "n_neurons"])
    for (ranker, labels), own in table.groupby(["ranker", "labels"]):
        _, low, high = _band(display.bands_[ranker, labels])
        np.testing.assert_allclose([low, high], own[["low", "high"]].T)
    assert display.legend_.get_texts()[-1].get_text() == "95% interval"
