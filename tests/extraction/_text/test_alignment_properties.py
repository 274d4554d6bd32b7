# SPDX-License-Identifier: BSD-3-Clause
"""Alignment of words with subwords over arbitrary Unicode: no lost rows, no wrong spans.

Only tokenizers run here. The plan of each row is compared with a loop over all pairs of a row and a
token, and with the spelling of the tokens.
"""

import unicodedata
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor

FAST = ["bert", "bert-uncased", "gpt2", "llama", "modernbert", "roberta", "xlm-roberta"]
MARKERS = {"▁", "Ġ"}
PIECES = [
    *("dog", "The", "saw", "café", "e\u0301", "a\u0308\u0301", "\u0301", "ﬁ", "ß", "İ", "ſ", "½"),
    *(
        "👍",
        "👍🏽",
        "👩\u200d👩\u200d👧",
        "🇨🇭",
        "✈\ufe0f",
        "שלום",
        "مرحبا",
        "\u202bא\u202c",
        "中文",
        "日本語",
    ),
    *(
        "한국",
        "\u1112\u1161\u11ab",
        "ไทย",
        "हिन्दी",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\u00ad",
        "\u00a0",
    ),
    *("\u3000", " ", "  ", "\t", "\n", "\x00", "\x85", "\x1f", "\u2028", "\ue000", "\ufffd", "𝒳"),
    *("▁", "Ġ", "##", "</w>", "@@", "´", "…", "n't", "'", "(", "1,000", "don't", "U.S."),
]
# Every code point except surrogates, which are not text.
CHARACTERS = st.characters(exclude_categories=["Cs"])
WORDS = st.lists(st.sampled_from(PIECES) | st.text(CHARACTERS, min_size=1, max_size=3), min_size=1)
WORDS = WORDS.map(lambda parts: "".join(parts[:4]))
GAPS = st.sampled_from(["", " ", " ", " ", "  ", "\u00a0", "\n"])
SENTENCES = st.lists(st.tuples(GAPS, WORDS), min_size=1, max_size=5)
PROFILE = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def frame_of(sentences, spans=()):
    rows = []
    for sentence in sentences:
        text = "".join(gap + word for gap, word in sentence)
        place = 0
        for gap, word in sentence:
            place += len(gap)
            rows.append((text, place, place + len(word)))
            place += len(word)
        rows += [(text, *_within(text, span)) for span in spans]
    frame = pd.DataFrame(rows, columns=["text", "start", "end"])
    frame["word"] = [text[start:end] for text, start, end in rows]
    return frame


def _within(text, span):
    start = span[0] % len(text)
    return start, start + 1 + span[1] % (len(text) - start)


def read(path, frame):
    """Return the positions and ids of each row's tokens, and the warning messages."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan = ActivationExtractor(path, max_length=None).transform(frame)
    assert plan.shape == (len(frame),)
    positions, ids = [], []
    inputs = plan._source.sequences
    for row in range(len(plan)):
        places = slice(plan._ptr[row], plan._ptr[row + 1])
        assert len(set(plan._sequence[places])) <= 1
        positions.append(plan._position[places].tolist())
        where = inputs.ptr[plan._sequence[places]] + plan._position[places]
        ids.append(inputs.ids[where].tolist())
    assert [len(own) for own in ids] == plan.n_subwords.tolist()
    return positions, ids, [str(warning.message) for warning in caught]


def spelled_spans(family, tokenizer, text):
    """Return the characters of each token in vocabularies that spell the text byte by byte."""
    encoding = tokenizer(text, return_special_tokens_mask=True)
    pieces = tokenizer.convert_ids_to_tokens(encoding["input_ids"])
    is_byte_level = family in ("gpt2", "roberta")
    spell = spell_byte_level if is_byte_level else spell_byte_fallback
    raw = text if is_byte_level else text.replace("▁", " ")
    # Llama's tokenizer puts a space before the text, which is no character of it.
    n_added = 0 if is_byte_level or raw.startswith(" ") else 1
    raw = " " * n_added + raw
    char_of_byte = [
        place - n_added for place, char in enumerate(raw) for _ in range(len(char.encode()))
    ]
    spans, place = [], 0
    for piece, is_special in zip(pieces, encoding["special_tokens_mask"], strict=True):
        size = 0 if is_special else len(spell([piece]))
        spans.append({char for char in char_of_byte[place : place + size] if char >= 0})
        place += size
    assert place == len(char_of_byte)
    return spans


def reported_spans(tokenizer, text):
    """Return the characters of each token as the tokenizer says, except for glued markers."""
    encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    pieces = tokenizer.convert_ids_to_tokens(encoding["input_ids"])
    spans = [set(range(start, end)) for start, end in encoding["offset_mapping"]]
    for this, following in zip(range(len(pieces)), range(1, len(pieces)), strict=False):
        if set(pieces[this]) <= MARKERS and spans[this] & spans[following]:
            spans[this] = set()
    for place, is_special in enumerate(encoding["special_tokens_mask"]):
        spans[place] -= spans[place] if is_special else set()
    return spans


def tokens_by_overlap(family, tokenizer, row):
    if family in ("gpt2", "roberta", "llama"):
        spans = spelled_spans(family, tokenizer, row.text)
    else:
        spans = reported_spans(tokenizer, row.text)
    if family == "roberta" and row.word.strip():
        # The space before a word is only for rows of spaces.
        spans = [_without_outer_spaces(row.text, span) for span in spans]
    characters = set(range(row.start, row.end))
    return [position for position, span in enumerate(spans) if span & characters]


def _without_outer_spaces(text, span):
    shown = "".join(text[char] for char in sorted(span))
    inner = len(shown) - len(shown.lstrip(" "))
    return set(sorted(span)[inner:])


def check_dropped(messages, positions):
    """Check that one warning counts the rows without tokens, or none if all rows have tokens."""
    dropped = [row for row, own in enumerate(positions) if not own]
    told = [message for message in messages if "drops all characters" in message]
    assert len(told) == bool(dropped)
    if dropped:
        assert f"drops all characters of {len(dropped)} of {len(positions)} rows" in told[0]
        assert f"the first is row {dropped[0]}," in told[0]


@pytest.fixture(scope="module")
def long(tiny):
    """Return models that can read any of these texts at once."""
    return lambda family: tiny(family, max_length=4096)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAST)
def test_rows_own_the_tokens_that_overlap_them(family, long):
    path = long(family)
    tokenizer = AutoTokenizer.from_pretrained(path)

    @PROFILE
    @given(
        st.lists(SENTENCES, min_size=1, max_size=2),
        st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=3),
    )
    @example([[("", "中")]], [])
    @example([[("", "▁")], [(" ", "Ġ")]], [])
    @example([[("  ", "a"), ("  ", "b")]], [(0, 50), (1, 0)])
    @example([[("", "👩\u200d👩\u200d👧"), ("", "x")]], [(1, 0), (2, 0)])
    def check(sentences, spans):
        frame = frame_of(sentences, spans)
        before = frame.copy(deep=True)
        positions, _, messages = read(path, frame)
        for row, own in zip(frame.itertuples(), positions, strict=True):
            assert own == tokens_by_overlap(family, tokenizer, row), row
        check_dropped(messages, positions)
        pd.testing.assert_frame_equal(frame, before)

    check()


def _byte_of_character():
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(b): b for b in shown} | {chr(256 + n): b for n, b in enumerate(hidden)}


def spell_byte_level(pieces):
    table = _byte_of_character()
    return bytes(table[char] for piece in pieces for char in piece)


def spell_byte_fallback(pieces):
    raw = b""
    for piece in pieces:
        is_byte = len(piece) == 6 and piece.startswith("<0x")
        raw += bytes([int(piece[3:5], 16)]) if is_byte else piece.encode()
    return raw.replace("▁".encode(), b" ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "spell"),
    [("gpt2", spell_byte_level), ("roberta", spell_byte_level), ("llama", spell_byte_fallback)],
)
def test_tokens_of_a_row_hold_all_its_bytes(family, spell, long):
    """In vocabularies without unknown tokens, a row's tokens spell it, whatever the offsets."""
    path = long(family)
    tokenizer = AutoTokenizer.from_pretrained(path)

    @PROFILE
    @given(SENTENCES)
    def check(sentence):
        frame = frame_of([sentence])
        _, ids, _ = read(path, frame)
        for word, own in zip(frame["word"], ids, strict=True):
            # Ignoring spaces: outer tokens may omit them, and RoBERTa gives them no span.
            wanted = word.replace("▁", " ") if family == "llama" else word
            wanted = wanted.strip().encode().replace(b" ", b"")
            spelled = spell(tokenizer.convert_ids_to_tokens(own)).replace(b" ", b"")
            assert wanted in spelled, (word, spelled)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["byt5", "canine"])
def test_byte_and_character_tokens_are_the_word_itself(family, long):
    @PROFILE
    @given(SENTENCES, st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=3))
    def check(sentence, spans):
        frame = frame_of([sentence], spans)
        positions, ids, messages = read(long(family), frame)
        # CANINE pads with NUL, and uses private code points for its special tokens.
        assert all("spells a special token" in message for message in messages)
        for row, own, places in zip(frame.itertuples(), ids, positions, strict=True):
            before = row.text[: row.start]
            if family == "byt5":
                assert bytes(i - 3 for i in own) == row.word.encode()
                assert places[0] == len(before.encode())
            else:
                assert own == [ord(char) for char in row.word]
                assert places[0] == 1 + len(before)

    check()


def letters(text):
    """Return letters roughly as SentencePiece's normalizer does: no spaces, one form."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    folded = unicodedata.normalize("NFKD", plain)
    return "".join(char for char in folded if not char.isspace() and char != "\u2581")


@pytest.mark.slow
def test_sentencepiece_without_offsets_gives_each_word_its_letters(long):
    """Marian's tokenizer is Python-only and reports no offsets."""
    path = long("marian")
    tokenizer = AutoTokenizer.from_pretrained(path)
    known = sorted({c for piece in tokenizer.get_vocab() for c in piece if c.isalnum()})
    covered = st.text(st.sampled_from([*known, "."]), min_size=1, max_size=6)

    @PROFILE
    @given(st.lists(st.tuples(st.sampled_from([" ", " ", "  "]), covered), min_size=1, max_size=6))
    def check(sentence):
        frame = frame_of([sentence])
        positions, ids, messages = read(path, frame)
        assert messages == []
        flat = [place for own in positions for place in own]
        assert flat == sorted(set(flat))  # no token belongs to two words
        for word, own in zip(frame["word"], ids, strict=True):
            assert letters("".join(tokenizer.convert_ids_to_tokens(own))) == letters(word)

    check()


@pytest.mark.slow
def test_sentencepiece_without_offsets_never_loses_a_row(long):
    """For all of Unicode, rows keep their own tokens or an error names the text."""
    path = long("marian")
    tokenizer = AutoTokenizer.from_pretrained(path)
    unknown = tokenizer.unk_token_id
    refused = []

    @PROFILE
    @given(SENTENCES)
    @example([("", "𝒳"), (" ", "ﬁ"), ("\u200b", "\u0301a")])
    def check(sentence):
        frame = frame_of([sentence])
        try:
            positions, ids, messages = read(path, frame)
        except ValueError as error:
            assert "cannot be matched with the words" in str(error)
            refused.append(frame["text"][0])
            return
        assert len(positions) == len(frame)
        check_dropped(messages, positions)
        for row, own in zip(frame.itertuples(), ids, strict=True):
            neighbors = row.text[row.start - 1 : row.start] + row.text[row.end : row.end + 1]
            if unknown in own or not all(char == " " for char in neighbors):
                continue
            spelled = letters("".join(tokenizer.convert_ids_to_tokens(own)))
            # The tokens spell letters of the word, in order; the normalizer may drop some.
            rest = iter(letters(row.word))
            assert all(char in rest for char in spelled), (row.word, spelled)

    check()
    assert len(refused) <= 3, refused


@pytest.mark.slow
@pytest.mark.parametrize("family", ["marian", "byt5", "canine"])
def test_words_without_space_between_are_cut_where_the_pieces_are(family, long):
    """In natural text, "cannot" is two words and a full stop follows without a space."""
    text = "The dog cannot see the house."
    spans = [(0, 3), (4, 7), (8, 11), (11, 14), (15, 18), (19, 22), (23, 28), (28, 29)]
    frame = pd.DataFrame([(text, *span) for span in spans], columns=["text", "start", "end"])
    positions, ids, messages = read(long(family), frame)
    assert messages == []
    assert all(positions)
    tokenizer = AutoTokenizer.from_pretrained(long(family))
    for (start, end), own in zip(spans, ids, strict=True):
        assert text[start:end] in tokenizer.decode(own)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")
@pytest.mark.parametrize(
    ("family", "dropped"),
    [
        ("bert", ["\u200b", "\u200d", "\ufeff\u00ad", "\x00"]),
        ("bert", [" ", "\u00a0", "\u3000"]),
        ("xlm-roberta", [" "]),
        ("marian", ["\u200b"]),
    ],
)
def test_dropped_words_follow_missing(family, dropped, tiny):
    sentence = [("", "The"), *((" ", word) for word in dropped), (" ", "dog")]
    frame = frame_of([sentence])
    n = len(dropped)
    message = rf"drops all characters of {n} of {n + 2} rows \(the first is row 1,"
    filled = {}
    for missing in ("zero", "nan"):
        with pytest.warns(UserWarning, match=message) as caught:
            plan = ActivationExtractor(tiny(family), missing=missing).transform(frame)
        assert len(caught) == 1
        assert plan.n_subwords[1:-1].tolist() == [0] * n
        filled[missing] = np.hstack([plan.pool(s) for s in ("first", "last", "mean", "max")])
    assert (filled["zero"][1:-1] == 0).all()
    assert np.isnan(filled["nan"][1:-1]).all()
    np.testing.assert_array_equal(filled["zero"][[0, -1]], filled["nan"][[0, -1]])
    assert np.abs(filled["zero"][[0, -1]]).max(axis=1).min() > 0
    with pytest.raises(ValueError, match=message + r".*missing='zero' or missing='nan'"):
        ActivationExtractor(tiny(family), missing="error").transform(frame)
