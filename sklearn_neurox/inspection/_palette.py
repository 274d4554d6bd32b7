# SPDX-License-Identifier: BSD-3-Clause
"""Colours of activations: a diverging scale that reads in light and dark, in HTML and in SVG.

A value is a share of one of two poles laid over the page, so that zero *is* the page. Blue and
orange are told apart with every common kind of colour blindness, and the poles of a mode are
equally far from its page, so that neither sign looks the stronger.
"""

from typing import NamedTuple

import numpy as np


class Mode(NamedTuple):
    """The colours of one mode, as ``(red, green, blue)`` from 0 to 255."""

    page: tuple
    text: tuple
    muted: tuple
    positive: tuple
    negative: tuple


LIGHT = Mode((255, 255, 255), (26, 26, 26), (90, 90, 90), (240, 150, 30), (86, 170, 233))
DARK = Mode((27, 27, 31), (242, 242, 242), (175, 175, 180), (166, 84, 8), (24, 108, 176))


class ColorScale(NamedTuple):
    """What is shown without colour, and how far from it the colour is full."""

    center: float
    limit: float


def fit_color_scale(values, *, center=0.0, limit=None):
    """Span a scale over values.

    Parameters
    ----------
    values : array-like of float
        Missing ones (NaN) do not count.

    center : float or "mean", default=0.0
        The value without colour.

    limit : float or None, default=None
        The distance from the center at which the colour is full; None takes the largest.

    Returns
    -------
    scale : ColorScale
        With a positive limit, even where all values are the center.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if isinstance(center, str):
        center = values.mean() if values.size else 0.0
    if limit is None:
        limit = np.abs(values - center).max(initial=0.0)
    return ColorScale(float(center), float(limit) or 1.0)


def color_strengths(values, scale):
    """Place values on a scale, from -1 (full negative pole) over 0 to 1; NaN stays NaN."""
    values = np.asarray(values, dtype=np.float64)
    return np.clip((values - scale.center) / scale.limit, -1.0, 1.0)


def css_background(strength):
    """Give the CSS colour of a strength, by the variables that `css_variables` sets.

    Parameters
    ----------
    strength : float
        In [-1, 1]; NaN has no colour.

    Returns
    -------
    color : str
        Such as ``"rgb(var(--nx-pos)/.63)"``, or the empty string where nothing would be seen.
    """
    alpha = _alpha(strength)
    if not alpha:
        return ""
    return f"rgb(var(--nx-{'pos' if strength > 0 else 'neg'})/{alpha})"


def css_variables(selector):
    """Set the colours on what a CSS selector matches, by the mode of the page around it.

    Parameters
    ----------
    selector : str
        One simple selector, such as ``".neurox"``, or ``":root"`` for a page of its own.

    Returns
    -------
    css : str
        ``--nx-page``, ``--nx-text``, ``--nx-muted``, ``--nx-pos`` and ``--nx-neg`` are triples for
        ``rgb(var(--nx-text))``. The system's preference rules, unless a notebook says otherwise.
    """
    light, dark = _declarations(LIGHT, "light"), _declarations(DARK, "dark")
    css = f"{selector}{{{light}}}@media (prefers-color-scheme:dark){{{selector}{{{dark}}}}}"
    if selector == ":root":
        return css
    # JupyterLab and VS Code have themes of their own, whatever the system prefers.
    return css + (
        f'[data-jp-theme-light="true"] {selector},body.vscode-light {selector}{{{light}}}'
        f'[data-jp-theme-light="false"] {selector},body.vscode-dark {selector}{{{dark}}}'
    )


def svg_paint(strength):
    """Give the class and the attributes of a filled shape; see `svg_style`.

    Parameters
    ----------
    strength : float
        In [-1, 1], not NaN.

    Returns
    -------
    attributes : dict of str to str
        The colours of light mode, which viewers without CSS show.
    """
    pole = "positive" if strength > 0 else "negative"
    return {
        "class": pole[:3],
        "fill": hex_color(getattr(LIGHT, pole)),
        "fill-opacity": _alpha(strength) or "0",
    }


def svg_style():
    """Give the CSS that turns an SVG of classes ``page``, ``text``, ``muted``, ``pos`` to dark."""
    rules = "".join(
        f".{field[:3] if field.endswith('tive') else field}{{fill:{hex_color(color)}}}"
        for field, color in DARK._asdict().items()
    )
    return f"@media (prefers-color-scheme:dark){{{rules}}}"


def hex_color(color):
    """Write a colour as ``"#rrggbb"``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _alpha(strength):
    if not np.isfinite(strength):
        return ""
    text = f"{min(abs(float(strength)), 1.0):.2f}"
    return "1" if text == "1.00" else text.lstrip("0").rstrip("0").rstrip(".")


def _declarations(mode, scheme):
    triples = {
        "page": mode.page,
        "text": mode.text,
        "muted": mode.muted,
        "pos": mode.positive,
        "neg": mode.negative,
    }
    variables = "".join(f"--nx-{name}:{r} {g} {b};" for name, (r, g, b) in triples.items())
    return f"{variables}color-scheme:{scheme}"
