# SPDX-License-Identifier: BSD-3-Clause
"""The page of a report in a real browser: it opens, searches, sorts, and trusts no string."""

import ast
import base64
import contextlib
import importlib
import io
import socketserver
import threading
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.datasets import make_planted_neurons, make_tagged_words
from sklearn_neurox.inspection import NeuronReport
from sklearn_neurox.ranking import LCARanker, ProbelessRanker, RandomRanker
from sklearn_neurox.words import words_frame
from tests.inspection._report.browser import open_chromium

# They drive a real browser.
pytestmark = pytest.mark.slow

SCRIPT = "</script><script>window.hacked = 1; alert(1)</script>"
IMAGE = '"><img src=x onerror="window.hacked = 1; alert(1)">'
HEBREW = ["שלום", "עולם", "קטן"]
N_NEURONS = 120


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with open_chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(autouse=True)
def _quiet_console(chrome):
    chrome.get_log("browser")
    yield
    assert chrome.get_log("browser") == []


@pytest.fixture(scope="module")
def data():
    """Words, some of them hostile, right to left, or outside the basic multilingual plane."""
    sentences = [["🦜", "talk", SCRIPT], ["see", IMAGE, "here"], HEBREW]
    words = pd.concat([make_tagged_words(60, random_state=0), words_frame(sentences * 5)])
    words = words.reset_index(drop=True)
    made = make_planted_neurons(len(words), N_NEURONS, n_classes=3, n_layers=2, random_state=0)
    labels = np.array(["plain", SCRIPT, IMAGE])
    names = made.feature_names.copy()
    names[-1] = IMAGE
    X = made.X.copy()
    # Repeated sentences have the same activations.
    X[-45:] = np.tile(X[-9:], (5, 1))
    X[:, 0] += 9 * (words["word"] == SCRIPT) + 7 * (words["word"] == "🦜")
    X[:, 1] += 9 * (words["word"] == HEBREW[1])
    X[:, 2] = 0.25
    return pd.DataFrame(X, columns=names), labels[made.y], words


@pytest.fixture(scope="module")
def ranker(data):
    return LCARanker(LogisticRegression(max_iter=1000)).fit(*data[:2])


@pytest.fixture(scope="module")
def page(data, ranker, tmp_path_factory):
    X, y, words = data
    varying = X.loc[:, X.std() > 0]
    curve = ablation_curve(
        LogisticRegression(max_iter=1000),
        varying,
        y,
        groups=words["text"],
        n_draws=2,
        random_state=0,
    )
    layers = pd.DataFrame(
        {"name": [IMAGE, "hidden.1"], "layer": [0, 1], "score": [0.25, 0.5]}
        | {"low": [0.2, 0.375], "high": [0.3, 0.625]}
    )
    baselines = pd.DataFrame(
        {"name": ["majority", IMAGE, "probe"], "score": [0.3, 0.25, 0.875], "std": [0.1, 0.2, 0.3]}
    )
    report = NeuronReport(
        ranker,
        X,
        y,
        words,
        ablation=curve,
        layer_profile=layers,
        baselines=baselines,
        model="org/some-model",
        title=f"Hostile {SCRIPT}",
    )
    return write(report, tmp_path_factory)


def write(report, factory):
    path = factory.mktemp("page") / "report.html"
    report.write_html(path)
    return path.as_uri()


def find(chrome, selector):
    return chrome.find_element("css selector", selector)


def texts(chrome, selector):
    """Return the visible text of all matching elements, in one call to the browser."""
    return chrome.execute_script(
        "return Array.from(document.querySelectorAll(arguments[0]),"
        " (node) => (node.innerText ?? '').trim())",
        selector,
    )


def wait_for(chrome, script, *arguments):
    deadline = time.monotonic() + 20
    while not (value := chrome.execute_script(f"return {script}", *arguments)):
        assert time.monotonic() < deadline, f"never: {script}"
        time.sleep(0.02)
    return value


def open_at(chrome, page, place=""):
    # A different fragment alone would not reload the page.
    chrome.get("about:blank")
    chrome.get(page + place)
    wait_for(chrome, "document.documentElement.dataset.ready")


def heading_is(chrome, text):
    wait_for(chrome, "document.querySelector('h1').textContent === arguments[0]", text)


def press(chrome, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(chrome).send_keys(*keys).perform()


def key(name):
    from selenium.webdriver.common.keys import Keys

    return getattr(Keys, name)


def has_focus(chrome, selector):
    return chrome.execute_script(
        "return document.activeElement === document.querySelector(arguments[0])", selector
    )


def column(chrome, title):
    """Return the visible cells of a column of the first table."""
    return chrome.execute_script(
        """
        const table = document.querySelector("main table");
        const place = Array.from(table.tHead.rows[0].cells, (cell) => cell.innerText.trim())
            .indexOf(arguments[0]);
        return Array.from(table.tBodies[0].rows, (row) => row.cells[place].innerText.trim());
        """,
        title,
    )


def header(chrome, title):
    return find(chrome, "main table").find_element("xpath", f".//button[.='{title}']")


def test_it_opens_with_the_answers(chrome, page, ranker, data):
    X, y, words = data
    open_at(chrome, page)
    assert chrome.title == f"Overview · Hostile {SCRIPT}"
    assert texts(chrome, "#tabs a") == [
        *("Overview", "Ranking", "Labels", "Ablation", "Layers", "About")
    ]
    facts = dict(zip(texts(chrome, "dt"), texts(chrome, "dd"), strict=True))
    assert facts["Data"] == f"{len(words)} words in {words['text'].nunique()} texts"
    assert facts["Neurons"] == "120 in 2 layers" and facts["Ranking"] == "LCARanker"
    assert facts["Language model"] == "org/some-model"
    assert facts["Probe"] == "LogisticRegression" and "C = 1" in facts["Penalty"]
    assert column(chrome, "Model") == ["majority", IMAGE, "probe"]
    assert column(chrome, "Held-out score") == ["0.300", "0.250", "0.875"]
    verdict = "The probe scores 0.875 on held-out words, 0.575 above the best baseline."
    assert texts(chrome, "main .about")[0] == verdict
    assert len(chrome.find_elements("css selector", "figure svg .band")) == 1
    assert "the vertical axis does not start at 0" in find(chrome, "figure svg").text
    cards = chrome.find_elements("css selector", ".card")
    assert len(cards) == 3
    for card in cards:
        name = card.find_element("css selector", "a.name").text
        place, label = X.columns.get_loc(name), card.text.split("high for ")[-1].split(",")[0]
        if "high for" in card.text:
            inside = X.loc[y == label, name].to_numpy()[:, None]
            outside = X.loc[y != label, name].to_numpy()
            area = np.mean((inside > outside) + 0.5 * (inside == outside))
            assert float(card.text.split("AUC ")[1].split()[0]) == pytest.approx(area, abs=0.012)
            assert ranker.classes_.tolist()[ranker.class_scores_[:, place].argmax()] == label
    assert chrome.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_the_ranking_lists_the_best(chrome, page, ranker, data):
    open_at(chrome, page, "#/ranking")
    names = data[0].columns[ranker.order_[:50]].tolist()
    assert chrome.title == f"Ranking of all neurons · Hostile {SCRIPT}"
    assert texts(chrome, "main .beside > .table:first-child tbody a.name") == names


def test_search_by_keys_alone(chrome, page, data):
    open_at(chrome, page)
    press(chrome, "/")
    assert has_focus(chrome, "#query")
    press(chrome, "1.41")
    found = [name for name in data[0].columns if "1.41" in name]
    assert texts(chrome, "[role=option] bdi") == found == ["hidden.1.41"]
    press(chrome, key("ESCAPE"), "hidden.0.5")
    options = texts(chrome, "[role=option] bdi")
    assert options[0] == "hidden.0.5" and set(options[1:]) == {f"hidden.0.5{i}" for i in range(10)}
    press(chrome, key("ARROW_DOWN"))
    chosen = find(chrome, "[role=option][aria-selected=true]")
    assert chosen.text.startswith(options[1])
    assert find(chrome, "#query").get_attribute("aria-activedescendant") == chosen.get_attribute(
        "id"
    )
    press(chrome, key("ENTER"))
    heading_is(chrome, options[1])
    assert has_focus(chrome, "h1")
    press(chrome, "/", key("ESCAPE"))
    assert find(chrome, "#query").get_attribute("value") == ""


def test_search_finds_labels_and_top_words(chrome, page):
    open_at(chrome, page)
    find(chrome, "#query").send_keys("PLAIN")
    assert texts(chrome, "[aria-label=Labels] bdi") == ["plain"]
    find(chrome, "#query").clear()
    find(chrome, "#query").send_keys(HEBREW[1])
    assert texts(chrome, "[role=option] bdi")[0] == "hidden.0.1"
    find(chrome, "#query").clear()
    find(chrome, "#query").send_keys("no such thing")
    expected = "Nothing found for “no such thing” among the neurons, layers, labels and words."
    assert texts(chrome, "#found") == [expected] and not texts(chrome, "[role=option]")
    place = "return document.querySelector('#found').getBoundingClientRect().bottom"
    assert chrome.execute_script(place) < 200, "right below the field"


def test_search_finds_layers_and_every_word(chrome, page, data):
    open_at(chrome, page)
    query = find(chrome, "#query")
    query.send_keys("layer 1")
    assert texts(chrome, "[role=option] bdi") == ["hidden.1"]
    query.send_keys(key("ENTER"))
    heading_is(chrome, "Layer hidden.1")
    assert set(column(chrome, "Layer")) == {"hidden.1"}
    for word in data[2]["word"].value_counts().index[::12]:
        query.clear()
        query.send_keys(word)
        found = texts(chrome, "[role=option] bdi")
        assert word in found, word
    chrome.find_elements("css selector", "[aria-label=Words] [role=option]")[0].click()
    word = texts(chrome, "[aria-label=Words] bdi")[0]
    heading_is(chrome, f"Word {word}")
    count = (data[2]["word"] == word).sum()
    assert texts(chrome, "main .about")[0].startswith(f"{count} ×, labeled ")


def test_back_returns_to_the_sorted_page(chrome, page):
    open_at(chrome, page, "#/label/plain")
    header(chrome, "Difference, SD").click()
    chrome.find_elements("css selector", ".pager button")[2].click()
    shown = column(chrome, "Neuron")
    find(chrome, "main tbody a.name").click()
    heading_is(chrome, shown[0])
    chrome.back()
    heading_is(chrome, "Label plain")
    assert column(chrome, "Neuron") == shown
    assert header(chrome, "Difference, SD").find_element("xpath", "..").get_attribute("aria-sort")
    chrome.forward()
    heading_is(chrome, shown[0])


def test_tables_are_saved_as_csv(chrome, page, data, tmp_path):
    open_at(chrome, page, "#/label/plain")
    allow = {"behavior": "allow", "downloadPath": str(tmp_path)}
    chrome.execute_cdp_cmd("Browser.setDownloadBehavior", allow)
    header(chrome, "Neuron").click()
    find(chrome, ".download").click()
    deadline = time.monotonic() + 20
    while not (files := list(tmp_path.glob("*.csv"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    saved = pd.read_csv(files[0])
    assert len(saved) == N_NEURONS and set(saved["Neuron"]) == set(data[0].columns)
    X, y, _ = data
    z = (X - X.mean()) / X.std(ddof=0).replace(0, 1)
    difference = z[y == "plain"].mean() - z[y != "plain"].mean()
    expected = difference[saved["Neuron"]]
    np.testing.assert_allclose(saved["Difference, SD"], expected, atol=1e-3)


def saved(chrome, folder, pattern, title):
    """Click a download button, and return the file that it saves."""
    allow = {"behavior": "allow", "downloadPath": str(folder)}
    chrome.execute_cdp_cmd("Browser.setDownloadBehavior", allow)
    chrome.find_element("xpath", f"//main//button[.='{title}']").click()
    deadline = time.monotonic() + 20
    while not (files := list(folder.glob(pattern))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return files[0]


@contextlib.contextmanager
def emulated(chrome, *, width=None, dark=False):
    if width:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    try:
        yield
    finally:
        chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("dark", [False, True])
def test_charts_are_saved_as_svg(chrome, page, tmp_path, dark):
    from xml.etree import ElementTree

    with emulated(chrome, dark=dark):
        open_at(chrome, page, "#/layers")
        file = saved(chrome, tmp_path, "*.svg", "Download SVG")
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    band = root.findall(".//{http://www.w3.org/2000/svg}path[@fill-opacity='0.18']")
    assert len(band) == 1 and band[0].get("fill") == "rgb(0, 114, 178)"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("place", ["#/layers", "#/ablation"])
def test_a_png_is_what_the_browser_draws(chrome, page, tmp_path, place, dark):
    """The same pixels as in a screenshot of the chart on a light page."""
    from PIL import Image

    with emulated(chrome, dark=dark):
        open_at(chrome, page, place)
        png = Image.open(saved(chrome, tmp_path, "*.png", "Download PNG"))
        background = find(chrome, "body").value_of_css_property("background-color")
    assert png.size == (3 * 460, 3 * 290)
    assert ("27, 27, 31" in background) == dark
    open_at(chrome, page, place)
    # At a whole pixel, so that both are rasterized alike.
    chrome.execute_script(
        "Object.assign(document.querySelector('figure svg').style,"
        " {position: 'fixed', left: 0, top: 0, zIndex: 9, background: 'white'})"
    )
    box = {"x": 0, "y": 0, "width": 460, "height": 290, "scale": 3}
    taken = chrome.execute_cdp_cmd("Page.captureScreenshot", {"clip": box})["data"]
    seen = Image.open(io.BytesIO(base64.b64decode(taken)))
    assert seen.size == png.size
    shown, drawn = (np.asarray(image.convert("L"), float) for image in (seen, png))
    assert (shown < 200).mean() > 0.005
    # Text may be smoothed differently.
    assert (np.abs(shown - drawn) > 60).mean() < 0.002


@pytest.mark.parametrize("dark", [False, True])
def test_the_distributions_of_a_neuron_are_saved_as_a_picture(chrome, page, tmp_path, dark):
    from xml.etree import ElementTree

    from PIL import Image

    with emulated(chrome, dark=dark):
        open_at(chrome, page, "#/neuron/hidden.0.0")
        header(chrome, "Words").click()
        svg = saved(chrome, tmp_path, "*.svg", "Download SVG")
        png = Image.open(saved(chrome, tmp_path, "*.png", "Download PNG")).convert("RGB")
    root = ElementTree.fromstring(svg.read_text(encoding="utf-8"))
    shown = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert shown[0] == "hidden.0.0 by label"
    # The labels in the order of the table; long ones are cut.
    cut = [label if len(label) <= 18 else f"{label[:17]}…" for label in column(chrome, "Label")]
    assert shown[1:4] == cut
    assert png.size == tuple(3 * int(float(root.get(side))) for side in ("width", "height"))
    # Both signs are drawn, on white.
    pixels = np.asarray(png).reshape(-1, 3).astype(int)
    assert (pixels == 255).all(axis=1).mean() > 0.7
    redder = pixels[:, 0] - pixels[:, 2]
    assert (redder > 60).any() and (redder < -40).any()
    # Nothing stays behind in the page.
    assert chrome.execute_script("return document.body.lastElementChild.tagName") == "SCRIPT"
    assert not chrome.execute_script("return document.documentElement.className")


def test_two_neurons_side_by_side(chrome, page, data, ranker):
    X, y, words = data
    open_at(chrome, page, "#/neuron/hidden.0.0")
    find(chrome, ".neighbors .pair").send_keys(key("ENTER"))
    assert has_focus(chrome, "#query")
    assert texts(chrome, "#beside") == ["Select a neuron to show beside hidden.0.0. Cancel"]
    assert texts(chrome, "#results .group") == ["Best neurons"]
    press(chrome, "plain")
    assert texts(chrome, "#found") == ["Nothing found for “plain” among the neurons."]
    press(chrome, key("ESCAPE"), "hidden.1.5", key("ENTER"))
    heading_is(chrome, "hidden.0.0 and hidden.1.5")
    assert chrome.title.startswith("hidden.0.0 and hidden.1.5")
    assert texts(chrome, "#beside") == [""] and find(chrome, "#query").get_property("value") == ""
    z = (X - X.mean()) / X.std(ddof=0).replace(0, 1)
    names = ["hidden.0.0", "hidden.1.5"]
    facts = chrome.execute_script(
        "return Array.from(document.querySelectorAll('.facts-of-two tbody tr'),"
        " (row) => Array.from(row.cells, (cell) => cell.innerText.trim()))"
    )
    facts = {name: values for name, *values in facts}
    assert facts["Rank"] == [f"{ranker.ranks_[X.columns.get_loc(n)]} of 120" for n in names]
    assert facts["Layer"] == ["hidden.0", "hidden.1"]
    table = chrome.find_elements("css selector", "main .narrow table")[0]
    cells = [[c.text for c in r.find_elements("css selector", "td")] for r in rows_of(table)]
    titles = [h.text.strip() for h in table.find_elements("css selector", "thead th")]
    shown = pd.DataFrame(cells, columns=titles).set_index("Label")
    for letter, name in zip("AB", names, strict=True):
        means = z[name].groupby(y).mean()[shown.index]
        found = shown[f"Mean, SD {letter}"].str.replace("−", "-").astype(float)
        np.testing.assert_allclose(found, means, atol=0.006)
    assert len(texts(chrome, ".narrow td.drawing svg[role=img] .box")) == 6
    titles = [f"{letter} {name}" for letter, name in zip("AB", names, strict=True)]
    heads = [f"{title}: {end}" for end in ("highest", "lowest") for title in titles]
    assert texts(chrome, ".two h3") == 2 * heads
    lists = [
        [w.text for w in one.find_elements("css selector", "bdi.word")]
        for one in chrome.find_elements("css selector", ".words")
    ]
    for k, name in enumerate(names):
        frequent = z[name].groupby(words["word"]).agg(["mean", "size"]).query("size >= 5")["mean"]
        assert lists[k][0] == frequent.idxmax() and lists[2 + k][0] == frequent.idxmin()
    for a, b, text in (
        (0, 1, "highest of A and the highest of B"),
        (2, 1, "lowest of A and the highest of B"),
    ):
        both = [word for word in lists[a] if word in lists[b]]
        said = f"Among the {text}: {', '.join(both)}."
        assert (said in texts(chrome, ".shared")[0] if texts(chrome, ".shared") else False) == bool(
            both
        )


def rows_of(table):
    return table.find_elements("css selector", "tbody tr")


def test_one_of_two_neurons_is_replaced_or_the_search_canceled(chrome, page):
    open_at(chrome, page, "#/pair/hidden.0.0/hidden.1.5")
    chrome.find_element("xpath", "//button[.='Replace A']").click()
    press(chrome, "hidden.0.7", key("ENTER"))
    heading_is(chrome, "hidden.0.7 and hidden.1.5")
    chrome.find_element("xpath", "//button[.='Replace B']").click()
    press(chrome, key("ESCAPE"))
    assert texts(chrome, "#beside") == [""]
    assert has_focus(chrome, ".action.pair")
    assert "Labels" in "".join(texts(chrome, "#results .group")).title()
    chrome.back()
    heading_is(chrome, "hidden.0.0 and hidden.1.5")
    for place in ("#/pair/hidden.0.0", "#/pair/hidden.0.0/nothing", "#/pair/a/b/c"):
        open_at(chrome, page, place)
        heading_is(chrome, "Not found")


def test_two_neurons_with_hostile_names_and_nothing_to_show(chrome, page):
    from urllib.parse import quote

    # hidden.0.2 is constant.
    open_at(chrome, page, f"#/pair/{quote(IMAGE, safe='')}/hidden.0.2")
    heading_is(chrome, f"{IMAGE} and hidden.0.2")
    assert texts(chrome, ".note")[0].startswith("B hidden.0.2: This neuron has the value 0.25")
    assert len(texts(chrome, ".two h3")) == 4
    assert not chrome.find_elements("css selector", "img")
    assert chrome.execute_script("return window.hacked") is None


def test_two_neurons_on_a_phone(chrome, page):
    with emulated(chrome, width=360):
        open_at(chrome, page, "#/neuron/hidden.0.0")
        find(chrome, ".neighbors .pair").click()
        option = find(chrome, "#results [role=option]")
        assert option.is_displayed()
        option.click()
        wait_for(chrome, "document.querySelector('.facts-of-two')")
        edges = chrome.execute_script(
            "return Array.from(document.querySelectorAll('td.drawing svg'),"
            " (svg) => svg.getBoundingClientRect().right)"
        )
    assert len(edges) >= 6 and max(edges) <= 360


@pytest.mark.parametrize(
    "place", ["", "#/ranking", "#/labels", "#/label/plain", "#/neuron/hidden.0.0", "#/ablation"]
)
def test_every_column_is_defined(chrome, page, place):
    open_at(chrome, page, place)
    hints = chrome.execute_script(
        "return Array.from(document.querySelectorAll('main th button'),"
        " (button) => [button.innerText, button.title])"
    )
    chrome.get(f"{page}#/about")
    heading_is(chrome, "About this report")
    terms = dict(zip(texts(chrome, ".glossary dt"), texts(chrome, ".glossary dd"), strict=True))
    for title, hint in hints:
        assert hint and terms[title.strip()] == hint


def test_words_and_sentences_have_gold_labels(chrome, page, data):
    X, y, words = data
    open_at(chrome, page, "#/neuron/hidden.0.0")
    first = find(chrome, ".sentences .gold").text
    assert first == y[X["hidden.0.0"].argmax()]
    word = texts(chrome, ".words bdi.word")[3]
    shares = pd.Series(y[(words["word"] == word).to_numpy()]).value_counts(normalize=True)
    label, *share = texts(chrome, ".words .gold")[3].rsplit(" ", 1)
    assert shares[label] == shares.max()
    assert not share or share == [f"{100 * shares.max():.0f}%"]


def test_numbers_and_whole_texts(chrome, tmp_path_factory):
    rng = np.random.default_rng(0)
    made = make_tagged_words(100, random_state=0)["text"].astype(str).unique()
    X = rng.normal(size=(len(made), 6))
    y = pd.Series(X @ [3, -2, 0, 0, 0, 0] + rng.normal(size=len(made)), name="rating")
    ranker = LCARanker(Ridge()).fit(X, y)
    page = write(NeuronReport(ranker, X, y, list(made)), tmp_path_factory)
    open_at(chrome, page)
    assert texts(chrome, "#tabs a") == ["Overview", "Ranking", "Ranges", "About"]
    open_at(chrome, page, "#/ranking")
    names, shown = column(chrome, "Neuron"), column(chrome, "Correlation")
    for name, text, way in zip(names, shown, column(chrome, "Direction"), strict=True):
        expected = np.corrcoef(X[:, int(name[1:])], y)[0, 1]
        assert float(text.replace("−", "-")) == pytest.approx(expected, abs=6e-4)
        assert way == ("rises" if expected > 0 else "falls") + " with rating"
    open_at(chrome, page, "#/neuron/x1")
    assert [int(n) for n in column(chrome, "Texts")] == [len(made) // 5] * 5
    means = [float(text.replace("−", "-")) for text in column(chrome, "Mean, SD")]
    z = (X[:, 1] - X[:, 1].mean()) / X[:, 1].std()
    expected = pd.Series(z).groupby(pd.qcut(y, 5), observed=True).mean()
    np.testing.assert_allclose(means, expected, atol=0.006)
    top = made[X[:, 1].argmax()]
    assert texts(chrome, ".sentences p")[0] == top
    assert float(texts(chrome, ".sentences .gold")[0].replace("−", "-")) == pytest.approx(
        y[X[:, 1].argmax()], rel=6e-3
    )
    word = texts(chrome, ".words bdi.word")[0]
    assert any(word in text for text in made)


def test_a_phone_sees_the_distributions(chrome, page):
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        open_at(chrome, page, "#/neuron/hidden.0.3")
        edges = chrome.execute_script(
            "return Array.from(document.querySelectorAll('td.drawing svg'),"
            " (svg) => svg.getBoundingClientRect().right)"
        )
    finally:
        chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert len(edges) >= 3 and max(edges) <= 360


def test_tables_sort_by_click_and_by_key(chrome, page, ranker):
    open_at(chrome, page, "#/label/plain")
    assert column(chrome, "Rank") == [str(rank) for rank in range(1, 51)]
    header(chrome, "Difference, SD").click()
    values = [float(text.replace("−", "-")) for text in column(chrome, "Difference, SD")]
    assert values == sorted(values, reverse=True) and len(values) == 50
    header(chrome, "Neuron").send_keys(key("ENTER"))
    assert column(chrome, "Neuron")[1:12] == [f"hidden.0.{i}" for i in range(11)]
    header(chrome, "Neuron").send_keys(key("SPACE"))
    assert column(chrome, "Neuron")[:2] == ["hidden.1.58", "hidden.1.57"]
    marked = chrome.find_elements("css selector", "main .table:first-child th[aria-sort]")
    assert [node.get_attribute("aria-sort") for node in marked] == ["descending"]


@pytest.mark.parametrize(
    "place", ["", "#/ranking", "#/labels", "#/label/plain", "#/ablation", "#/layers"]
)
def test_sorting_keeps_all_rows_of_every_table(chrome, page, place):
    open_at(chrome, page, place)
    tables = chrome.find_elements("css selector", "main table")
    assert tables
    for table in tables:
        rows = table.find_elements("css selector", "tbody tr")
        for button in table.find_elements("css selector", "th button"):
            button.click()
            button.click()
            assert len(table.find_elements("css selector", "tbody tr")) == len(rows) > 0


def test_long_tables_come_by_pages(chrome, page):
    open_at(chrome, page, "#/ranking")
    first, previous, following, last = chrome.find_elements("css selector", ".pager button")
    following.send_keys(key("ENTER"))
    assert texts(chrome, ".pager span") == ["51–100 of 120"]
    last.click()
    assert texts(chrome, "main .beside > .table:first-child tbody td:first-child") == [
        str(rank) for rank in range(101, 121)
    ]
    following.click()
    assert texts(chrome, ".pager span") == ["101–120 of 120"]
    previous.click()
    first.click()
    assert texts(chrome, ".pager span") == ["1–50 of 120"]


def test_names_can_be_pasted_into_python(chrome, page):
    open_at(chrome, page, "#/label/plain")
    header(chrome, "Difference, SD").click()
    find(chrome, "main .names summary").send_keys(key("ENTER"))
    box = find(chrome, "main .names textarea")
    assert box.is_displayed()
    assert ast.literal_eval(box.get_property("value")) == column(chrome, "Neuron")
    # Focus selects everything, to be copied.
    box.click()
    ends = chrome.execute_script(
        "return [arguments[0].selectionStart, arguments[0].selectionEnd]", box
    )
    assert ends == [0, len(box.get_property("value"))]
    open_at(chrome, page, "#/ranking")
    names = []
    for _ in range(3):
        names += ast.literal_eval(find(chrome, "main .names textarea").get_property("value"))
        chrome.find_elements("css selector", ".pager button")[2].click()
    assert len(names) == len(set(names)) == N_NEURONS and IMAGE in names
    open_at(chrome, page, "#/labels")
    assert not chrome.find_elements("css selector", ".names")


def test_links_lead_to_neurons_and_labels_and_back(chrome, page, ranker, data):
    open_at(chrome, page, "#/ranking")
    best = data[0].columns[ranker.order_[0]]
    find(chrome, "main tbody a.name").click()
    heading_is(chrome, best)
    assert texts(chrome, "#results [aria-current]")[0].startswith(best)
    find(chrome, ".neighbors a").click()
    heading_is(chrome, data[0].columns[ranker.order_[1]])
    chrome.back()
    heading_is(chrome, best)
    chrome.find_element("link text", "plain").click()
    heading_is(chrome, "Label plain")
    chrome.get(page + "#/neuron/nothing%")
    heading_is(chrome, "Not found")


def test_a_neuron_shows_its_numbers(chrome, page, data, ranker):
    X, y, words = data
    open_at(chrome, page, "#/neuron/hidden.0.0")
    z = (X["hidden.0.0"] - X["hidden.0.0"].mean()) / X["hidden.0.0"].std(ddof=0)
    facts = dict(zip(texts(chrome, "dt"), texts(chrome, "dd"), strict=True))
    assert facts["Rank"] == f"{ranker.ranks_[0]} of 120" and facts["Layer"] == "hidden.0"
    assert float(facts["SD"]) == pytest.approx(X["hidden.0.0"].std(ddof=0), rel=5e-3)
    means = z.groupby(y).mean().sort_values(ascending=False)
    assert column(chrome, "Label") == means.index.tolist()
    shown = [float(text.replace("−", "-")) for text in column(chrome, "Mean, SD")]
    np.testing.assert_allclose(shown, means, atol=0.006)
    rows = np.array(ranker.classes_).searchsorted(means.index)
    weights = ranker.estimator_.coef_[rows, 0] * X["hidden.0.0"].std(ddof=0)
    shown = [float(text.replace("−", "-")) for text in column(chrome, "Weight × SD")]
    np.testing.assert_allclose(shown, weights, atol=6e-4)
    assert len(texts(chrome, "td.drawing svg[role=img] .box")) == 3
    frequent = z.groupby(words["word"]).agg(["mean", "size"]).query("size >= 5")["mean"]
    assert texts(chrome, ".words bdi.word")[0] == SCRIPT == frequent.idxmax()
    assert float(texts(chrome, ".words .value")[0]) == pytest.approx(frequent.max(), abs=0.006)


def test_sentences_are_colored_word_by_word(chrome, page, data):
    X, _, words = data
    open_at(chrome, page, "#/neuron/hidden.0.0")
    z = (X["hidden.0.0"] - X["hidden.0.0"].mean()) / X["hidden.0.0"].std(ddof=0)
    top = words.loc[z.idxmax(), "text"]
    assert texts(chrome, ".sentences p")[0] == top
    rows = words[words["text"] == top].drop_duplicates("start")
    first = chrome.find_elements("css selector", ".sentences li:first-child")[0]
    spans = first.find_elements("css selector", ".word")
    # The parrot is one character in Python and two in the browser.
    assert [span.text for span in spans] == rows["word"].tolist() == ["🦜", "talk", SCRIPT]
    shown = [float(s.get_attribute("title").split()[0].replace("−", "-")) for s in spans]
    np.testing.assert_allclose(shown, z[rows.index].clip(-4, 4), atol=0.03)
    assert [span.tag_name for span in spans].count("strong") == 1
    colors = [span.value_of_css_property("background-color") for span in spans]
    assert "240, 150, 30" in colors[0]


def test_right_to_left_text_runs_so(chrome, page):
    open_at(chrome, page, "#/neuron/hidden.0.1")
    paragraph = find(chrome, ".sentences p")
    assert paragraph.text == " ".join(HEBREW)
    assert paragraph.value_of_css_property("direction") == "rtl"


def test_hostile_strings_are_text(chrome, page):
    from urllib.parse import quote

    for place in ("", "#/labels", "#/layers", "#/neuron/hidden.0.0", "#/neuron/hidden.0.1"):
        open_at(chrome, page, place)
        assert texts(chrome, "header .title") == [f"Hostile {SCRIPT}"]
    open_at(chrome, page, "#/layers")
    assert IMAGE in column(chrome, "name")
    open_at(chrome, page)
    assert IMAGE in column(chrome, "Model")
    for name in (SCRIPT, IMAGE):
        open_at(chrome, page, f"#/label/{quote(name, safe='')}")
        heading_is(chrome, f"Label {name}")
        assert name in texts(chrome, "#results bdi")
    open_at(chrome, page, f"#/neuron/{quote(IMAGE, safe='')}")
    heading_is(chrome, IMAGE)
    assert chrome.find_elements("css selector", "img, main script") == []
    assert len(chrome.find_elements("css selector", "script")) == 2
    assert chrome.execute_script("return window.hacked") is None


def test_the_policy_lets_nothing_out(chrome, page):
    requests = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            requests.append(self.request.recv(100))

    server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        open_at(chrome, page)
        refused = chrome.execute_async_script(
            """
            const [url, done] = arguments;
            const refused = [];
            document.addEventListener("securitypolicyviolation",
                (event) => refused.push(event.effectiveDirective));
            const add = (tag, set) => document.body.append(
                Object.assign(document.createElement(tag), set));
            add("img", { src: url + "img" });
            add("script", { src: url + "script" });
            add("script", { textContent: "window.hacked = 1" });
            add("link", { rel: "stylesheet", href: url + "style" });
            fetch(url + "fetch").catch(() => {}).then(() => setTimeout(done, 300, refused));
            """,
            f"http://127.0.0.1:{server.server_address[1]}/",
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert requests == []
    assert chrome.execute_script("return window.hacked") is None
    assert set(refused) == {
        "img-src",
        "script-src-elem",
        "style-src-elem",
        "connect-src",
    }
    # These refusals are expected.
    chrome.get_log("browser")


def test_what_is_missing_is_said(chrome, data, tmp_path_factory):
    X, y, words = data
    ranker = RandomRanker(random_state=0).fit(X, y)
    page = write(NeuronReport(ranker, X, y, words, n_detailed=1, min_count=999), tmp_path_factory)
    best, other = X.columns[ranker.order_[:2]]
    open_at(chrome, page, f"#/neuron/{other}")
    assert "only for the 1 best-ranked neuron;" in find(chrome, ".note").text
    open_at(chrome, page, f"#/neuron/{best}")
    assert texts(chrome, ".note") == ["No word occurs at least 999 times."]
    assert len(texts(chrome, ".sentences li")) == 10
    open_at(chrome, page, "#/neuron/hidden.0.2")
    assert texts(chrome, ".note")[0].startswith("This neuron has the value 0.25 for every word")
    open_at(chrome, page, "#/label/plain")
    assert "RandomRanker has no scores by label" in find(chrome, ".about").text
    sizes = [abs(float(t.replace("−", "-"))) for t in column(chrome, "Difference, SD")]
    assert sizes == sorted(sizes, reverse=True)
    open_at(chrome, page, "#/labels")
    assert texts(chrome, "#tabs a") == ["Overview", "Ranking", "Labels", "About"]
    open_at(chrome, page)
    assert texts(chrome, ".note")[0].startswith("This report was made without held-out scores")
    assert "Language model" not in texts(chrome, "dt")


def test_no_view_shows_the_values_of_the_script(chrome, data, tmp_path_factory, monkeypatch):
    X, y, words = data
    for name in ("_neuron_report", "_contents"):
        module = importlib.import_module(f"sklearn_neurox.inspection._report.{name}")
        monkeypatch.setattr(module, "MOST_DRAWN", 1)
    gathering = importlib.import_module("sklearn_neurox.inspection._report._gathering")
    monkeypatch.setattr(gathering, "_N_LISTED_WORDS", 3)
    ranker = RandomRanker(random_state=0).fit(X, y)
    page = write(NeuronReport(ranker, X, y, words, n_detailed=1, n_top_words=1), tmp_path_factory)
    best, other = X.columns[ranker.order_[:2]]
    views = [f"#/{view}" for view in ("", "ranking", "labels", "label/plain", "about")]
    views += [f"#/neuron/{name}" for name in X.columns]
    for view in [*views, f"#/pair/{best}/{other}"]:
        open_at(chrome, page, view)
        shown = set(find(chrome, "main").text.split())
        assert not shown & {"false", "true", "null", "undefined", "NaN", "[object"}, view
    find(chrome, "#query").send_keys("no such thing")
    n_types = words["word"].nunique()
    (found,) = texts(chrome, "#found")
    assert f"of {n_types} different words, mostly the most frequent." in found


def test_the_overview_shows_no_neuron_of_a_rare_label(chrome, data, tmp_path_factory):
    words = data[2]
    y = np.resize(["A", "B", "C"], len(words)).astype(object)
    y[:6] = "rare"
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(len(words), 12)))
    X = X.set_axis([f"hidden.0.{i}" for i in range(12)], axis=1)
    X["hidden.0.7"] += 9 * (y == "rare")  # the best neuron of all
    for place, label in enumerate(["A", "B", "C"]):
        X[f"hidden.0.{place}"] += 3 * (y == label)
    ranker = LCARanker(LogisticRegression(max_iter=1000)).fit(X, y)
    open_at(chrome, write(NeuronReport(ranker, X, y, words), tmp_path_factory))
    cards = chrome.find_elements("css selector", ".card")
    shown = {card.text.split("high for ")[1].split(",")[0] for card in cards}
    assert shown == {"A", "B", "C"}
    assert "with at least 10 words" in find(chrome, ".about.prose").text


def test_an_ablation_has_a_drawing_and_its_numbers(chrome, page):
    open_at(chrome, page, "#/ablation")
    assert texts(chrome, ".panels h3") == ["Probe fitted again", "Other neurons filled"]
    for panel in chrome.find_elements("css selector", ".panels svg"):
        assert len(panel.find_elements("css selector", "path.curve.top")) == 1
        assert {"all neurons", "majority"} <= set(panel.text.split("\n"))
    assert column(chrome, "which")[0] == "all"
    header(chrome, "score").click()
    scores = [float(text) for text in column(chrome, "score")]
    assert scores == sorted(scores) and len(scores) == 19


def test_dark_mode(chrome, page):
    open_at(chrome, page, "#/neuron/hidden.0.0")
    light = find(chrome, "body").value_of_css_property("background-color")
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        color = find(chrome, "body").value_of_css_property("background-color")
    finally:
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert "255, 255, 255" in light and "27, 27, 31" in color


@pytest.mark.parametrize(
    "place",
    [
        *("", "#/ranking", "#/labels", "#/label/plain", "#/neuron/hidden.0.0"),
        *("#/ablation", "#/layers", "#/about", "#/pair/hidden.0.0/hidden.1.5"),
    ],
)
def test_narrow_screens_scroll_tables_and_not_the_page(chrome, page, place):
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        open_at(chrome, page, place)
        widths = chrome.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        edges = chrome.execute_script(
            "return Array.from(document.querySelectorAll('figure svg'),"
            " (svg) => svg.getBoundingClientRect().right)"
        )
    finally:
        chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths[0] <= widths[1]
    assert len(edges) >= (place in ("", "#/ablation", "#/layers"))
    assert all(edge <= 360 for edge in edges)


def test_a_notebook_shows_it_in_its_frame(chrome, data, ranker, tmp_path):
    report = NeuronReport(ranker, *data)
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!DOCTYPE html><p>cell</p>{report._repr_html_()}", encoding="utf-8")
    chrome.get(outer.as_uri())
    chrome.switch_to.frame(find(chrome, "iframe"))
    try:
        wait_for(chrome, "document.documentElement.dataset.ready")
        chrome.find_element("link text", "Ranking").click()
        heading_is(chrome, "Ranking of all neurons")
        find(chrome, "main tbody a.name").click()
        heading_is(chrome, data[0].columns[ranker.order_[0]])
        assert not texts(chrome, ".download")
    finally:
        chrome.switch_to.default_content()


def test_ten_thousand_neurons(chrome, tmp_path):
    n_words, n_neurons = 25_000, 10_000
    words = make_tagged_words(3000, random_state=0).iloc[:n_words]
    labels, y = np.unique(words["upos"].to_numpy()[:n_words], return_inverse=True)
    rng = np.random.default_rng(0)
    effects = rng.standard_normal((len(labels), n_neurons), dtype=np.float32)
    X = np.lib.format.open_memmap(
        tmp_path / "X.npy", "w+", dtype=np.float16, shape=(len(words), n_neurons)
    )
    for start in range(0, len(words), 1000):
        rows = slice(start, start + 1000)
        X[rows] = rng.standard_normal(X[rows].shape, dtype=np.float32) + effects[y[rows]]
    ranker = ProbelessRanker().fit(X, labels[y])
    path = tmp_path / "report.html"
    NeuronReport(ranker, X, labels[y], words).write_html(path)
    assert path.stat().st_size < 15_000_000
    open_at(chrome, path.as_uri())
    find(chrome, "#query").send_keys("x9999")
    assert texts(chrome, "[role=option] bdi") == ["x9999"]


def test_fifty_thousand_neurons(chrome, tmp_path):
    n_neurons = 50_000
    words = make_tagged_words(150, random_state=0).iloc[:1500]
    labels, y = np.unique(words["upos"].to_numpy(), return_inverse=True)
    rng = np.random.default_rng(0)
    effects = rng.standard_normal((len(labels), n_neurons), dtype=np.float32)
    X = np.empty((len(words), n_neurons), np.float16)
    for start in range(0, len(words), 100):
        rows = slice(start, start + 100)
        X[rows] = rng.standard_normal(X[rows].shape, dtype=np.float32) + effects[y[rows]]
    names = [f"hidden.{i // 5000}.{i % 5000}" for i in range(n_neurons)]
    ranker = ProbelessRanker().fit(X, labels[y])
    path = tmp_path / "report.html"
    NeuronReport(ranker, X, labels[y], words, input_features=names).write_html(path)
    assert path.stat().st_size < 15_000_000
    open_at(chrome, path.as_uri(), "#/ranking")
    best, last = ranker.order_[[0, -1]]
    assert column(chrome, "Neuron")[0] == names[best]
    assert texts(chrome, ".pager span") == ["1–50 of 50,000"]
    open_at(chrome, path.as_uri(), f"#/neuron/{names[best]}")
    assert texts(chrome, ".sentences p") and texts(chrome, "td.drawing svg")
    open_at(chrome, path.as_uri(), f"#/neuron/{names[last]}")
    assert "only for the 1,000 best-ranked neurons" in find(chrome, ".note").text
    assert not texts(chrome, "td.drawing")
