# SPDX-License-Identifier: BSD-3-Clause
"""Code shared by the displays: axes, colors, legends, and labels that fit a one-column figure."""

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

# Private, but nothing public resolves matplotlib's aliases for every kind of artist.
from sklearn.utils._plotting import _validate_style_kwargs

from sklearn_neurox.evaluation._interval_table import interval_table
from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._optional import require

# Okabe and Ito's colors, distinguishable with every common kind of color blindness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GRAY = "#666666"
_LONGEST_LABEL = 24
_CUT = "neurox-cut-axis"
_LONGEST_ENTRY = 40
_LEGEND_STYLE = {
    "frameon": False,
    "fontsize": "small",
    "columnspacing": 1.2,
    "handlelength": 1.8,
    "handletextpad": 0.5,
}


def read_columns(frame, columns, *, caller, name="frame"):
    """Return the user's frame as a DataFrame; raise an error if it lacks columns or has no rows."""
    frame = read_frame(frame, caller=caller, name=name)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        what = "the frame" if name == "frame" else f"its {name!r} parameter"
        raise ValueError(
            f"{caller} reads the columns {columns}, but {what} lacks {missing}. It has "
            f"{list(frame.columns)}."
        )
    if frame.empty:
        raise ValueError(f"{caller} got a frame without rows, so there is nothing to draw.")
    return frame


def check_unique(frame, columns, *, caller):
    """Raise an error that names the first combination of values that is repeated."""
    repeated = frame.duplicated(columns)
    if repeated.any():
        first = frame.loc[repeated, columns].iloc[0].to_dict()
        raise ValueError(
            f"{caller} needs one row per value of {columns}, but {first} is repeated "
            f"({int(repeated.sum())} such rows). Aggregate the frame first."
        )


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


def series_style(number):
    """Return the color and the marker of the series with this number."""
    return {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}


def draw_band(ax, line, x, low, high, user):
    """Shade the spread around a line, in its color."""
    defaults = {"color": line.get_color(), "alpha": 0.2, "linewidth": 0}
    return ax.fill_between(x, low, high, **style(defaults, user))


def summarize(frame, words, by, *, band, confidence, caller):
    """Return a mean score and a band for each combination of values of some columns.

    The band "interval" is that of the outcomes of words; the others are the spread of the scores.
    """
    check_option("band", band, ["std", "range", "interval"], caller=caller)
    if band == "interval":
        if words is None:
            raise ValueError(
                f"{caller} draws intervals from the outcomes of words. Compute the curve with "
                "return_words=True, and pass the second frame as words=..."
            )
        words = read_columns(words, [*by, "group", "outcome"], caller=caller)
        table = interval_table(words, by, confidence=confidence)
        return table[[*by, "score", "low", "high"]]
    table = frame.groupby(by, sort=False)["score"].agg(["mean", "std", "min", "max"])
    # A single measurement has no spread.
    std = table["std"].fillna(0.0)
    low, high = table["min"], table["max"]
    if band == "std":
        low, high = table["mean"] - std, table["mean"] + std
    points = pd.DataFrame({"score": table["mean"], "low": low, "high": high})
    return points.reset_index()


def band_label(band, confidence):
    """Name a band of `summarize` for a legend."""
    names = {"std": "± 1 standard deviation", "range": "lowest to highest"}
    return names.get(band, f"{100 * confidence:g}% interval")


def name_band(band, name):
    """Return the legend entry of a band, gray because it stands for the bands of every line."""
    from matplotlib.patches import Patch

    return Patch(facecolor=GRAY, alpha=band.get_alpha() or 0.2, linewidth=0, label=name)


def mark_cut_axis(ax):
    """Mark the foot of a vertical axis that does not reach zero, even if its limits change later.

    The mark is two slashes, with the same meaning in every plot.
    """
    if any(text.get_gid() == _CUT for text in ax.texts):
        return
    look = {"ha": "center", "va": "center", "fontsize": "small", "color": GRAY, "gid": _CUT}
    mark = ax.text(0, 0, "//", transform=ax.transAxes, rotation=-60, in_layout=False, **look)

    def update(axes):
        low, high = sorted(axes.get_ylim())
        mark.set_visible(low > 0 or high < 0)

    ax.callbacks.connect("ylim_changed", update)
    update(ax)


def finish_axes(ax, *, x, y, grid="y"):
    """Label the axes, and keep only the spines and grid lines that help reading."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize="small")
    if grid:
        ax.grid(axis=grid, color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)


def legend_above(ax, handles, labels, *, user=None, over_figure=False, over_title=False, least=2):
    """Put a legend above the axes, off the data, in as many columns as fit.

    Return None for fewer than `least` handles, unless the user styles the legend. `over_figure` is
    for all axes of a figure with constrained layout; `over_title` leaves room for a title.
    """
    if len(handles) < least and not user:
        return None
    user = user or {}
    if over_figure:
        owner, width = ax.figure, ax.figure.bbox.width
        place = {"loc": "outside upper left"}
    else:
        from matplotlib.transforms import ScaledTranslation

        owner, width = ax, ax.get_window_extent().width
        lift = ScaledTranslation(0, (18 if over_title else 2) / 72, ax.figure.dpi_scale_trans)
        place = {
            "loc": "lower left",
            "bbox_to_anchor": (0.0, 1.0),
            "bbox_transform": ax.transAxes + lift,
            "borderaxespad": 0.0,
        }
    if "loc" in user or "bbox_to_anchor" in user:
        place = {}
    kwargs = {**_LEGEND_STYLE, **place, **user}
    labels = [plain_label(label, longest=_LONGEST_ENTRY) for label in labels]
    n_entries = len(handles)
    # Only numbers of columns that fill the rows evenly.
    even = sorted({-(-n_entries // n_rows) for n_rows in range(1, n_entries + 1)}, reverse=True)
    columns = [kwargs.pop("ncols")] if "ncols" in kwargs else even
    for n_columns in columns:
        legend = owner.legend(handles, labels, ncols=n_columns, **kwargs)
        for text in legend.get_texts():
            text.set_parse_math(False)
        if legend.get_window_extent().width <= width or n_columns == columns[-1]:
            return legend
        legend.remove()


def plain_label(value, *, longest=_LONGEST_LABEL):
    """Format a class or a name for a plot: short, on one line, never hidden."""
    text = " ".join(str(value).split())
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    # matplotlib hides legend entries that start with an underscore.
    return f"'{text}'" if text.startswith("_") or not text else text


def integer_ticks(*axes):
    """Put ticks at whole numbers only; there is no layer 0.5."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def label_ticks(axis, labels):
    """Write names without ticks at 0, 1, 2, ..., literally: a dollar sign starts no formula."""
    axis.set_tick_params(length=0)
    axis.set_ticks(np.arange(len(labels)), [plain_label(label) for label in labels])
    for text in axis.get_ticklabels():
        text.set_parse_math(False)


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


def score_name(scoring, estimator):
    """Name a score for an axis: after the scorer, or else after the estimator's ``score``."""
    if isinstance(scoring, str):
        return scoring.replace("_", " ")
    if scoring is not None:
        return getattr(scoring, "__name__", "score").replace("_", " ")
    return "accuracy" if is_classifier(estimator) else "R²"
