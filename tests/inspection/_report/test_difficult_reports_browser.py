# SPDX-License-Identifier: BSD-3-Clause
"""Long names, many labels and difficult curves stay readable in the report, on phones too."""

import time

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.datasets import make_planted_neurons, make_tagged_words
from sklearn_neurox.inspection import AblationCurveDisplay, LayerProfileDisplay, NeuronReport
from sklearn_neurox.ranking import LCARanker
from sklearn_neurox.words import words_frame
from tests.inspection._report.browser import open_chromium

pytestmark = pytest.mark.slow

FRACTIONS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
LONG = "a-very-long-name-without-a-break" * 6


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with open_chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(autouse=True)
def _quiet_console(chrome):
    yield
    assert chrome.get_log("browser") == []


def _curve():
    rows = [
        {"which": which, "fraction": fraction, "n_neurons": 9, "retrained": False, "fill": "mean",
         "fold": fold, "score": start + fraction / 5 + fold / 20}
        for which, start in {"top": 0.7, "random": 0.4, "bottom": 0.0}.items()
        for fraction in FRACTIONS
        for fold in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _layers():
    score = np.linspace(0.5, 0.7, 33)
    frame = pd.DataFrame({"layer": range(33), "score": score, "low": score - 0.1})
    frame = frame.assign(high=score + 0.1)
    frame.loc[[5, 7], ["low", "high"]] = np.nan
    names = ["hidden", "mlp_hidden", "attention", LONG]
    return pd.concat([frame.assign(component=name, name=name) for name in names])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    words = pd.concat([make_tagged_words(60, random_state=0), words_frame([[LONG, "is"]] * 9)])
    labels = np.array([f"Case=Nom|Number=Sing|Gender={i}|Person=3" for i in range(12)])
    made = make_planted_neurons(len(words), 20, n_classes=12, random_state=0)
    made.X[-18:] += np.tile([[9.0], [-9.0]], (9, 1))  # among the top words of every neuron
    X = pd.DataFrame(made.X, columns=[*made.feature_names[:-3], *(f"{LONG}{i}" for i in range(3))])
    y = labels[made.y]
    ranker = LCARanker(LogisticRegression(max_iter=300)).fit(X, y)
    report = NeuronReport(
        ranker, X, y, words, ablation=_curve(), layer_profile=_layers(), model=LONG, title=LONG,
        baselines={"majority": 0.1, "probe": 0.7}, min_count=2,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "report.html"
    report.write_html(path)
    return path.as_uri()


def _open(chrome, address, width=1280):
    chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    chrome.get("about:blank")
    chrome.get(address)
    deadline = time.monotonic() + 20
    while not chrome.execute_script("return document.documentElement.dataset.ready"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _best(chrome, page):
    _open(chrome, page + "#/ranking")
    return chrome.find_element("css selector", "main tbody a").get_attribute("href")


def _numbers(text):
    return np.array([float(x) for x in text.replace("L", ",").strip("MZ").split(",")]).reshape(
        -1, 2
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_long_names_do_not_widen_the_page(chrome, page, width):
    of_long = [f"#/neuron/{LONG}0", f"#/pair/{LONG}0/{LONG}1", f"#/word/{LONG}"]
    for place in ("", "#/ranking", "#/labels", "#/ablation", "#/layers", *of_long):
        _open(chrome, page + place, width)
        wide = chrome.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, place


@pytest.mark.parametrize("width", [1280, 390])
def test_long_labels_leave_room_for_words(chrome, page, width):
    _open(chrome, _best(chrome, page), width)
    heights = chrome.execute_script(
        "return Array.from(document.querySelectorAll('.words bdi:not(.gold)'), (word) =>"
        " word.getClientRects().length && word.offsetHeight)"
    )
    # Words are on one line, except the long one, of which six are shown.
    assert len(heights) == 20 and sorted(heights)[-3] < 30 and max(heights) < 150


def test_labels_that_differ_at_their_end_show_it(chrome, page):
    _open(chrome, _best(chrome, page), 390)
    cut = chrome.execute_script(
        "return Array.from(document.querySelectorAll('td:first-child bdi'), (label) =>"
        " label.scrollHeight - label.clientHeight)"
    )
    assert len(cut) == 12 and max(cut) <= 1


def test_fractions_have_room_and_their_names_do_not_touch(chrome, page):
    _open(chrome, page + "#/ablation")
    ticks = chrome.execute_script(
        "return Array.from(document.querySelectorAll('figure text'), (text) =>"
        " [text.textContent, text.getBBox().x, text.getBBox().width])"
        ".filter(([name]) => name.endsWith('%'))"
    )
    assert {ticks[0][0], ticks[1][0]} == {"0.05%", "50%"} and len(ticks) > 5
    ticks.sort(key=lambda tick: tick[1])
    for (_, x, width), (_, after, _) in zip(ticks, ticks[1:], strict=False):
        assert x + width < after
    (path,) = chrome.find_elements("css selector", "path.curve.top")
    x = _numbers(path.get_attribute("d"))[:, 0]
    logarithm = np.log(FRACTIONS)
    expected = (logarithm - logarithm[0]) / np.ptp(logarithm)
    np.testing.assert_allclose((x - x[0]) / np.ptp(x), expected, atol=0.01)
    text = chrome.find_element("css selector", "figure").get_attribute("textContent")
    assert "band: ± 1 standard deviation" in text and "−0 " not in text and "−0" not in text


def test_bands_of_the_ablation_are_the_spread_of_the_table(chrome, page):
    _open(chrome, page + "#/ablation")
    for which in ("top", "random", "bottom"):
        line, band = (
            _numbers(chrome.find_element("css selector", f"path.{kind}.{which}").get_attribute("d"))
            for kind in ("curve", "band")
        )
        low, high = band[: len(line)], band[len(line) :][::-1]
        np.testing.assert_allclose(low[:, 0], line[:, 0])
        np.testing.assert_allclose(low[:, 1] + high[:, 1], 2 * line[:, 1])
        if which == "top":  # pixels per unit of the score, from two points of this curve
            unit = (line[0, 1] - line[-1, 1]) / ((FRACTIONS[-1] - FRACTIONS[0]) / 5)
            np.testing.assert_allclose((low - high)[:, 1], 2 * 0.05 * unit, rtol=0.02)


def test_colors_of_curves_are_those_of_the_plots(chrome, page, pyplot):
    kept = AblationCurveDisplay.from_frame(_curve()).lines_
    profile = LayerProfileDisplay.from_frame(_layers()).lines_
    expected = {f".curve.{which}": kept["filled: mean", which] for which in ("top", "bottom")}
    expected |= {f".curve.s{number}": line for number, line in enumerate(profile)}
    for place in ("#/ablation", "#/layers"):
        _open(chrome, page + place)
        for selector, line in expected.items():
            for curve in chrome.find_elements("css selector", selector):
                color = chrome.execute_script(
                    "return getComputedStyle(arguments[0]).stroke.match(/\\d+/g).map(Number)", curve
                )
                assert color == [round(255 * part) for part in to_rgb(line.get_color())]
    assert len(chrome.find_elements("css selector", ".curve")) == 4


def test_bands_have_gaps_where_bounds_are_missing(chrome, page):
    _open(chrome, page + "#/layers")
    band = chrome.find_element("css selector", "path.band.s0").get_attribute("d")
    runs = [_numbers(run) for run in band.split("Z") if run]
    line = _numbers(chrome.find_element("css selector", "path.curve.s0").get_attribute("d"))
    ends = [(run[:, 0].min(), run[:, 0].max()) for run in runs]
    x = line[:, 0]
    np.testing.assert_allclose(ends, [(x[0], x[4]), (x[6] - 3, x[6] + 3), (x[8], x[32])])
    names = chrome.execute_script(
        "const svg = document.querySelector('figure svg'); const end = svg.viewBox.baseVal.width;"
        "return Array.from(svg.querySelectorAll('text.s0, text.s3'), (text) =>"
        " [text.textContent, end - text.getBBox().x - text.getBBox().width])"
    )
    assert names[0][0] == "hidden" and names[1][0][:5] == LONG[:5]
    assert all(room >= 0 for _, room in names)  # not cut off
