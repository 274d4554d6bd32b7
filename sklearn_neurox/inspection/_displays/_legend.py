# SPDX-License-Identifier: BSD-3-Clause
"""Legends above the axes, off the data, which name every line and every band on the axes."""

from sklearn_neurox.inspection._displays._labels import lay_out, plain_labels

_LONGEST_ENTRIES = (40, 28, 18)
# As a share of the figure's height; taller legends get shorter entries in more columns.
_TALLEST = 0.3
_BAND = "_neurox band: "  # matplotlib leaves out labels with an underscore
_STYLE = {
    "frameon": False,
    "columnspacing": 1.2,
    "handlelength": 1.8,
    "handletextpad": 0.5,
}


def band_tag(name):
    """Return the hidden label by which `band_entries` finds a band."""
    return _BAND + name


def named_lines(ax):
    """Return the lines on the axes that have a name, those of other displays included."""
    lines = {}
    for line in ax.lines:
        if not str(line.get_label()).startswith("_"):
            look = line.get_label(), line.get_color(), line.get_marker(), line.get_linestyle()
            lines.setdefault(look, line)
    return list(lines.values())


def band_entries(*axes):
    """Return a legend entry for each kind of band on the axes: its name, in its color.

    It is gray if it stands for bands of several colors.
    """
    from matplotlib.colors import to_hex
    from matplotlib.patches import Patch

    bands: dict = {}
    for ax in axes:
        for band in ax.collections:
            if str(band.get_label()).startswith(_BAND) and band.get_paths():
                name = band.get_label().removeprefix(_BAND)
                bands.setdefault(name, []).append(band)
    bands.pop("", None)
    entries = []
    for name, own in bands.items():
        colors = [to_hex(band.get_facecolor()[0]) for band in own if len(band.get_facecolor())]
        color = colors[0] if len(set(colors)) == 1 or len(bands) > 1 else "#666666"
        alpha = own[0].get_alpha() or 0.2
        entries.append(Patch(facecolor=color, alpha=alpha, linewidth=0, label=name))
    return entries


def legend_above(
    ax, handles, labels, *, user=None, over_figure=False, over_title=False, least=2, grow=False
):
    """Put a legend above the axes, off the data, in as many columns as fit.

    Return None for fewer than `least` handles, unless the user styles the legend. `over_figure` is
    for all axes of a figure with constrained layout; `over_title` leaves room for a title; `grow`
    makes the figure taller by the rows after the first.
    """
    if len(handles) < least and not user:
        return None
    lay_out(ax.figure)
    user = dict(user or {})
    names = [_shorten(handles, labels, longest) for longest in _LONGEST_ENTRIES]
    n_entries = len(handles)
    # Only numbers of columns that fill the rows evenly.
    even = sorted({-(-n_entries // n_rows) for n_rows in range(1, n_entries + 1)}, reverse=True)
    columns = [user.pop("ncols")] if "ncols" in user else even
    left, own, right = (0.0, ax.figure.bbox.width, 0.0) if over_figure else _room(ax)
    tallest = float("inf") if grow else _TALLEST * ax.figure.bbox.height
    best = None
    for texts, n_columns in ((t, n) for t in names for n in columns):
        place = _place(ax, over_figure, over_title, user)
        legend = _draw(ax, over_figure, handles, texts, n_columns, place)
        box = legend.get_window_extent()
        too_wide = max(box.width - left - own - right, 0.0)
        found = (too_wide, max(box.height - tallest, 0.0), n_columns, texts, box.width, box.height)
        best = found if best is None or found[:2] < best[:2] else best
        legend.remove()
        if not too_wide and box.height <= tallest:
            break
    _, _, n_columns, texts, width, height = best
    # A legend that is wider than the axes extends over the labels at its left.
    shift = min(max(width - own, 0.0), left)
    place = _place(ax, over_figure, over_title, user, shift)
    legend = _draw(ax, over_figure, handles, texts, n_columns, place)
    if grow:
        row = height / -(-n_entries // n_columns)
        figure = ax.figure
        figure.set_figheight(figure.get_figheight() + (height - row) / figure.dpi)
    return legend


def _shorten(handles, labels, longest):
    """Shorten the names of lines, but not what the bands are."""
    from matplotlib.patches import Patch

    texts = zip(handles, labels, plain_labels(labels, longest=longest), strict=True)
    return [label if isinstance(handle, Patch) else text for handle, label, text in texts]


def _room(ax):
    """Return the widths in pixels of the labels left of the axes, of the axes, and right of it."""
    own = ax.get_window_extent()
    boxes = [own]
    for other in ax.figure.axes:
        if other.get_window_extent().bounds == own.bounds:  # itself, or one that shares its place
            boxes.append(other.yaxis.get_tightbbox() or own)
    left = max(min(box.x0 for box in boxes), 0.0)
    right = min(max(box.x1 for box in boxes), ax.figure.bbox.width)
    return own.x0 - left, own.width, right - own.x1


def _place(ax, over_figure, over_title, user, shift=0.0):
    """Return the keywords of a legend that put it above the axes, unless the user places it.

    `shift` moves it to the left by pixels.
    """
    from matplotlib import rcParams, rcParamsDefault

    look = dict(_STYLE)
    if rcParams["legend.fontsize"] == rcParamsDefault["legend.fontsize"]:
        look["fontsize"] = "small"
    if "loc" in user or "bbox_to_anchor" in user:
        return {**look, **user}
    if over_figure:
        return {**look, "loc": "outside upper left", **user}
    from matplotlib.transforms import ScaledTranslation

    points = 18 if over_title or _has_offset(ax) else 2
    lift = ScaledTranslation(-shift / ax.figure.dpi, points / 72, ax.figure.dpi_scale_trans)
    place = {
        "loc": "lower left",
        "bbox_to_anchor": (0.0, 1.0),
        "bbox_transform": ax.transAxes + lift,
        "borderaxespad": 0.0,
    }
    return {**look, **place, **user}


def _has_offset(ax):
    """Return whether a power of ten stands above the numbers of the vertical axis."""
    formatter = ax.yaxis.get_major_formatter()
    formatter.set_locs(ax.get_yticks())
    return bool(formatter.get_offset())


def _draw(ax, over_figure, handles, texts, n_columns, place):
    owner = ax.figure if over_figure else ax
    legend = owner.legend(handles, texts, ncols=n_columns, **place)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return legend
