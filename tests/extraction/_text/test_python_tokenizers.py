# SPDX-License-Identifier: BSD-3-Clause
"""Tokenizers written in Python that escape, fold or drop text: each word keeps its own pieces."""

import copy
import json
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import transformers
from transformers import AutoTokenizer, GPT2Config

from sklearn_neurox.datasets._tiny_models import _random_model
from sklearn_neurox.extraction import ActivationExtractor, chat_frame, token_frame
from sklearn_neurox.extraction._text._slow_offsets import _spell
from sklearn_neurox.words import words_frame

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

MERGES = ["a m", "am p", "t h", "th e</w>", "q u", "qu o", "o g</w>", "b a", "r k"]
XLM_SPECIALS = ["<s>", "</s>", "<pad>", "<unk>", "<special1>", "<special0>"]
SENTENCES = [
    "the dog 's tail & the cat",
    "A & B",
    "x < y > z",
    'He said " the dog " .',
    "[ the dog ] | a",
    "co-op the dog",
    "do n't the dog",
    "it 's the dog 's",
    "AT&T the R&D",
    "&amp; the dog &quot; x",
    "“ the dog ” ‘ x ’",
    "« the dog »",
    "`` the dog ''",
    "the dog -- the cat",
    "the dog — the cat",
    "the dog … the cat",
    "the dog ... the cat",
    "100 % of 1,000 $",
    "http://a.b/c?d=1&e=2 the dog",
    "naïve café the dog",
    "ﬁne the dog",
    "the dog \u200b the cat",
    "''the dog''",
    "é e\u0301 the dog",
]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Build byte-pair tokenizers of several families over printable characters."""
    pytest.importorskip("sacremoses")
    folder = tmp_path_factory.mktemp("python")
    chars = [chr(code) for code in range(33, 127)]
    made = {}
    for name, end, head in (
        ("BioGptTokenizer", "</w>", ["<s>", "<pad>", "</s>", "<unk>"]),
        ("FSMTTokenizer", "</w>", ["<s>", "<pad>", "</s>", "<unk>"]),
        ("XLMTokenizer", "</w>", XLM_SPECIALS),
        ("FlaubertTokenizer", "</w>", XLM_SPECIALS),
        ("CTRLTokenizer", "@@", ["<unk>"]),
        ("BlenderbotSmallTokenizer", "@@", ["__start__", "__end__", "__unk__", "__null__"]),
    ):  # fmt: skip
        pieces = [*head, *chars, *(f"{char}{end}" for char in chars)]
        pieces += [merge.replace(" ", "") for merge in MERGES]
        vocab = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
        files = [folder / f"{name}.json", folder / f"{name}.txt"]
        files[0].write_text(json.dumps(vocab))
        files[1].write_text("#version\n" + "".join(f"{merge} 1\n" for merge in MERGES))
        vocabularies = {"src_vocab_file": str(files[0]), "tgt_vocab_file": str(files[0])}
        if name == "FSMTTokenizer":
            params = {"langs": ["en", "de"], **vocabularies}
        else:
            params = {"vocab_file": str(files[0])}
        made[name] = getattr(transformers, name)(merges_file=str(files[1]), **params)
    return made


def model_of(tokenizer):
    size = max(len(tokenizer), max(tokenizer.get_vocab().values()) + 1)
    config = GPT2Config(vocab_size=size, n_embd=8, n_layer=1, n_head=2, n_positions=256)
    return _random_model(config, np.random.RandomState(0))


def tokens_by_prefix(tokenizer, words):
    """Return the tokens of each word, by how many more there are than in the text before it."""
    whole = tokenizer.tokenize(" ".join(words))
    places = [0]
    for n in range(1, len(words) + 1):
        prefix = tokenizer.tokenize(" ".join(words[:n]))
        if whole[: len(prefix)] != prefix:
            return None
        places.append(len(prefix))
    return [list(range(a, b)) for a, b in zip(places, places[1:], strict=False)]


def places_of(plan):
    pieces = np.split(plan._position, plan._ptr[1:-1])
    return [own.tolist() for own in pieces]


def n_before(tokenizer):
    own = tokenizer.convert_tokens_to_ids(tokenizer.tokenize("the"))
    full = tokenizer("the")["input_ids"]
    return next(n for n in range(len(full)) if full[n : n + len(own)] == own)


@pytest.mark.slow
def test_each_word_owns_the_pieces_that_it_adds_to_the_text(tokenizers):
    checked = 0
    for name, tokenizer in tokenizers.items():
        model, before = model_of(tokenizer), n_before(tokenizer)
        for sentence in SENTENCES:
            words = sentence.split()
            wanted = tokens_by_prefix(tokenizer, words)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                plan = ActivationExtractor(model, tokenizer=tokenizer).transform(
                    words_frame([words])
                )
            assert not any("cannot be matched" in str(each.message) for each in caught), sentence
            if wanted is None:  # a mark at the end of a text is cut off only there
                continue
            found = [[place - before for place in own] for own in places_of(plan)]
            assert found == wanted, (name, sentence, tokenizer.tokenize(sentence))
            checked += 1
    assert checked > 0.8 * len(tokenizers) * len(SENTENCES)


def test_all_pieces_of_an_escape_belong_to_the_character(tokenizers):
    tokenizer = tokenizers["BioGptTokenizer"]
    plan = ActivationExtractor(model_of(tokenizer), tokenizer=tokenizer).transform(
        words_frame([["A", "&", "B", "[", "'s", '"']])
    )
    assert tokenizer.tokenize("&") == ["&", "amp", ";</w>"]
    assert plan.n_subwords.tolist() == [1, 3, 1, 5, len("&apos;s"), len(["&", "quo", "t", ";"])]


def test_characters_within_a_word_keep_their_escapes(tokenizers):
    tokenizer = tokenizers["BioGptTokenizer"]
    text = "AT&T co-op"
    frame = pd.DataFrame({"text": text, "start": range(10), "end": range(1, 11)}).drop(4)
    plan = ActivationExtractor(model_of(tokenizer), tokenizer=tokenizer).transform(frame)
    pieces = ["", *tokenizer.tokenize(text)]
    spelled = ["".join(pieces[place] for place in own) for own in places_of(plan)]
    assert spelled == ["A", "T</w>", "&amp;</w>", "T</w>", "c", "o</w>", "@-@</w>", "o", "p</w>"]


@pytest.mark.slow
def test_one_text_that_cannot_be_aligned_follows_missing(tokenizers, tmp_path):
    tokenizer = copy.deepcopy(tokenizers["BioGptTokenizer"])
    tokenize = tokenizer._tokenize
    # Spells one text in a way that nobody can follow.
    tokenizer._tokenize = lambda text: (
        ["x</w>", "y</w>", "z</w>"] if "secret" in text else tokenize(text)
    )
    model = model_of(tokenizer)
    words = words_frame([["the", "dog"], ["secret", "words", "here"], ["the", "cat"]])
    message = (
        r"The tokens of BioGptTokenizer cannot be matched with the words of 1 of 3 texts, which "
        r"have 3 of 7 rows \(the first is row 2, of the text 'secret words here'\)"
    )
    filled = {}
    for missing in ("zero", "nan"):
        with pytest.warns(UserWarning, match=message) as caught:
            extractor = ActivationExtractor(model, tokenizer=tokenizer, missing=missing)
            plan = extractor.transform(words)
        assert len(caught) == 1
        filled[missing] = plan.pool("mean")
    assert (filled["zero"][2:5] == 0).all() and np.isnan(filled["nan"][2:5]).all()
    others = words[words["sentence_id"] != 1]
    alone = ActivationExtractor(model, tokenizer=tokenizer).transform(others).pool("mean")
    np.testing.assert_allclose(np.delete(filled["nan"], [2, 3, 4], axis=0), alone, atol=1e-5)
    with pytest.raises(ValueError, match=message + ".*missing='zero' or missing='nan'"):
        ActivationExtractor(model, tokenizer=tokenizer, missing="error").transform(words)
    # A whole text needs no alignment, and a cache says the same.
    whole = ActivationExtractor(model, tokenizer=tokenizer).transform(["secret words here"])
    assert whole.n_subwords.tolist() == [3]
    for _ in range(2):
        with pytest.warns(UserWarning, match=message):
            plan = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path).transform(words)
        np.testing.assert_allclose(plan.pool("mean"), filled["zero"], atol=1e-5)


def count_lines(call):
    """Return what a call returns, and how many lines of Python it ran."""
    n_lines, before = 0, sys.gettrace()

    def trace(frame, event, arg):
        nonlocal n_lines
        n_lines += event == "line"
        return trace

    sys.settrace(trace)
    try:
        return call(), n_lines
    finally:
        sys.settrace(before)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["a", "ab", "dog", "İx", "ﬁ", "中a", "𝒳a"])
def test_work_is_linear_in_the_length_of_a_word(unit, tiny):
    """One word of 10,000 letters took seven seconds."""
    from sklearn_neurox.extraction._text._slow_offsets import SlowTokenizer

    slow = SlowTokenizer(AutoTokenizer.from_pretrained(tiny("marian")), False)
    work = []
    for n in (1_000, 4_000):
        text = (unit * n)[:n]
        tokens = tuple(slow.tokenizer.tokenize(text))
        found, n_lines = count_lines(lambda text=text, tokens=tokens: slow.offsets(text, tokens))
        work.append(n_lines)
        spans = np.array(found)
        assert spans.max() == n
        assert (np.diff(spans, axis=0) >= 0).all()
    assert work[1] < 4.2 * work[0]


def test_a_surrogate_is_named_whatever_the_tokenizer(tiny):
    for family in ("marian", "bert", "llama", "xlm-roberta", "gpt2"):
        with pytest.raises(ValueError, match="lone surrogate"):
            ActivationExtractor(tiny(family)).transform(["The dog", "a \ud800 dog"])


def test_a_surrogate_is_named_whatever_the_frame(tiny):
    # CANINE reads any character, but no frame holds all.
    chat = [{"role": "user", "content": "a \ud800 dog"}]
    for family in ("canine", "bert"):
        tokenizer = AutoTokenizer.from_pretrained(tiny(family))
        tokenizer.chat_template = (
            "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
        )
        for make in (
            lambda tokenizer=tokenizer: token_frame(["a \ud800 dog"], tokenizer),
            lambda tokenizer=tokenizer: chat_frame([chat], tokenizer, rows="all"),
            lambda tokenizer=tokenizer: chat_frame([chat], tokenizer, rows="prompt_end"),
        ):
            with pytest.raises(ValueError, match="lone surrogate"):
                make()


def test_special_tokens_take_in_white_space_only_where_no_token_stands_for_it():
    specials = {"<s>": list("<s>"), "\t": ["\t"]}
    for text, tokens, expected in (
        ("<s> b", ["<s>", " ", "b"], [(0, 3), (3, 4), (4, 5)]),
        ("<s> b", ["<s>", "b"], [(0, 3), (4, 5)]),
        ("a <s>", ["a", " ", "<s>"], [(0, 1), (1, 2), (2, 5)]),
        ("a <s>", ["a", "<s>"], [(0, 1), (2, 5)]),
        ("a\t b", ["a", "\t", "b"], [(0, 1), (1, 2), (3, 4)]),
        ("a \tb", ["a", " ", "\t", "b"], [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ("a b", ["a", "b"], None),
        ("<s>  ", ["<s>"], [(0, 3)]),
    ):
        units = list(text), list(range(len(text)))
        assert _spell(text, *units, tokens, specials) == expected, (text, tokens)
