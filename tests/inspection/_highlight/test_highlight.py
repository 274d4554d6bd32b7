# SPDX-License-Identifier: BSD-3-Clause
import re
from collections import defaultdict
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, Activations, SubwordAggregator
from sklearn_neurox.extraction._run._repeated_reads import forget_passes
from sklearn_neurox.inspection import highlight
from sklearn_neurox.inspection._palette import LIGHT, hex_color
from sklearn_neurox.words import words_frame

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'onmouseover='alert(1)",
    "</title></svg><svg onload=alert(1)>",
    "]]>&amp;<!--",
    "\x00\x1b\ufffe",
]
SENTENCES = [["Dogs", "bark"], ["Cats", "do", "not"]]
H = np.array([[1.0, 5], [-2, 5], [0.5, 6], [0, 4], [1.5, 5]], dtype=np.float16)


class _Page(HTMLParser):
    """Collect the elements and the text outside the style."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.texts.append((self._open[-1] if self._open else None, data))

    def words(self):
        return [attributes for tag, attributes in self.elements if "title" in attributes]

    def text_of(self, *tags):
        return [text for tag, text in self.texts if tag in tags]


def _alphas(shown):
    """Read the color strength of each word from the HTML."""
    alphas = []
    for attributes in _Page(shown.to_html()).words():
        match = re.fullmatch(r"background:rgb\(var\(--nx-(pos|neg)\)/([.\d]+)\)",
                             attributes.get("style", ""))  # fmt: skip
        sign = match and (1 if match[1] == "pos" else -1)
        alphas.append(sign * float(match[2]) if match else 0.0)
    return alphas


def test_colors_are_shares_of_the_largest_distance():
    shown = highlight(SENTENCES, H, [0, 1])
    np.testing.assert_allclose(_alphas(shown)[:5], [0.5, -1, 0.25, 0, 0.75])
    np.testing.assert_allclose(_alphas(shown)[5:], [0.83, 0.83, 1, 0.67, 0.83])
    assert [attributes["title"] for attributes in _Page(shown.to_html()).words()][:2] == [
        "Dogs: 1",
        "bark: \u22122",
    ]


def test_center_and_limit_are_the_users():
    mean = highlight(SENTENCES, H, 1, center="mean")
    np.testing.assert_allclose(_alphas(mean), [0, 0, 1, -1, 0])
    assert "orange above 5, blue below, uncolored at 5" in mean.to_html()
    plain = highlight(SENTENCES, H, 1)
    assert "activation: orange above 0, blue below" in plain.to_html()
    fixed = highlight(SENTENCES, H, [0, 1], center=[0.5, 4], limit=4)
    np.testing.assert_allclose(_alphas(fixed)[:5], [0.12, -0.62, 0, -0.12, 0.25])
    np.testing.assert_allclose(_alphas(fixed)[5:], [0.25, 0.25, 0.5, 0, 0.25])


def test_only_the_strongest_words_of_a_sentence():
    # -2 is the farthest in the first sentence, 1.5 in the second.
    np.testing.assert_allclose(
        _alphas(highlight(SENTENCES, H, 0, top_words=1)), [0, -1, 0, 0, 0.75]
    )
    # NeuroX keeps the words above 80 % of the top value of their sentence.
    values = np.array([[1.0], [-0.8], [0.79], [0.1], [0.09]])
    shown = highlight([["a", "b", "c"], ["d", "e"]], values, 0, min_share=0.8)
    np.testing.assert_allclose(_alphas(shown), [1, -0.8, 0, 0.1, 0.09])
    assert len(_Page(shown.to_html()).words()) == 5  # the others still show their values


def test_missing_values_have_no_color():
    values = np.array([[1.0], [np.nan], [np.nan], [np.nan], [-1]])
    for kwargs in ({}, {"top_words": 1}, {"min_share": 0.5}, {"center": "mean"}):
        shown = highlight(SENTENCES, values, 0, **kwargs)
        np.testing.assert_allclose(_alphas(shown), [1, 0, 0, 0, -1])
        assert 'title="bark: missing"' in shown.to_html()
    assert _alphas(highlight(SENTENCES, np.full((5, 1), np.nan), 0, min_share=0.5)) == [0] * 5


def test_constant_neuron():
    assert _alphas(highlight(SENTENCES, np.zeros((5, 1)), 0)) == [0] * 5
    assert _alphas(highlight(SENTENCES, np.full((5, 1), 3.0), 0, center="mean")) == [0] * 5


def test_text_is_shown_as_it_stands():
    texts = ['  "Dogs"   bark,\nloudly! ', "Cats\tdo (not)."]
    shown = highlight(texts, np.zeros((6, 1)), 0)
    page = _Page(shown.to_html())
    assert "".join(page.text_of("p", "span")).endswith("".join(texts))
    assert shown.to_frame()["word"].tolist() == [
        '"Dogs"', "bark,", "loudly!", "Cats", "do", "(not)."
    ]  # fmt: skip


def test_rows_of_a_frame_in_any_order():
    words = words_frame(SENTENCES, {"tag": [["N", "V"], ["N", "V", "X"]]})
    before = words.copy()
    shuffled = words.iloc[[4, 1, 2, 0]]
    shown = highlight(shuffled, H[[4, 1, 2, 0]], 0)
    pd.testing.assert_frame_equal(words, before)
    frame = shown.to_frame()
    assert frame.index.tolist() == [4, 1, 2, 0]
    assert frame["sentence"].tolist() == [0, 1, 0, 1]
    assert frame["word"].tolist() == ["not", "bark", "Cats", "Dogs"]
    np.testing.assert_array_equal(frame["x0"], H[[4, 1, 2, 0], 0])
    # The word that was left out appears between the others, without color.
    assert "</span> do <span" in shown.to_html()


def test_equal_sentences_are_shown_each():
    words = words_frame([["Dogs", "bark"], ["Dogs", "bark"]])
    values = np.array([[1.0], [0.5], [-1], [0.25]])
    np.testing.assert_allclose(_alphas(highlight(words, values, 0)), [1, 0.5, -1, 0.25])
    same = highlight(words.drop(columns="sentence_id"), values, 0)
    np.testing.assert_allclose(_alphas(same), [1, 0.5])  # the first row of a repeated span


def test_names_of_stored_activations():
    named = pd.DataFrame(H, columns=["hidden.0.0", "hidden.1.0"])
    for shown in (
        highlight(SENTENCES, named, "hidden.1.0"),
        highlight(SENTENCES, H, ["hidden.1.0"], input_features=named.columns),
        highlight(SENTENCES, named, -1),
    ):
        assert shown.to_frame().columns.tolist() == ["sentence", "word", "hidden.1.0"]
        assert shown.to_frame()["hidden.1.0"].tolist() == [5, 5, 6, 4, 5]
        assert _Page(shown.to_html()).text_of("b") == ["hidden.1.0"]


def test_memory_mapped_half_precision(tmp_path):
    np.save(tmp_path / "H.npy", H)
    mapped = np.load(tmp_path / "H.npy", mmap_mode="r")
    assert _alphas(highlight(SENTENCES, mapped, 0)) == _alphas(highlight(SENTENCES, H, 0))


@pytest.fixture(scope="module")
def model():
    return make_tiny_model("bert", n_layers=2, hidden_size=8, random_state=0)


@pytest.mark.slow
def test_model_extractor_pipeline_and_matrix_agree(model):
    texts = ["The cat sleeps.", "Dogs bark"]
    words = highlight(texts, np.zeros((5, 1)), 0)._view.sentences
    frame = pd.DataFrame({"text": np.repeat(texts, [3, 2]), "start": [0, 4, 8, 0, 5],
                          "end": [3, 7, 15, 4, 9]})  # fmt: skip
    assert words.words == ["The", "cat", "sleeps.", "Dogs", "bark"]
    extractor = ActivationExtractor(model, component=["hidden", "mlp"])
    pipe = make_pipeline(extractor, SubwordAggregator())
    matrix = pipe.fit_transform(frame)
    names = pipe.get_feature_names_out()
    neurons = ["hidden.2.5", "mlp.1.3"]
    expected = highlight(frame, matrix, neurons, input_features=names).to_frame()
    sources = [model, extractor, pipe, extractor.transform(frame)]
    for source in sources:
        forget_passes()
        found = highlight(texts, source, neurons).to_frame()
        np.testing.assert_allclose(found[neurons], expected[neurons], rtol=1e-5, atol=1e-6)
        assert found["word"].tolist() == words.words
    forget_passes()
    by_column = highlight(texts, model, 8 * 2 + 5).to_frame()
    np.testing.assert_allclose(by_column["hidden.2.5"], expected["hidden.2.5"], rtol=1e-5)


@pytest.mark.slow
def test_only_the_layers_asked_for_are_extracted(model, monkeypatch):
    asked = []
    plan = ActivationExtractor._plan

    def spy(self, *rows):
        asked.append((self.layers, self.component, self.stack))
        return plan(self, *rows)

    monkeypatch.setattr(ActivationExtractor, "_plan", spy)
    highlight("Dogs bark", model, ["mlp.1.3", "hidden.1.0"])
    highlight("Dogs bark", model, "embedding.0.2")
    assert asked == [([1], ["mlp", "hidden"], None), (None, ["embedding"], None)]


@pytest.mark.slow
def test_decoder_of_a_model():
    model = make_tiny_model("marian", n_layers=2, hidden_size=8)
    shown = highlight("Dogs bark", model, ["decoder.hidden.1.0", "encoder.hidden.2.3"])
    assert shown.to_frame().shape == (2, 4)


def test_fitted_pipeline_is_not_fitted_again(model):
    pipe = make_pipeline(ActivationExtractor(model), SubwordAggregator(), StandardScaler())
    frame = words_frame([["The", "cat", "sleeps"], ["Dogs", "bark"]])
    pipe.fit(frame)
    shown = highlight(["The cat"], pipe, "hidden.1.0", unit="standard deviations").to_frame()
    expected = pipe.transform(words_frame([["The", "cat"]]))[:, 8]
    np.testing.assert_allclose(shown["hidden.1.0"], expected)
    forget_passes()
    unfitted = make_pipeline(ActivationExtractor(model), SubwordAggregator(), StandardScaler())
    shown = highlight(["The cat"], unfitted, "hidden.1.0").to_frame()
    assert shown["hidden.1.0"].mean() == pytest.approx(0, abs=1e-6)
    assert not hasattr(unfitted[-1], "scale_")


def test_stored_subwords():
    activations = Activations.from_arrays([[[1.0], [4.0]], [[-2.0]]], feature_names=["hidden.0.0"])
    assert highlight([["Dogs", "bark"]], activations, 0).to_frame()["hidden.0.0"].tolist() == [
        4,
        -2,
    ]


def _hostile():
    return highlight([HOSTILE], np.arange(6)[:, None], [HOSTILE[1]], input_features=[HOSTILE[1]],
                     unit=HOSTILE[0])  # fmt: skip


def test_hostile_text_is_text_in_html():
    page = _Page(_hostile().to_html(full=True))
    tags = {tag for tag, _ in page.elements}
    assert tags == {"html", "head", "meta", "title", "body", "div", "style", "section", "header",
                    "b", "i", "span", "p"}  # fmt: skip
    assert {name for _, attributes in page.elements for name in attributes} <= {
        "charset", "http-equiv", "content", "name", "class", "dir", "title", "style"
    }  # fmt: skip
    shown = page.text_of("span")
    assert HOSTILE[0] in shown
    assert shown[-6:] == [*HOSTILE[:5], "\ufffd" * 3]
    assert page.words()[1]["title"] == f"{HOSTILE[1]}: 1"
    metas = [attributes for tag, attributes in page.elements if tag == "meta"]
    assert any(meta.get("content", "").startswith("default-src 'none'") for meta in metas)


def test_hostile_text_is_text_in_svg():
    root = ElementTree.fromstring(_hostile().to_svg())
    assert {element.tag for element in root.iter()} == {
        SVG + tag for tag in ("svg", "title", "style", "rect", "text", "g")
    }
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)
    titles = [title.text for title in root.iter(SVG + "title")]
    assert f"{HOSTILE[0]}: 0" in titles and titles[0] == HOSTILE[1]
    assert "".join(text.text for text in root.iter(SVG + "text")).endswith(
        "".join(HOSTILE[:5]).replace(" ", "") + "\ufffd" * 3
    )


def _drawn(svg):
    """Return the root and each word with its rectangle, in drawing order."""
    root = ElementTree.fromstring(svg)
    return root, [(group.find(SVG + "rect").attrib, group.findtext(SVG + "text"))
                  for group in root.iter(SVG + "g")]  # fmt: skip


def test_svg_shows_values_and_colors():
    root, words = _drawn(highlight(SENTENCES, H, 0).to_svg())
    assert [text for _, text in words] == ["Dogs", "bark", "Cats", "do", "not"]
    assert [rect["class"] for rect, _ in words] == ["pos", "neg", "pos", "neg", "pos"]
    assert [float(rect["fill-opacity"]) for rect, _ in words] == [0.5, 1, 0.25, 0, 0.75]
    assert words[1][0]["fill"] == hex_color(LIGHT.negative)
    assert "prefers-color-scheme:dark" in root.findtext(SVG + "style")
    assert [title.text for title in root.iter(SVG + "title")][1:3] == ["Dogs: 1", "bark: \u22122"]
    texts = [text.text for text in root.iter(SVG + "text")]
    meaning = "activation: orange above 0, blue below, uncolored at 0"
    assert texts[:4] == ["x0", "−2", "2", meaning]


def test_parts_of_the_legend_of_svg_have_a_space_between_them():
    shown = highlight(SENTENCES, H, [0, 1], unit="units of something")
    root, _ = _drawn(shown.to_svg(width=12, font_size=10))
    lines = defaultdict(list)
    for text in root.iter(SVG + "text"):
        if text.attrib["class"] == "muted":
            middle, half = float(text.attrib["x"]), float(text.attrib["textLength"]) / 2
            lines[text.attrib["y"]].append((middle - half, middle + half))
    bars = defaultdict(list)
    for step in root.iter(SVG + "rect"):
        if "shape-rendering" in step.attrib:
            start = float(step.attrib["x"])
            bars[step.attrib["y"]] += [start, start + float(step.attrib["width"])]
    assert [len(line) for line in lines.values()] == [3, 3]
    for line, bar in zip(lines.values(), bars.values(), strict=True):
        for (_, end), (start, _) in pairwise(sorted([*line, (min(bar), max(bar))])):
            assert start - end > 5, "less than a character of 10 points"


def test_lines_of_svg_do_not_overlap():
    texts = ["one two three " * 9, "four five"]
    root, _ = _drawn(highlight(texts, np.ones((29, 2)), [0, 1]).to_svg(width=2, font_size=10))
    lines = sorted({float(text.attrib["y"]) for text in root.iter(SVG + "text")})
    assert len(lines) > 10
    assert all(below - above >= 12 for above, below in pairwise(lines))


@pytest.mark.parametrize("width", [1.0, 3.3, 6.9])
@pytest.mark.parametrize("font_size", [6, 10])
def test_svg_stays_within_its_width(width, font_size):
    texts = [
        "one two three " * 20,
        "x" * 300,
        "קראתי את הספר (PyTorch Lightning) " * 9,
        "名詞" * 80,
    ]
    n_words = sum(len(text.split()) for text in texts)
    shown = highlight(texts, np.ones((n_words, 2)), [0, 1], input_features=["a", "b" * 200])
    root, _ = _drawn(shown.to_svg(width=width, font_size=font_size))
    _, _, total, height = map(float, root.attrib["viewBox"].split())
    assert total == pytest.approx(72 * width, abs=0.01)
    for text in root.iter(SVG + "text"):
        half = float(text.attrib["textLength"]) / 2
        assert 0 <= float(text.attrib["x"]) - half and float(text.attrib["x"]) + half <= total
        assert 0 < float(text.attrib["y"]) < height


def test_words_of_a_line_do_not_lie_on_each_other():
    root, words = _drawn(highlight(["aa bb cc", "אא בב גג"], np.ones((6, 1)), 0).to_svg())
    left = {text: float(rect["x"]) for rect, text in words}
    right = {text: float(rect["x"]) + float(rect["width"]) for rect, text in words}
    assert right["aa"] < left["bb"] < right["bb"] < left["cc"]
    assert left["אא"] > right["בב"] > left["בב"] > right["גג"]
    assert right["אא"] > 6.8 * 72  # at the right margin
    directions = {text.text: text.get("direction") for text in root.iter(SVG + "text")}
    assert directions["אא"] == "rtl" and directions["aa"] is None


def test_direction_of_sentences():
    texts = ["שלום dogs", "dogs שלום", "12 مرحبا"]
    values = np.zeros((6, 1))
    page = _Page(highlight(texts, values, 0).to_html())
    assert [a["dir"] for tag, a in page.elements if tag == "p"] == ["rtl", "ltr", "rtl"]
    page = _Page(highlight(texts, values, 0, direction="rtl").to_html())
    assert [a["dir"] for tag, a in page.elements if tag == "p"] == ["rtl"] * 3


def test_notebook_and_files(tmp_path):
    shown = highlight(SENTENCES, H, 0)
    assert shown._repr_html_() == shown.to_html()
    assert "<script" not in shown.to_html(full=True) and "http" not in shown._repr_html_()
    assert "@media (prefers-color-scheme:dark)" in shown._repr_html_()
    shown.write_html(tmp_path / "a.html")
    shown.write_svg(str(tmp_path / "a.svg"), width=3.3, font_size=7)
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == shown.to_html(full=True)
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == shown.to_svg(width=3.3, font_size=7)
    for write in (shown.write_html, shown.write_svg):
        with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere. Create it"):
            write(tmp_path / "nowhere" / "a.html")
        with pytest.raises(IsADirectoryError, match="is a folder. Name a file in it"):
            write(tmp_path)
    assert repr(shown) == "<Highlight of ['x0'] in 5 words of 2 sentences>"


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"center": "median"}, "'center' parameter of highlight .* got 'median'"),
        ({"center": np.nan}, "'center' parameter of highlight must be finite or 'mean', got nan"),
        ({"center": [0, 1, 2]}, "one per neuron shown \\(1\\)"),
        ({"limit": 0}, "'limit' parameter of highlight must be finite and positive, got 0"),
        ({"top_words": 0}, "'top_words' parameter of highlight must be a positive integer"),
        ({"top_words": True}, "'top_words' parameter"),
        ({"min_share": 1.5}, r"'min_share' parameter of highlight must be in \(0, 1\]"),
        ({"direction": "up"}, "'direction' parameter of highlight"),
        ({"unit": 3}, "'unit' parameter of highlight must be a string"),
        ({"input_features": ["a"]}, r"'input_features' .* name the 2 columns, got shape \(1,\)"),
        ({"neurons": 7}, "highlight was given neuron 7"),
        ({"neurons": "hidden.0.0"}, "X has no feature names"),
        ({"neurons": []}, "'neurons' parameter .* at least one"),
        ({"activations": H[:3]}, r"each of the 5 words; got shape \(3, 2\)"),
        ({"activations": H[:, 0]}, r"got shape \(5,\)"),
        ({"words": []}, "no sentence"),
        ({"words": ["Dogs bark", " "]}, "sentence 1 has no words"),
        ({"words": pd.DataFrame({"word": ["a"]})}, "reads the column 'text'"),
    ],
)
def test_bad_input(kwargs, message):
    kwargs = {"words": SENTENCES, "activations": H, "neurons": 0, **kwargs}
    with pytest.raises(ValueError, match=message):
        highlight(kwargs.pop("words"), kwargs.pop("activations"), kwargs.pop("neurons"), **kwargs)


def test_spans_that_hold_another_word():
    words = words_frame(SENTENCES)
    with pytest.raises(ValueError, match="highlight"):
        highlight(words.assign(start=0, end=2), H, 0)
    overlapping = pd.DataFrame({"text": "Dogs bark", "start": [0, 2], "end": [4, 6]})
    with pytest.raises(ValueError, match="'Dogs' and 'gs b' overlap"):
        highlight(overlapping, H[:2], 0)


def test_sentences_of_both_kinds_and_what_makes_no_matrix(model):
    with pytest.raises(TypeError, match="sentence 1 is a list"):
        highlight(["Dogs bark", ["Cats"]], H[:3], 0)
    with pytest.raises(ValueError, match="'x5' is not the name of a neuron in a model"):
        highlight(["Dogs bark"], model, "x5")
    with pytest.raises(ValueError, match="returns no matrix of words and neurons"):
        highlight(["Dogs bark"], make_pipeline(ActivationExtractor(model)), "hidden.0.1")
    whole = make_pipeline(ActivationExtractor(model), SubwordAggregator(), DummyClassifier())
    with pytest.raises(ValueError, match=r"a Pipeline that ends with a predictor.*pipeline\[:-1\]"):
        highlight(["Dogs bark"], whole, "hidden.0.1")


@pytest.mark.parametrize("kwargs", [{"width": 0}, {"width": "3in"}, {"font_size": np.inf}])
def test_svg_of_bad_size(kwargs):
    with pytest.raises(ValueError, match="parameter of Highlight.to_svg must be positive"):
        highlight(SENTENCES, H, 0).to_svg(**kwargs)


def test_svg_without_room():
    with pytest.raises(ValueError, match="0.5 inches has room for 5 .* fewer than 10"):
        highlight(SENTENCES, H, 0).to_svg(width=0.5)


def _shown_texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_meaning_of_the_colors_is_whole_in_one_column():
    name = "module:model.layers.3.mlp.gate_proj." + "7" * 60
    shown = highlight(
        SENTENCES,
        H,
        [name],
        input_features=[name, "other"],
        unit="log-odds of a label",
        top_words=1,
    )
    whole = _shown_texts(shown.to_svg(width=6.9, font_size=4))
    for width, font_size in ((3.3, 8), (1.2, 8), (6.9, 8)):
        svg = shown.to_svg(width=width, font_size=font_size)
        texts = _shown_texts(svg)
        start, end = texts.index(next(t for t in texts if "log-odds" in t)), texts.index("Dogs")
        meaning = " ".join(texts[start:end])
        assert meaning in whole
        assert "".join(texts[: texts.index("−2")]) == name
        for element in ElementTree.fromstring(svg).iter(f"{SVG}text"):
            half = float(element.get("textLength")) / 2
            x = float(element.get("x"))
            assert x - half > 0 and x + half < 72 * width


def test_the_legend_says_which_words_have_no_color():
    values = np.array([[1.0], [-2], [np.nan], [0], [1.5]])
    meanings = {
        "; missing values uncolored": {},
        "; in each sentence, only the word farthest from 0; missing": {"top_words": 1},
        "; in each sentence, only the 2 words farthest from 0; missing": {"top_words": 2},
        "only words at least 0.8 times as far from 0 as the farthest; missing": {"min_share": 0.8},
        "only the word farthest from 0 and words at least 0.5 times as far from 0": {
            "top_words": 1,
            "min_share": 0.5,
        },
    }
    for meaning, how in meanings.items():
        shown = highlight(SENTENCES, values, 0, **how)
        assert meaning in shown.to_html()
        assert meaning.split()[-1] in " ".join(_shown_texts(shown.to_svg()))
    assert "missing" not in highlight(SENTENCES, values[[0, 1, 1, 3, 4]], 0).to_html()


def test_the_ends_of_the_scale_say_that_values_go_on():
    for limit, ends in ((1.75, ("≤ −1.75", "1.75")), (1.0, ("≤ −1", "≥ 1")), (2, ("−2", "2"))):
        shown = highlight(SENTENCES, H, 0, limit=limit)
        assert f"<span>{ends[0]}<i></i>{ends[1]}</span>" in shown.to_html()
        texts = _shown_texts(shown.to_svg())
        assert set(ends) <= set(texts)
