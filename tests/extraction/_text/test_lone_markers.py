# SPDX-License-Identifier: BSD-3-Clause
"""A lone ``▁`` or ``Ġ`` before a word belongs to no word: against ``word_ids`` and NeuroX's rule.

The marker stands for the space, and its state in a left-to-right model has not seen the word. Both
`word_ids` and NeuroX count it as the first piece of the word that follows. All else is equal.
"""

import os
import warnings

import numpy as np
import pandas as pd
import pytest
from transformers import AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.words import read_conllu, words_frame

MARKERS = {"▁", "Ġ"}
SENTENCES = [
    ["The", "中", "dog", "saw", "👍", "."],
    ["👍", "barks"],
    ["中文", "中", "café"],
    ["The", "old", "dog", "barked", "loudly", "."],
    ["▁", "dog"],
]


def places(plan):
    return [own.tolist() for own in np.split(plan._position, plan._ptr[1:-1])]


def pieces_by_words(tokenizer, words, *, joiner=" "):
    """Return NeuroX's pieces of each word: it tokenizes each on its own, after a space."""
    found = []
    for place, word in enumerate(words):
        pieces = tokenizer.tokenize(word if place == 0 else f"{joiner}{word}")
        found.append(pieces)
    return found


def pieces_by_word_ids(tokenizer, words):
    """Return the pieces of each word as the library's own alignment gives them."""
    encoding = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
    pieces = tokenizer.convert_ids_to_tokens(encoding["input_ids"])
    return [
        [piece for piece, own in zip(pieces, encoding.word_ids(), strict=True) if own == word]
        for word in range(len(words))
    ]


def without_lone_markers(pieces):
    """Drop the markers before a word, but not those that the word spells."""
    first = 0
    while first < len(pieces) - 1 and pieces[first] in MARKERS:
        first += 1
    return pieces[first:]


def compare(path, sentences):
    """Return how many words differ from each rule; all else is asserted to be equal."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    differ = np.zeros(2, dtype=int)
    for words in sentences:
        plan = ActivationExtractor(path, missing="nan").transform(words_frame([words]))
        ids = plan._source.sequences.ids
        ours = [tokenizer.convert_ids_to_tokens(ids[own].tolist()) for own in places(plan)]
        rules = [pieces_by_words(tokenizer, words)]
        # GPT-2's and Llama's tokenizers add no space before the words of a list.
        if type(tokenizer).__name__.startswith("XLMRoberta"):
            rules.append(pieces_by_word_ids(tokenizer, words))
        for which, theirs in enumerate(rules):
            for mine, others, word in zip(ours, theirs, words, strict=True):
                known = tokenizer.convert_tokens_to_ids(others)
                other = tokenizer.convert_ids_to_tokens(known)  # unknown pieces as such
                assert mine == without_lone_markers(other), (word, mine, other)
                differ[which] += mine != other
    return differ


@pytest.mark.parametrize("family", ["gpt2", "xlm-roberta"])
def test_the_rule_differs_from_others_in_lone_markers_alone(family, tiny):
    differ = compare(tiny(family), SENTENCES)
    assert differ[0] > 0
    if family == "xlm-roberta":
        assert differ[0] == differ[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*drops all characters:UserWarning")
@pytest.mark.skipif(
    "SKLEARN_NEUROX_CONLLU" not in os.environ, reason="SKLEARN_NEUROX_CONLLU names no treebank"
)
@pytest.mark.parametrize("family", ["gpt2", "xlm-roberta"])
def test_the_rule_on_a_treebank(family, tiny):
    frame = read_conllu(os.environ["SKLEARN_NEUROX_CONLLU"])
    sentences = frame.groupby("sentence_id", sort=False)["word"].agg(list).iloc[:200]
    differ = compare(tiny(family, max_length=2048), sentences)
    assert differ[0] < 0.05 * len(frame)


@pytest.mark.parametrize("strategy", ["first", "mean"])
def test_the_first_piece_of_a_word_has_seen_the_word(strategy, tiny):
    """In a left-to-right model, the state of the space before a word knows nothing of the word."""
    frame = words_frame([["The", "👍", "dog"], ["The", "中", "dog"]])
    H = ActivationExtractor(tiny("gpt2"), layers=-1).transform(frame).pool(strategy)
    assert np.abs(H[1] - H[4]).max() > 1e-3


# White space and markers as rows of their own


@pytest.mark.parametrize("family", ["gpt2", "roberta", "llama"])
@pytest.mark.parametrize("text", ["a   b", "  a b", "a b  ", "   ", "a  中  b"])
def test_rows_of_spaces_own_the_tokens_that_spell_them(family, text, tiny):
    """RoBERTa's offsets leave spaces out."""
    rows = [(text, k, k + 1) for k, char in enumerate(text) if char == " "]
    frame = pd.DataFrame(rows, columns=["text", "start", "end"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = ActivationExtractor(tiny(family)).transform(frame)
    assert (plan.n_subwords == 1).all()


@pytest.mark.parametrize("word", ["\u2003dog", "▁dog", "▁", "\u3000", "\u00a0中", "Ġ", "\u2028x"])
def test_a_marker_put_in_front_of_a_text_has_no_owner(word, tiny):
    """Not even a word that begins with white space or spells the marker."""
    tokenizer = AutoTokenizer.from_pretrained(tiny("llama"))
    pieces = tokenizer.convert_ids_to_tokens(tokenizer(word, add_special_tokens=False)["input_ids"])
    is_added = pieces[0] == "▁" and not word.startswith(("▁", " "))
    frame = words_frame([[word, "dog"]])
    plan = ActivationExtractor(tiny("llama")).transform(frame)
    assert plan.n_subwords[0] == len(pieces) - is_added


@pytest.mark.parametrize(
    "space", ["\u2003", "\u00a0", "\u3000", "\u2028", "\x85", " ", "\t", "\u2003 "]
)
def test_special_tokens_beside_any_white_space(space, tiny):
    """ByT5's special tokens absorb the white space around them, of any kind."""
    text = f"é{space}</s>{space}b"
    spans = [(0, 1), (1 + len(space), 5 + len(space)), (len(text) - 1, len(text))]
    frame = pd.DataFrame([(text, *span) for span in spans], columns=["text", "start", "end"])
    with pytest.warns(UserWarning, match="special token"):
        plan = ActivationExtractor(tiny("byt5")).transform(frame)
    ids = AutoTokenizer.from_pretrained(tiny("byt5"))(text)["input_ids"]
    assert plan._source.sequences.ids.tolist() == ids
    assert plan.n_subwords.tolist() == [2, 1, 1]
    assert [ids[place] for place in plan._position] == [*(b + 3 for b in "é".encode()), 1, 101]
