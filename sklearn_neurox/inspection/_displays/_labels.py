# SPDX-License-Identifier: BSD-3-Clause
"""Names and numbers beside axes: short, distinct, literal, and never overlapping."""

from weakref import WeakKeyDictionary

import numpy as np

_LONGEST_LABEL = 24
# In points. Names that do not fit in this type are thinned out.
_SMALLEST = 4.0
# The names along an axis, so that a second display on it keeps their places.
_NAMES: WeakKeyDictionary = WeakKeyDictionary()


def plain_label(value, *, longest=_LONGEST_LABEL):
    """Format a class or a name for a plot: short, on one line, never hidden."""
    return plain_labels([value], longest=longest)[0]


def plain_labels(values, *, longest=_LONGEST_LABEL):
    """Format classes or names for a plot; names that are not the same never look the same."""
    texts = [" ".join(str(value).split()) for value in values]
    n_different = len(set(texts))
    short = [_cut(text, longest, 1) for text in texts]
    while len(set(short)) < n_different:
        short = [_cut(text, longest, longest // 2) for text in texts]
        longest += 4
    # matplotlib hides legend entries that start with an underscore.
    return [f"'{text}'" if text.startswith("_") or not text else text for text in short]


def _cut(text, longest, n_last):
    """Shorten a text to `longest` characters, of which ``n_last - 1`` are its end."""
    if len(text) <= longest:
        return text
    return text[: longest - n_last] + "…" + text[len(text) - n_last + 1 :]


def integer_ticks(*axes):
    """Put ticks at whole numbers only; there is no layer 0.5."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        # With one layer, a second tick would need fractions.
        axis.set_major_locator(
            MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
        )


def name_places(axis, names):
    """Return the places 0, 1, 2, ... of names along an axis, after those that it already has."""
    known = _NAMES.setdefault(axis, [])
    known += [name for name in dict.fromkeys(names) if name not in known]
    axis.set_tick_params(length=0)
    axis.set_ticks(np.arange(len(known)), plain_labels(known))
    _write_literally(axis)
    return {name: place for place, name in enumerate(known)}


def label_ticks(axis, labels):
    """Write names without ticks at 0, 1, 2, ..., literally: a dollar sign starts no formula."""
    axis.set_tick_params(length=0)
    axis.set_ticks(np.arange(len(labels)), plain_labels(labels))
    _write_literally(axis)


def _write_literally(axis):
    for text in axis.get_ticklabels():
        text.set_parse_math(False)


def fit_names(ax, axis):
    """Turn or shrink names along an axis until they are apart; as a last resort, omit some."""
    lay_out(ax.figure)
    texts = axis.get_ticklabels()
    spacing = _points_per_unit(ax, axis)
    size = texts[0].get_fontsize()
    if axis is ax.xaxis:
        widest = max(len(text.get_text()) for text in texts) * 0.6 * size
        is_turned = texts[0].get_rotation() or widest > spacing
        if is_turned:
            spacing *= 0.7  # between lines of text at this angle
            for text in texts:
                text.set(rotation=45, horizontalalignment="right", rotation_mode="anchor")
    needed = 1.15
    fitting = max(min(size, spacing / needed), _SMALLEST)
    step = int(np.ceil(needed * fitting / max(spacing, 1e-3)))
    for number, text in enumerate(texts):
        text.set_fontsize(fitting)
        text.set_visible(number % step == 0)


def fit_measured(axes, values):
    """Put ticks at the measured values of the horizontal axes, and make room for small ones."""
    values = sorted(set(values))
    if len(values) > 1 and values[-1] < 100 * values[0]:
        return
    for ax in axes:
        if len(values) > 1:
            ax.set_xscale("log")
        fit_values(ax, values, [f"{value:.6g}" for value in values])


def fit_values(ax, values, labels):
    """Put ticks at the sorted values of the horizontal axis whose labels do not touch."""
    from matplotlib.ticker import NullLocator

    ax.xaxis.set_minor_locator(NullLocator())
    lay_out(ax.figure)
    size = ax.figure.dpi / 72 * _font_points()
    places = ax.transData.transform(np.column_stack([values, np.zeros(len(values))]))[:, 0]
    half = [(0.32 * len(label) + 0.35) * size for label in labels]
    kept = _apart(places, half)
    ax.set_xticks([values[k] for k in kept], [labels[k] for k in kept])


def _apart(places, half):
    """Return the positions of labels that do not touch: every nth if they are evenly spaced."""
    n_labels = len(places)

    def are_apart(one, other):
        return abs(places[one] - places[other]) >= half[one] + half[other]

    if n_labels > 2 and np.ptp(np.diff(places)) < 1e-3:  # pixels
        for step in (1, 2, 4, 5, 10, 20, 50, 100):
            kept = list(range(0, n_labels, step))
            if all(map(are_apart, kept, kept[1:])):
                return kept
    kept = []
    # The ends first: they say what the axis spans.
    for number in dict.fromkeys([0, n_labels - 1, *range(n_labels)]):
        if all(are_apart(number, other) for other in kept):
            kept.append(number)
    return sorted(kept)


def lay_out(figure):
    """Let the figure place its axes, if it has a layout, so that they can be measured."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure.figure)
    for ax in figure.axes:
        ax.apply_aspect()


def _points_per_unit(ax, axis):
    """Return the distance of neighboring names in points."""
    ends = ax.transData.transform([(0, 0), (1, 1)])
    return abs(ends[1] - ends[0])[0 if axis is ax.xaxis else 1] * 72 / ax.figure.dpi


def _font_points():
    from matplotlib.font_manager import FontProperties

    return FontProperties(size="small").get_size_in_points()
