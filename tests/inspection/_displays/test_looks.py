# SPDX-License-Identifier: BSD-3-Clause
"""Plots stay readable: names are apart, on dark pages too, and displays share axes."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from sklearn_neurox.inspection import (
    AblationCurveDisplay,
    ClassScoresDisplay,
    LayerProfileDisplay,
    NeuronDistributionDisplay,
    RankingAgreementDisplay,
    RegularizationPathDisplay,
    SparseProbingDisplay,
)
from sklearn_neurox.inspection._displays._labels import plain_labels

HARD = [
    "NOUN$a$",
    "_x",
    "a&b",
    "<b>",
    "שלום עולם",
    "line\nbreak",
    "",
    "w" * 40 + "1",
    "w" * 40 + "2",
]


def _profile(n_layers=4, start=0.6):
    scores = np.linspace(start, 0.9, n_layers)
    return pd.DataFrame(
        {"layer": range(n_layers), "score": scores, "low": scores - 0.02, "high": scores + 0.02}
    )


def _ablation(fractions=(0.1, 0.5), shift=0.0):
    return pd.DataFrame(
        [
            {"which": which, "fraction": fraction, "retrained": retrained, "fill": "mean",
             "fold": fold, "score": start + fraction / 5 + shift + fold / 50}
            for which, start in {"top": 0.7, "random": 0.5, "bottom": 0.2, "all": 0.9}.items()
            for fraction in (fractions if which != "all" else [0])
            for retrained in ((False, True) if which != "all" else [False])
            for fold in range(2)
        ]
    )  # fmt: skip


def _sparse(sizes, rankers=("lasso", "random")):
    return pd.DataFrame(
        [
            {"ranker": ranker, "labels": labels, "n_neurons": size, "score": size / 100}
            for ranker in rankers
            for labels in ("true", "shuffled")
            for size in sizes
        ]
    )


def _path(alphas):
    return pd.DataFrame(
        {"l1_ratio": 1.0, "alpha": alphas, "score": 0.8, "standard_error": 0.1, "n_nonzero": 5}
    )


def _agreement(names):
    return pd.DataFrame(
        [(one, other, 0.5) for one, other in combinations(names, 2)],
        columns=["first", "second", "jaccard"],
    )


def _classes(names):
    return pd.DataFrame({"class": names, "run": "one", "score": 0.5})


def test_names_that_differ_look_different():
    names = [f"Case=Nom|Number=Sing|Gender={i}|Person=3" for i in range(60)]
    for given in (names, HARD, ["x" * 30, "x" * 31], [1, "one", True]):
        shown = plain_labels(given)
        assert len(set(shown)) == len(set(map(str, given)))
        assert all(text and not text.startswith("_") and "\n" not in text for text in shown)
    assert plain_labels(["w" * 60, "v"]) == ["w" * 23 + "…", "v"]


@pytest.mark.slow
def test_names_and_numbers_are_apart(pyplot, assert_legible):
    small, tags = {"figsize": (3.3, 3)}, [f"C{i}" for i in range(60)]
    layers = pd.DataFrame({"layer": np.arange(720) % 33, "class": np.repeat(tags, 12)})
    every_size = [*range(1, 11), 12, 16, 20, 32, 64, 100, 128, 1024, 2048]
    displays = [
        LayerProfileDisplay.from_frame(_profile(33), **small),
        LayerProfileDisplay.from_frame(
            _profile(13).assign(layer=[f"a long name {i}" for i in range(13)]), **small
        ),
        LayerProfileDisplay.from_frame(
            _profile(), score_name="a score of many words " * 3, **small
        ),
        AblationCurveDisplay.from_frame(_ablation((0.0001, 0.0002, 0.001, 0.5)), **small),
        SparseProbingDisplay.from_frame(_sparse(every_size), **small),
        RegularizationPathDisplay(_path([0.012, 0.013, 0.015, 0.02]), alpha=0.015, l1_ratio=1).plot(
            **small
        ),
        ClassScoresDisplay(_classes(tags)).plot(**small),
        ClassScoresDisplay(_classes(HARD)).plot(**small),
        NeuronDistributionDisplay.from_frame(layers, **small),
        NeuronDistributionDisplay.from_frame(layers.assign(layer=5)),
        RankingAgreementDisplay.from_frame(_agreement(HARD), **small),
        RankingAgreementDisplay.from_frame(_agreement(tags)),
    ]
    for display in displays:
        assert_legible(display.figure_)
        texts = display.ax_.get_xticklabels() + display.ax_.get_yticklabels()
        assert all(text.get_fontsize() >= 4 for text in texts)


def test_one_layer_has_one_tick(pyplot):
    ranked = pd.DataFrame({"layer": [5, 5, 5]})
    for display in (
        LayerProfileDisplay.from_frame(_profile(1).assign(layer=5)),
        NeuronDistributionDisplay.from_frame(ranked),
    ):
        low, high = display.ax_.get_xlim()
        assert [tick for tick in display.ax_.get_xticks() if low <= tick <= high] == [5]
    assert high - low > 2  # the bar is not as wide as the axes


@pytest.mark.slow
def test_small_fractions_have_room(pyplot):
    display = AblationCurveDisplay.from_frame(_ablation((0.001, 0.01, 0.2)))
    places = display.ax_.transData.transform([(x, 0.5) for x in (0.1, 1, 20)])[:, 0]
    assert np.diff(places).min() > 0.3 * np.ptp(places)
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["0.1", "1", "20"]
    assert AblationCurveDisplay.from_frame(_ablation()).ax_.get_xscale() == "linear"


@pytest.mark.slow
def test_panels_keep_their_room_in_small_figures(pyplot, assert_legible):
    for frame in (_ablation((0.1, 0.15, 0.2)), _ablation((0.01, 0.05, 0.1, 0.5))):
        for size, n_rows in (((3.3, 2.2), 1), ((3.3, 2.9), 1), ((3.3, 4), 2), ((5, 4), 1)):
            display = AblationCurveDisplay.from_frame(frame, figsize=size)
            assert_legible(display.figure_)
            rows = {ax.get_subplotspec().rowspan.start for ax in display.axes_}
            assert len(display.axes_) == 2 and len(rows) == n_rows
            for ax in display.axes_:
                box = ax.get_window_extent()
                assert min(box.width, box.height) > 0.8 * display.figure_.dpi


@pytest.mark.slow
def test_legends_leave_the_plot_its_room(pyplot, assert_legible):
    rankers = [*(f"method {i}" for i in range(11)), "_hidden", "a long name of a method " * 3]
    ratios = pd.concat([_path([1, 0.1]).assign(l1_ratio=i) for i in range(7)])
    displays = [
        SparseProbingDisplay.from_frame(_sparse([1, 2], rankers), figsize=(3.3, 3)),
        LayerProfileDisplay.from_frame(
            _profile(), baselines={f"baseline {i}": i / 10 for i in range(6)}, figsize=(3.3, 2.6)
        ),
        RegularizationPathDisplay(ratios, alpha=1, l1_ratio=1).plot(figsize=(3.3, 2.4)),
        SparseProbingDisplay.from_frame(_sparse([1, 2], rankers)),
    ]
    for display in displays:
        assert_legible(display.figure_)
        height = display.ax_.get_window_extent().height
        assert height > 0.25 * display.figure_.bbox.height
    names = [text.get_text() for text in displays[0].legend_.get_texts()]
    assert len(names) == len(rankers) + 1 and names[-1] == "shuffled labels"
    assert any(name.startswith("'_hidden'") for name in names)


@pytest.mark.slow
def test_a_power_of_ten_is_not_under_the_legend(pyplot):
    for size in (1e9, 1e-9):
        frame = _profile()
        scaled = frame.assign(**{name: size * frame[name] for name in ("score", "low", "high")})
        display = LayerProfileDisplay.from_frame(scaled)
        display.figure_.canvas.draw()
        power = display.ax_.yaxis.get_offset_text()
        assert power.get_text()
        legend = display.legend_.get_window_extent()
        assert not legend.overlaps(power.get_window_extent())


@pytest.mark.slow
def test_dark_pages(pyplot):
    ratios = pd.concat([_path([1, 0.1]).assign(l1_ratio=i) for i in range(7)])
    counts = pd.DataFrame({"layer": 0, "class": list("abcdefg")})
    with pyplot.style.context("dark_background"):
        displays = [
            LayerProfileDisplay.from_frame(_profile(), baselines={"majority": 0.2}),
            AblationCurveDisplay.from_frame(_ablation()),
            SparseProbingDisplay.from_frame(_sparse([1, 2], list("abcdefg"))),
            RegularizationPathDisplay(ratios, alpha=1, l1_ratio=1).plot(),
            ClassScoresDisplay(_classes(HARD)).plot(),
        ]
        bars = NeuronDistributionDisplay.from_frame(counts)
    for display in displays:
        for ax in display.figure_.axes:
            for line in ax.lines:
                assert max(to_rgb(line.get_color())) > 0.55
            for line in filter(lambda line: line.get_visible(), ax.get_ygridlines()):
                assert (line.get_alpha() or 1) * max(to_rgb(line.get_color())) < 0.5
            for text in ax.texts:
                assert max(to_rgb(text.get_color())) > 0.55
    assert all(max(part[0].get_facecolor()[:3]) > 0.55 for part in bars.bars_)


def test_the_settings_of_the_user_stay(pyplot):
    pyplot.rcParams.update(
        {"xtick.labelsize": 5, "legend.fontsize": 4, "axes.grid": True, "grid.color": "red"}
    )
    display = LayerProfileDisplay.from_frame(_profile())
    assert {text.get_fontsize() for text in display.ax_.get_xticklabels()} == {5}
    assert {text.get_fontsize() for text in display.legend_.get_texts()} == {4}
    assert {line.get_color() for line in display.ax_.get_ygridlines()} == {"red"}


@pytest.mark.slow
def test_several_displays_on_one_axes_can_be_told_apart(pyplot):
    _, ax = pyplot.subplots()
    profiles = [
        LayerProfileDisplay.from_frame(_profile(), name=f"m{i}", ax=ax, baselines={"majority": 0.2})
        for i in range(9)
    ]
    looks = {(p.lines_[0].get_color(), p.lines_[0].get_marker()) for p in profiles}
    assert len(looks) == 9
    names = [text.get_text() for text in profiles[-1].legend_.get_texts()]
    # Not nine times the same baseline.
    assert sorted(names) == sorted([f"m{i}" for i in range(9)] + ["majority", "interval"])
    other = LayerProfileDisplay.from_frame(_profile(), name="z", ax=ax, baselines={"majority": 0.3})
    assert "majority (z)" in [text.get_text() for text in other.legend_.get_texts()]

    _, ax = pyplot.subplots()
    SparseProbingDisplay.from_frame(_sparse([1, 4], ["lasso"]), ax=ax)
    second = SparseProbingDisplay.from_frame(_sparse([1, 16], ["ridge"]), ax=ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "4", "16"]
    names = [text.get_text() for text in second.legend_.get_texts()]
    assert names == ["lasso", "ridge", "shuffled labels"]
    assert len({line.get_color() for line in ax.lines}) == 2

    _, ax = pyplot.subplots()
    filled = _ablation().query("which == 'all' or not retrained")
    one = AblationCurveDisplay.from_frame(filled, name="BERT", ax=ax)
    two = AblationCurveDisplay.from_frame(filled, name="GPT-2", ax=ax, baselines={"chance": 0.1})
    styles = [d.lines_["filled: mean", "top"].get_linestyle() for d in (one, two)]
    assert styles == ["-", "--"]
    names = [text.get_text() for text in two.legend_.get_texts()]
    assert names[4:7] == ["BERT", "GPT-2", "chance"]

    _, ax = pyplot.subplots()
    for name in ("one", "two"):
        path = RegularizationPathDisplay(_path([1, 0.1]), alpha=1, l1_ratio=1, name=name).plot(
            ax=ax
        )
    assert len(ax.figure.axes) == 2  # one second axes for both
    assert [text.get_text() for text in path.legend_.get_texts()][:2] == ["one", "two"]


@pytest.mark.slow
def test_curves_with_baselines(pyplot):
    sparse = SparseProbingDisplay.from_frame(_sparse([1, 2]), baselines={"chance": 0.25})
    ablation = AblationCurveDisplay.from_frame(_ablation(), baselines={"chance": 0.25})
    assert len(sparse.baseline_lines_) == 1 and len(ablation.baseline_lines_) == 2
    for display in (sparse, ablation):
        assert {line.get_ydata()[0] for line in display.baseline_lines_} == {0.25}
        assert "chance" in [text.get_text() for text in display.legend_.get_texts()]
