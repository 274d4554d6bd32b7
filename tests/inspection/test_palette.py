# SPDX-License-Identifier: BSD-3-Clause
from itertools import combinations

import numpy as np
import pytest

from sklearn_neurox.inspection._palette import (
    DARK,
    KEPT,
    LIGHT,
    SERIES,
    color_strengths,
    css_background,
    css_variables,
    fit_color_scale,
    hex_color,
    svg_paint,
    svg_style,
)


def _luminance(color):
    c = np.asarray(color) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def _contrast(one, two):
    low, high = sorted([_luminance(one), _luminance(two)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("pole", ["positive", "negative"])
def test_text_is_readable_on_every_shade(mode, pole):
    for alpha in np.linspace(0, 1, 21):
        shade = (1 - alpha) * np.array(mode.page) + alpha * np.array(getattr(mode, pole))
        assert _contrast(mode.text, shade) > 4.5  # WCAG 2, level AA
    assert _contrast(mode.muted, mode.page) > 4.5


@pytest.mark.parametrize("mode", [LIGHT, DARK], ids=["light", "dark"])
def test_colors_have_two_digits_per_channel(mode):
    for color in mode:
        written = hex_color(color)
        assert [int(written[i : i + 2], 16) for i in (1, 3, 5)] == list(color)
        assert len(written) == 7


@pytest.mark.parametrize("mode", [LIGHT, DARK], ids=["light", "dark"])
def test_neither_sign_looks_stronger(mode):
    contrasts = [_contrast(pole, mode.page) for pole in (mode.positive, mode.negative)]
    assert max(contrasts) / min(contrasts) < 1.15


def test_scale_is_symmetric_about_its_center():
    scale = fit_color_scale([-1.0, 3.0, np.nan])
    assert scale == (0.0, 3.0)
    np.testing.assert_allclose(color_strengths([-3, 0, 1.5, 9], scale), [-1, 0, 0.5, 1])
    assert np.isnan(color_strengths([np.nan], scale)[0])
    assert fit_color_scale([1.0, 5.0], center="mean") == (3.0, 2.0)
    assert fit_color_scale([1.0, 5.0], center=2, limit=10) == (2.0, 10.0)


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0]])
def test_scale_without_spread_shows_no_color(values):
    scale = fit_color_scale(values)
    assert scale == (0.0, 1.0)
    assert not np.nan_to_num(color_strengths(values, scale)).any()


@pytest.mark.parametrize(
    "strength, color",
    [
        (0.634, "rgb(var(--nx-pos)/.63)"),
        (-0.5, "rgb(var(--nx-neg)/.5)"),
        (1.0, "rgb(var(--nx-pos)/1)"),
        (-7.0, "rgb(var(--nx-neg)/1)"),
        (0.001, ""),
        (0.0, ""),
        (np.nan, ""),
    ],
)
def test_background(strength, color):
    assert css_background(strength) == color


def test_both_modes_are_in_the_css():
    css = css_variables(".box")
    assert css.count("--nx-pos:{} {} {};".format(*LIGHT.positive)) == 2
    assert css.count("--nx-pos:{} {} {};".format(*DARK.positive)) == 2
    assert css.count("{") == css.count("}")
    assert svg_paint(-0.25) == {"class": "neg", "fill": "#56aae9", "fill-opacity": ".25"}
    assert ".neg{fill:#186cb0}" in svg_style() and ".text{fill:#f2f2f2}" in svg_style()


# The matrices of Machado, Oliveira and Fernandes (2009) for full deficiency, in linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip


def _lab(color, vision):
    rgb = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISION[vision] @ linear, 0, 1)
    x, y, z = np.cbrt(TO_XYZ @ seen / [0.95047, 1, 1.08883])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("mode, ink", [(0, "#000000"), (1, "#ffffff")])
def test_lines_are_told_apart_by_every_eye(mode, ink, vision):
    # A difference of 2.3 is just noticeable.
    series = [pair[mode] for pair in SERIES] + [ink]
    kept = [pair[mode] for pair in KEPT.values()]
    for colors, least in ((series, 15), (kept, 25)):
        for one, other in combinations(colors, 2):
            assert np.linalg.norm(_lab(one, vision) - _lab(other, vision)) > least, (one, other)
