# SPDX-License-Identifier: BSD-3-Clause
"""Code shared by the displays: axes, colors, lines, bands and the marks of baselines and cuts."""

import textwrap

import numpy as np
from sklearn.base import is_classifier

# Private, but nothing public resolves matplotlib's aliases for every kind of artist.
from sklearn.utils._plotting import _validate_style_kwargs

from sklearn_neurox.inspection._displays._labels import lay_out, plain_label, plain_labels
from sklearn_neurox.inspection._displays._legend import band_tag
from sklearn_neurox.inspection._palette import KEPT, SERIES
from sklearn_neurox.utils._optional import require

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
N_COLORS = len(SERIES) + 1  # the last one is that of text
_CUT = "neurox-cut-axis"
_BASELINE = "neurox-baseline"
_DASHES = ((1, 2), (5, 2), (5, 2, 1, 2), (10, 3), (10, 3, 1, 3, 1, 3), (2, 2, 2, 6))


def open_axes(ax, *, caller, figsize, height, **subplots_kw):
    """Return the given axes, or create a figure whose layout keeps everything inside.

    Without `figsize`, the figure has matplotlib's default width and the given height in inches.
    """
    require("matplotlib", caller=f"{caller}.plot", extra="plot")
    import matplotlib.pyplot as plt

    if ax is not None:
        return ax
    figsize = figsize or (plt.rcParams["figure.figsize"][0], height)
    _, ax = plt.subplots(figsize=figsize, layout="constrained", **subplots_kw)
    return ax


def check_option(parameter, value, options, *, caller):
    """Raise an error that lists the options if the value is none of them."""
    if value not in options:
        raise ValueError(
            f"The {parameter!r} parameter of {caller} must be one of {options}, got {value!r}."
        )


def style(defaults, user):
    """Let the user's style override the defaults, whichever alias it uses."""
    return _validate_style_kwargs(defaults, user or {})


def ink(ax):
    """Return the color of text on these axes: dark on a light page, light on a dark one."""
    return ax.xaxis.label.get_color()


def gray(ax):
    """Return a gray that stands out from the page."""
    return kept_color(ax, "random")


def kept_color(ax, which):
    """Return the color of the top, random or bottom neurons."""
    return KEPT[which][_is_dark(ax)]


def _is_dark(ax):
    from matplotlib.colors import to_rgb

    return bool(np.dot(to_rgb(ink(ax)), [0.299, 0.587, 0.114]) > 0.5)


def series_color(ax, number):
    """Return the color of the series with this number; the last one is that of text."""
    number %= N_COLORS
    return SERIES[number][_is_dark(ax)] if number < len(SERIES) else ink(ax)


def series_styles(ax, n_series):
    """Return colors and markers for new series, which no line on the axes has."""
    from matplotlib.colors import to_hex

    drawn = {(to_hex(line.get_color()), line.get_marker()) for line in ax.lines}
    colors = {color for color, _ in drawn}
    looks = []
    # Once all colors are taken, combine them with other markers.
    for number in range(N_COLORS**2):
        color = series_color(ax, number)
        marker = MARKERS[(number + number // N_COLORS) % len(MARKERS)]
        is_fresh = number >= N_COLORS or to_hex(color) not in colors
        if is_fresh and (to_hex(color), marker) not in drawn:
            looks.append({"color": color, "marker": marker})
    looks = looks or [{"color": series_color(ax, n), "marker": "o"} for n in range(N_COLORS)]
    return [looks[number % len(looks)] for number in range(n_series)]


def draw_band(ax, line, x, low, high, user, name=""):
    """Shade the spread around a line, in its color; a point without neighbors gets a bar."""
    x, low, high = (np.asarray(values, dtype=np.float64) for values in (x, low, high))
    defaults = {
        "color": line.get_color(),
        "alpha": 0.35 if _is_dark(ax) else 0.2,
        "linewidth": 0,
        "label": band_tag(name),
    }
    band = ax.fill_between(x, low, high, **style(defaults, user))
    spans = [np.ptp(path.vertices[:, 0]) for path in band.get_paths()]
    if not all(spans) and not {"linewidth", "linewidths", "lw"} & set(user or {}):
        # An area of no width is invisible.
        band.set(linewidth=[0 if span else 7 for span in spans], capstyle="butt")
    return band


def draw_levels(ax, levels, name=None):
    """Draw baselines as gray broken lines; one that is already on the axes is not drawn again."""
    drawn = [line for line in ax.lines if line.get_gid() == _BASELINE]
    lines = []
    for level, score in levels.items():
        label = plain_label(level, longest=40)
        same = [line for line in drawn if line.get_label() == label]
        if same and same[0].get_ydata()[0] == score:
            lines.append(same[0])
            continue
        if same and name:
            label = f"{label} ({name})"
        dashes = (0, _DASHES[len(drawn) % len(_DASHES)])
        line = ax.axhline(
            score, label=label, gid=_BASELINE, color=gray(ax), linestyle=dashes, linewidth=1
        )
        drawn.append(line)
        lines.append(line)
    return lines


def mark_cut_axis(ax):
    """Mark the foot of a vertical axis that does not reach zero, even if its limits change later.

    The mark is two slashes through a gap, with the same meaning in every plot.
    """
    if any(text.get_gid() == _CUT for text in ax.texts):
        return
    from matplotlib.transforms import ScaledTranslation

    lift = ScaledTranslation(0, 6 / 72, ax.figure.dpi_scale_trans)
    mark = ax.text(
        0,
        0,
        "//",
        transform=ax.transAxes + lift,
        rotation=-65,
        ha="center",
        va="center",
        fontsize="medium",
        color=ink(ax),
        gid=_CUT,
        in_layout=False,
        zorder=ax.spines["left"].get_zorder() + 1,
        bbox={"facecolor": _page(ax), "edgecolor": "none", "pad": -1.5},
    )

    def update(axes):
        low, high = sorted(axes.get_ylim())
        mark.set_visible(axes.get_yscale() == "linear" and (low > 0 or high < 0))

    ax.callbacks.connect("ylim_changed", update)
    update(ax)


def _page(ax):
    """Return the color behind the axes; white or black if both are transparent."""
    for color in (ax.figure.get_facecolor(), ax.get_facecolor()):
        if color[3]:
            return color
    return "black" if _is_dark(ax) else "white"


def finish_axes(ax, *, x, y, grid="y"):
    """Label the axes, and keep only the spines and grid lines that help reading."""
    from matplotlib import rcParams

    ax.set_xlabel(x)
    ax.set_ylabel(wrap(ax, y))
    ax.spines[["top", "right"]].set_visible(False)
    shrink_ticks(ax)
    # Users who ask for a grid have chosen its look.
    if grid and not rcParams["axes.grid"]:
        ax.grid(axis=grid, color=ink(ax), alpha=0.13, linewidth=0.6)
    ax.set_axisbelow(True)


def title_panels(axes, names):
    """Write the names of panels above them, none longer than its panel."""
    from matplotlib.font_manager import FontProperties

    lay_out(axes[0].figure)
    inches = min(ax.get_window_extent().width / ax.figure.dpi for ax in axes)
    size = FontProperties(size="small").get_size_in_points()
    longest = max(int(72 * inches / (0.6 * size)), 8)
    for ax, name in zip(axes, plain_labels(names, longest=longest), strict=True):
        ax.set_title(name, fontsize="small", loc="left", parse_math=False)


def share_labels(axes, label):
    """Replace the labels of panels by a shared one where a panel has no room for its own.

    Stacked panels share the label of the vertical axis; panels side by side share that of the
    horizontal axis if they are too narrow for it.
    """
    figure, own = axes[0].figure, axes[0].xaxis.label
    if axes[-1].get_subplotspec().rowspan.start:
        figure.supylabel(label, fontsize=axes[0].yaxis.label.get_fontsize(), color=ink(axes[0]))
        for ax in axes:
            ax.set_ylabel("")
        return
    lay_out(figure)
    if own.get_window_extent().width > axes[0].get_window_extent().width:
        figure.supxlabel(own.get_text(), fontsize=own.get_fontsize(), color=ink(axes[0]))
        for ax in axes:
            ax.set_xlabel("")


def shrink_ticks(ax):
    """Write the numbers beside the axes in small type, unless the user has set their size."""
    from matplotlib import rcParams, rcParamsDefault

    for axis in "xy":
        key = f"{axis}tick.labelsize"
        if rcParams[key] == rcParamsDefault[key]:
            ax.tick_params(axis=axis, labelsize="small")


def wrap(ax, label):
    """Break the label of a vertical axis into lines that are no longer than the axis."""
    spec = ax.get_subplotspec()
    n_rows = 1 if spec is None else spec.get_gridspec().nrows
    points = 72 * ax.figure.bbox.height / ax.figure.dpi / n_rows
    n_letters = max(int(points / (0.6 * ax.yaxis.label.get_fontsize())), 8)
    # A line break inside a formula would be an error.
    return label if "$" in label else textwrap.fill(label, n_letters)


def annotate_cells(ax, image, values, *, fmt="{:.2f}", user=None):
    """Write the values of a heat map, except NaN, into its cells, dark on light or vice versa."""
    rgb = image.cmap(image.norm(values))[..., :3]
    is_light = rgb @ [0.299, 0.587, 0.114] > 0.5
    texts = []
    for row, column in np.argwhere(np.isfinite(values)):
        defaults = {
            "color": "black" if is_light[row, column] else "white",
            "horizontalalignment": "center",
            "verticalalignment": "center",
            "fontsize": "x-small",
        }
        text = fmt.format(values[row, column])
        texts.append(ax.text(column, row, text, **style(defaults, user)))
    return texts


def numbers_fit(ax, shape, n_digits):
    """Return whether numbers of this many digits fit into the cells of a heat map."""
    from matplotlib.font_manager import FontProperties

    lay_out(ax.figure)
    box = ax.get_window_extent()
    size = FontProperties(size="x-small").get_size_in_points() * ax.figure.dpi / 72
    n_rows, n_columns = shape
    is_wide = box.width / n_columns > (0.65 * n_digits + 0.5) * size
    return is_wide and box.height / n_rows > 1.15 * size


def score_name(scoring, estimator):
    """Name a score for an axis: after the scorer, or else after the estimator's ``score``."""
    if isinstance(scoring, str):
        return scoring.replace("_", " ")
    if scoring is not None:
        return getattr(scoring, "__name__", "score").replace("_", " ")
    return "accuracy" if is_classifier(estimator) else "R²"
