# SPDX-License-Identifier: BSD-3-Clause
"""Colors of activations: a diverging scale for light and dark pages, in HTML and in SVG.

A value is one of two poles laid over the page with partial opacity, so that zero *is* the page.
Blue and orange are distinguishable with every common kind of color blindness, and both poles are
equally far from the page, so that neither sign looks stronger.
"""

from typing import NamedTuple

import numpy as np


class Mode(NamedTuple):
    """The colors of one mode, as ``(red, green, blue)`` from 0 to 255."""

    page: tuple
    text: tuple
    muted: tuple
    positive: tuple
    negative: tuple


LIGHT = Mode((255, 255, 255), (26, 26, 26), (90, 90, 90), (240, 150, 30), (86, 170, 233))
DARK = Mode((27, 27, 31), (242, 242, 242), (175, 175, 180), (166, 84, 8), (24, 108, 176))

# The colors of lines on light and on dark pages, in plots and in the report. They are based on
# those of Okabe and Ito, distinguishable with every common kind of color blindness.
SERIES = (
    ("#0072B2", "#56B4E9"),
    ("#D55E00", "#F08A3C"),
    ("#009E73", "#009E73"),
    ("#CC79A7", "#DB9BC0"),
    ("#E69F00", "#F0E442"),
    ("#56B4E9", "#2A78C2"),
)
# Of the neurons that an ablation keeps.
KEPT = {"top": SERIES[0], "random": ("#666666", "#A5A5AD"), "bottom": SERIES[1]}


class ColorScale(NamedTuple):
    """The value without color, and the distance from it at which the color is full."""

    center: float
    limit: float


def fit_color_scale(values, *, center=0.0, limit=None):
    """Fit a color scale to values, ignoring NaN.

    If ``limit`` is None, it becomes the largest distance from the center, or 1 if all values equal
    the center.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if isinstance(center, str):
        center = values.mean() if values.size else 0.0
    if limit is None:
        limit = np.abs(values - center).max(initial=0.0)
    return ColorScale(float(center), float(limit) or 1.0)


def color_strengths(values, scale):
    """Map values to a scale from -1 (full negative pole) to 1 (full positive pole); keep NaN."""
    values = np.asarray(values, dtype=np.float64)
    return np.clip((values - scale.center) / scale.limit, -1.0, 1.0)


def css_background(strength):
    """Return a CSS color such as ``"rgb(var(--nx-pos)/.63)"``, or "" if it would be invisible."""
    alpha = _alpha(strength)
    if not alpha:
        return ""
    return f"rgb(var(--nx-{'pos' if strength > 0 else 'neg'})/{alpha})"


def css_variables(selector):
    """Return CSS that sets the color variables for a simple selector, by the mode of the page.

    ``--nx-page``, ``--nx-text``, ``--nx-muted``, ``--nx-pos`` and ``--nx-neg`` are triples for
    ``rgb(var(--nx-text))``. The mode follows the system, or the theme of a notebook. The selector
    ``":root"`` is for a standalone page, which has light colors while its root has the class
    ``paper``.
    """
    light, dark = _declarations(LIGHT, "light"), _declarations(DARK, "dark")
    is_page = selector == ":root"
    in_dark = ":root:not(.paper)" if is_page else selector
    css = f"{selector}{{{light}}}@media (prefers-color-scheme:dark){{{in_dark}{{{dark}}}}}"
    if is_page:
        return css
    # The themes of JupyterLab and VS Code are independent of the system's preference.
    return css + (
        f'[data-jp-theme-light="true"] {selector},body.vscode-light {selector}{{{light}}}'
        f'[data-jp-theme-light="false"] {selector},body.vscode-dark {selector}{{{dark}}}'
    )


def css_of_curves():
    """Return CSS that sets ``--which`` for the classes of curves: those kept, s0, s1, ..."""
    looks = {**KEPT, **{f"s{number}": pair for number, pair in enumerate(SERIES)}}
    light = "".join(f".{name}{{--which:{color}}}" for name, (color, _) in looks.items())
    dark = "".join(
        f":root:not(.paper) .{name}{{--which:{color}}}" for name, (_, color) in looks.items()
    )
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


def svg_paint(strength):
    """Return the attributes of a filled shape, in the light colors for viewers without CSS."""
    pole = "positive" if strength > 0 else "negative"
    return {
        "class": pole[:3],
        "fill": hex_color(getattr(LIGHT, pole)),
        "fill-opacity": _alpha(strength) or "0",
    }


def svg_style():
    """Return CSS that gives the classes ``page``, ``text``, ... in an SVG dark colors."""
    rules = "".join(
        f".{_css_name(field)}{{fill:{hex_color(color)}}}" for field, color in DARK._asdict().items()
    )
    return f"@media (prefers-color-scheme:dark){{{rules}}}"


def hex_color(color):
    """Format a color as ``"#rrggbb"``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _alpha(strength):
    if not np.isfinite(strength):
        return ""
    text = f"{min(abs(float(strength)), 1.0):.2f}"
    return "1" if text == "1.00" else text.lstrip("0").rstrip("0").rstrip(".")


def _css_name(field):
    """Shorten a field of `Mode`: "pos" and "neg" for the poles."""
    return field[:3] if field.endswith("tive") else field


def _declarations(mode, scheme):
    variables = "".join(
        f"--nx-{_css_name(field)}:{r} {g} {b};" for field, (r, g, b) in mode._asdict().items()
    )
    return f"{variables}color-scheme:{scheme}"
