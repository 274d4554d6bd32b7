# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of random texts over eleven kinds of tokenizers; nothing is excused.

The oracle knows neither the package nor the offsets of an encoding. It normalizes the text, cuts it
into segments that are normalized independently of each other, and asks the pre-tokenizer and the
model which characters of the *normal form* each token spells. A row must own the tokens of all
segments inside it, and no token that lies outside the segments it touches; where every character
is a segment of its own, this is one exact answer.
"""

import random
import warnings

import numpy as np
import pandas as pd
import pytest
from tokenizers import Regex, normalizers, pre_tokenizers
from transformers import AutoTokenizer, GPT2Config

from sklearn_neurox.datasets._tiny_models import _random_model
from sklearn_neurox.extraction import ActivationExtractor
from tests.extraction._text.test_alignment_properties import PIECES
from tests.extraction._text.test_normalizers import charsmap

FAST = ["bert", "bert-uncased", "gpt2", "roberta", "modernbert", "llama", "xlm-roberta", "t5"]
SLOW = ["canine", "byt5", "marian"]
ODD = [
    *("\x10", "\x01\x1f", "\x7f", "\u0301\u0323", "ﬃ", "㍿", "ﷺ", "\u0344", "\u1161", "\u11ab"),
    *("क\u093c", "\u0958", "\u200e", "\ufdfa\x10", "▁▁", "ĠĠ", " ▁", "▁ ", "\u2003", "&amp;"),
    *("&", "“", "''", "\x1c", "\x85", "\u2029", "🇨🇭🇨", "a\u0328\u0301"),
]
EVERYTHING = [*PIECES, *ODD]


def random_text(rng):
    """Return a text and its rows: words, and a few spans that cut through anything."""
    text, rows = "", []
    for _ in range(rng.choice([1, 2, 3, 6])):
        text += rng.choice(["", " ", " ", " ", "  ", "\u00a0", "\n", "\u2003"])
        start = len(text)
        for _ in range(rng.choice([1, 1, 2, 3])):
            kind = rng.random()
            if kind < 0.8:
                text += rng.choice(EVERYTHING)
            else:
                low, high = rng.choice([(0, 128), (0, 0xD800), (0xE000, 0x110000)])
                text += chr(rng.randrange(low, high))
        rows.append((start, len(text)))
    for _ in range(3):
        start = rng.randrange(len(text))
        rows.append((start, rng.randint(start + 1, len(text))))
    return text, rows


def tokenizer_of(family, tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny("xlm-roberta" if family == "t5" else family))
    if family == "t5":
        backend = tokenizer.backend_tokenizer
        spaces = normalizers.Replace(Regex(" {2,}"), " ")
        backend.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap()), spaces])
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return tokenizer


def spelled(backend, normal):
    """Return the ids of the tokens, and which characters of the normal form each spells."""
    ids, spans = [], []
    is_byte_level = "ByteLevel" in repr(backend.pre_tokenizer)
    for piece, (start, end) in backend.pre_tokenizer.pre_tokenize_str(normal):
        inner = normal[start:end]
        if is_byte_level:
            source = [start + k for k, char in enumerate(inner) for _ in char.encode()]
            assert len(source) == len(piece)
        else:
            # A marker in front of the piece is no character of the text.
            source = [-1] * (len(piece) - len(inner)) + list(range(start, end))
        source = [place for place, char in zip(source, piece, strict=True) for _ in char.encode()]
        for token in backend.model.tokenize(piece):
            low, high = token.offsets  # in bytes
            ids.append(token.id)
            spans.append({place for place in source[low:high] if place >= 0})
    return ids, spans


def segments(normalize, text):
    """Return the places of the text, and of its normal form, at which both may be cut."""
    normal, cuts = normalize(text), [(0, 0)]
    for place in range(1, len(text)):
        before, after = normalize(text[:place]), normalize(text[place:])
        if before + after == normal and len(before) >= cuts[-1][1]:
            cuts.append((place, len(before)))
    return normal, [*cuts, (len(text), len(normal))]


def fast_bounds(family, tokenizer, text, rows):
    """Return the ids, and for each row the tokens that it must own and those that it may own."""
    backend = tokenizer.backend_tokenizer

    def normalize(part):
        return part if backend.normalizer is None else backend.normalizer.normalize_str(part)

    normal, cuts = segments(normalize, text)
    ids, spans = spelled(backend, normal)
    return ids, bounds_of(family, text, rows, spans, cuts, lone_markers(tokenizer, ids))


def lone_markers(tokenizer, ids):
    pieces = tokenizer.convert_ids_to_tokens(ids)
    return {token for token, piece in enumerate(pieces) if not piece.strip("▁Ġ")}


def bounds_of(family, text, rows, spans, cuts, lone):
    """Return the tokens that each row must own, and those that it may own."""
    source = {}  # the segment of each character of the normal form
    for (start, low), (end, high) in zip(cuts, cuts[1:], strict=False):
        source |= dict.fromkeys(range(low, high), (start, end))
    touched = [[source[place] for place in sorted(span)] for span in spans]
    bounds = []
    for start, end in rows:
        must, may = set(), set()
        for token, own in enumerate(touched):
            if family == "roberta" and text[start:end].strip():
                # The space before a word is only for rows of white space.
                while own and text[slice(*own[0])] == " ":
                    own = own[1:]
            # A marker is a part of a character that is written as white space and more.
            following = touched[token + 1] if token + 1 < len(touched) else []
            is_part = token in lone and own and own[-1] in following
            if any(start <= low and high <= end for low, high in own) and not is_part:
                must.add(token)
            if own and own[0][0] < end and own[-1][1] > start:
                may.add(token)
        bounds.append((must, may))
    return bounds


def marian_bounds(tokenizer, text, rows):
    """Normalize by SentencePiece itself, between letters that keep the white space at both ends."""
    spm = tokenizer.current_spm

    def normalize(part):
        return "".join(spm.encode(f"q{part}q", out_type=str)).removeprefix("▁")[1:-1]

    normal, cuts = segments(normalize, text)
    pieces = spm.encode(text, out_type=str)
    place = len(normal) - len(normal.lstrip("▁")) - 1
    spans = []
    for piece in pieces:
        spans.append({k for k in range(place, place + len(piece)) if k >= 0})
        place += len(piece)
    assert "".join(pieces).strip("▁") == normal.strip("▁")
    ids = tokenizer.convert_tokens_to_ids(pieces)
    lone = {token for token, piece in enumerate(pieces) if not piece.strip("▁")}
    bounds = bounds_of("marian", text, rows, spans, cuts, lone)
    # A piece makes no character of the white space before it.
    letters = [{k for k in span if normal[k] != "▁"} for span in spans]
    inner = bounds_of("marian", text, rows, letters, cuts, lone)
    return ids, [(must, may) for (must, _), (_, may) in zip(inner, bounds, strict=True)]


def slow_bounds(family, tokenizer, text, rows):
    if family == "byt5":
        source = [place for place, char in enumerate(text) for _ in char.encode()]
        ids = [byte + 3 for byte in text.encode()]
        spans = [(place, place + 1) for place in source]
    elif family == "canine":
        ids, spans = [ord(char) for char in text], [(k, k + 1) for k in range(len(text))]
    else:
        return marian_bounds(tokenizer, text, rows)
    bounds = []
    for start, end in rows:
        own = {k for k, (low, high) in enumerate(spans) if low < end and high > start}
        bounds.append((own, own))
    return ids, bounds


def check(family, tokenizer, model, seed, n_texts):
    """Compare random texts with the oracle; return the number of rows."""
    rng = random.Random(seed)
    texts = {}
    while len(texts) < n_texts:
        text, rows = random_text(rng)
        if text and not any(token in text for token in tokenizer.all_special_tokens):
            texts[text] = rows
    frame = pd.DataFrame(
        [(text, *row) for text, rows in texts.items() for row in rows],
        columns=["text", "start", "end"],
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan = ActivationExtractor(model, tokenizer=tokenizer).transform(frame)
    expected = "special token", "unknown token"  # random characters are in no vocabulary
    told = [
        text
        for text in map(str, (w.message for w in caught))
        if not any(x in text for x in expected)
    ]
    assert all("drops all characters" in message for message in told), told
    inputs, row = plan._source.sequences, 0
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    n_before = tokenizer("a")["input_ids"].index(bare[0])
    for text, rows in texts.items():
        find = fast_bounds if tokenizer.is_fast else slow_bounds
        ids, bounds = find(family, tokenizer, text, rows)
        for span, (must, may) in zip(rows, bounds, strict=True):
            where = slice(plan._ptr[row], plan._ptr[row + 1])
            own = {int(place) - n_before for place in plan._position[where]}
            read = inputs.ids[inputs.ptr[plan._sequence[where]] + plan._position[where]]
            assert [ids[place] for place in sorted(own)] == read.tolist()
            assert must <= own <= may, (family, text, span, text[slice(*span)], own, must, may)
            row += 1
    return row


@pytest.fixture(scope="module")
def reader(tiny):
    """Return the tokenizer of a family, and a model that reads any text at once."""

    def make(family):
        tokenizer = tokenizer_of(family, tiny)
        size = max(len(tokenizer), 0x110000 if family == "canine" else 0)
        config = GPT2Config(
            vocab_size=size, n_embd=2, n_layer=1, n_head=1, n_positions=512, n_inner=2
        )
        return tokenizer, _random_model(config, np.random.RandomState(0))

    return make


@pytest.mark.parametrize("family", [*FAST, *SLOW])
def test_some_random_texts(family, reader):
    tokenizer, model = reader(family)
    assert check(family, tokenizer, model, seed=0, n_texts=40) > 120


@pytest.mark.slow
@pytest.mark.parametrize("family", [*FAST, *SLOW])
def test_thousands_of_random_texts(family, reader):
    tokenizer, model = reader(family)
    for seed in range(1, 11):
        check(family, tokenizer, model, seed=seed, n_texts=200)
