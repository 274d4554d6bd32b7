# SPDX-License-Identifier: BSD-3-Clause
"""Every band is visible, and the legend says what it is; there is none without a spread."""

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.inspection import (
    AblationCurveDisplay,
    LayerProfileDisplay,
    RegularizationPathDisplay,
    SparseProbingDisplay,
)


def _names(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def _height_of_ink(figure, color):
    """Measure how many pixels of one column at most have a tint of a color."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    tint = np.abs(pixels - color).sum(axis=2) < 12
    return tint.sum(axis=0).max()


@pytest.mark.slow
def test_a_point_without_neighbors_has_a_visible_band(pyplot):
    tint = np.array([204, 227, 240])  # the first color, a fifth of it over white
    frame = pd.DataFrame({"layer": [0], "score": [0.6], "low": [0.5], "high": [0.7]})
    display = LayerProfileDisplay.from_frame(frame, legend_kw={"loc": "center left"})
    display.ax_.set_ylim(0, 1)
    axes_height = display.ax_.get_window_extent().height
    assert _height_of_ink(display.figure_, tint) > 0.15 * axes_height
    # Also between points whose bounds are missing, where the other bands keep their edges.
    gap = pd.DataFrame({"layer": range(5), "score": 0.6, "low": 0.5, "high": 0.7})
    gap.loc[[1, 3], ["low", "high"]] = np.nan
    (band,) = LayerProfileDisplay.from_frame(gap).bands_
    assert len(band.get_paths()) == 3 and (np.asarray(band.get_linewidth()) > 2).all()
    gap.loc[1, ["low", "high"]] = 0.5, 0.7
    (band,) = LayerProfileDisplay.from_frame(gap).bands_
    assert [width > 2 for width in band.get_linewidth()] == [False, True]
    thin = LayerProfileDisplay.from_frame(gap, band_kw={"lw": 1}).bands_[0]
    assert thin.get_linewidth().tolist() == [1]


@pytest.mark.slow
def test_the_legend_names_the_bands_of_every_display(pyplot):
    frame = pd.DataFrame({"layer": [0, 1], "score": 0.6, "low": 0.5, "high": 0.7})
    one = LayerProfileDisplay.from_frame(frame, name="a", band_name="95% interval")
    bare = frame[["layer", "score"]]
    assert _names(LayerProfileDisplay.from_frame(bare, name="b", ax=one.ax_)) == [
        "a", "b", "95% interval"
    ]  # fmt: skip
    two = LayerProfileDisplay.from_frame(frame, name="c", band_name="90% interval", ax=one.ax_)
    assert _names(two) == ["a", "b", "c", "95% interval", "90% interval"]
    patches = two.legend_.get_patches()
    colors = [patch.get_facecolor()[:3] for patch in patches]
    assert colors == [tuple(band.get_facecolor()[0][:3]) for band in one.bands_ + two.bands_]
    frame.attrs["confidence"] = 0.9
    assert _names(LayerProfileDisplay.from_frame(frame)) == ["90% interval"]
    frame.attrs = {}
    assert _names(LayerProfileDisplay.from_frame(frame)) == ["interval"]
    assert LayerProfileDisplay.from_frame(frame, band_name="").legend_ is None
    missing = LayerProfileDisplay.from_frame(frame.assign(low=np.nan, high=np.nan))
    assert missing.legend_ is None


@pytest.mark.slow
def test_one_measurement_has_no_standard_deviation(pyplot):
    ablation = pd.DataFrame(
        {"which": ["top", "top", "bottom", "bottom"], "fraction": [0.1, 0.5] * 2,
         "retrained": True, "fill": "drop", "score": [0.8, 0.9, 0.2, 0.4]}
    )  # fmt: skip
    sparse = pd.DataFrame(
        {"ranker": ["lasso"] * 2, "labels": "true", "n_neurons": [1, 2], "score": [0.5, 0.6]}
    )
    for make, frame in (
        (AblationCurveDisplay.from_frame, ablation),
        (SparseProbingDisplay.from_frame, sparse),
    ):
        display = make(frame)
        assert display.frame["low"].isna().all()
        assert display.legend_ is None or "± 1 standard deviation" not in _names(display)
        several = pd.concat([frame.assign(fold=0), frame.assign(fold=1, score=frame["score"] / 2)])
        assert _names(make(several))[-1] == "± 1 standard deviation"


@pytest.mark.slow
def test_the_path_names_its_standard_errors(pyplot):
    frame = pd.DataFrame(
        {"l1_ratio": [0.5, 0.5, 1, 1], "alpha": [1, 0.1] * 2, "score": [0.6, 0.8, 0.7, 0.9],
         "standard_error": 0.05, "n_nonzero": [0, 9, 0, 5]}
    )  # fmt: skip
    display = RegularizationPathDisplay(frame, alpha=0.1, l1_ratio=1).plot()
    assert _names(display) == [
        "l1_ratio=0.5", "l1_ratio=1", "± 1 standard error", "non-zero weights", "chosen"
    ]  # fmt: skip
    display = RegularizationPathDisplay(
        frame.assign(standard_error=np.nan), alpha=0.1, l1_ratio=1
    ).plot()
    assert "± 1 standard error" not in _names(display)


@pytest.mark.slow
def test_cut_axes_are_marked_in_every_plot_of_scores(pyplot):
    sparse = pd.DataFrame(
        {"ranker": ["lasso"] * 2, "labels": "true", "n_neurons": [1, 2], "score": [0.5, 0.6]}
    )
    path = pd.DataFrame(
        {"l1_ratio": 1.0, "alpha": [1, 0.1], "score": [0.6, 0.8], "standard_error": 0.05,
         "n_nonzero": [0, 9]}
    )  # fmt: skip
    for display in (
        SparseProbingDisplay.from_frame(sparse),
        RegularizationPathDisplay(path, alpha=0.1, l1_ratio=1).plot(),
    ):
        (mark,) = (text for text in display.ax_.texts if text.get_text() == "//")
        assert mark.get_visible()
        display.ax_.set_ylim(-1, 1)
        assert not mark.get_visible()
