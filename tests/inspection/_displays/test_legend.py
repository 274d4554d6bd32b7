# SPDX-License-Identifier: BSD-3-Clause
"""The legend above a plot has as many columns as fit, and never disappears."""

import pytest

from sklearn_neurox.inspection._displays._legend import legend_above


@pytest.mark.slow
def test_the_legend_has_as_many_columns_as_fit(pyplot):
    for label, width, user, expected in (
        ("a", 6.0, {}, 4),
        ("a label of some length", 6.0, {}, 2),
        ("a label of some length", 2.6, {}, 1),
        ("a label of some length", 0.8, {}, 1),  # too wide, however many columns
        ("a label of some length", 0.8, {"ncols": 3}, 3),
    ):
        _, ax = pyplot.subplots(figsize=(width, 2))
        handles = [ax.plot([0, 1])[0] for _ in range(4)]
        legend = legend_above(ax, handles, [label] * 4, user=user)
        assert ax.get_legend() is legend
        assert legend._ncols == expected, (label, width)
        fits = legend.get_window_extent().width <= ax.get_window_extent().width
        assert fits == (width > 1)
