# SPDX-License-Identifier: BSD-3-Clause
from itertools import combinations

import pytest


@pytest.fixture
def pyplot():
    """Return matplotlib without a screen; close figures before and after."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    with matplotlib.rc_context():
        yield plt
    plt.close("all")


@pytest.fixture
def assert_legible():
    """Check that a figure has no cut-off text, overlapping labels, or legend over data."""

    def check(figure):
        figure.canvas.draw()
        for ax in figure.axes:
            labels = [
                text
                for axis in (ax.xaxis, ax.yaxis)
                if axis.get_visible()
                for text in [*axis.get_ticklabels(), axis.label]
                if text.get_text() and text.get_visible() and _is_in_view(ax, axis, text)
            ]
            titles = [t for t in (ax.title, ax._left_title, *ax.texts) if t.get_text()]
            for text in [*labels, *titles]:
                assert _is_inside(figure, text), f"{text.get_text()!r} is cut"
            for one, other in combinations([t for t in labels if not t.get_rotation() % 90], 2):
                boxes = one.get_window_extent(), other.get_window_extent()
                assert not boxes[0].overlaps(boxes[1]), f"{one.get_text()}, {other.get_text()}"
        legends = [ax.get_legend() for ax in figure.axes if ax.get_legend()] + figure.legends
        for legend in legends:
            assert _is_inside(figure, legend), "the legend is cut"
            for ax in figure.axes:
                assert not _overlap(legend.get_window_extent(), ax.get_window_extent())

    return check


def _is_in_view(ax, axis, text):
    if text is axis.label:
        return True
    low, high = sorted(axis.get_view_interval())
    place = text.get_position()[axis is ax.yaxis]
    return low <= place <= high


def _is_inside(figure, artist):
    box = artist.get_window_extent()
    width, height = figure.bbox.width, figure.bbox.height
    return box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1


def _overlap(one, other):
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > 1 and height > 1
