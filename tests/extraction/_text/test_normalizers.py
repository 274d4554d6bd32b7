# SPDX-License-Identifier: BSD-3-Clause
"""Words keep their vectors, whatever a normalizer does to the characters around and within them.

A word's right value is that of the same word in a text without the characters that the normalizer
deletes, or in a text that is normalized already: wherever the ids are equal, so are the vectors.
"""

import io
import random
import unicodedata

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, PreTrainedTokenizerFast

from sklearn_neurox.datasets._tiny_models import _random_model
from sklearn_neurox.extraction import ActivationExtractor

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*drops all characters:UserWarning"),
]

SENTENCE = ["the", "big", "dog", "barks", "at", "a", "cat", "."]
DELETED = ["\x10", "\x01", "\x7f", "\x10\x1f"]
EXPANDED = ["\ufb03", "\u2026", "\u00bd", "\u337f", "\ufdfa"]
COMPOSED = ["e\u0301", "a\u0323\u0302", "\u1112\u1161\u11ab", "A\u030a"]
REORDERED = ["a\u0301\u0323", "q\u0308\u0323\u0301"]
ODD = [*DELETED, *EXPANDED, *COMPOSED, *REORDERED, "\u0130", "\u00df", "\u4e2d"]


def charsmap():
    """Return the compiled rules ``nmt_nfkc`` of SentencePiece, as T5 and XLM-R have them."""
    sentencepiece = pytest.importorskip("sentencepiece")
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(SENTENCE)] * 20),
        model_writer=trained,
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=2,
        normalization_rule_name="nmt_nfkc",
    )
    # The fields of a protocol buffer: the normalizer is field 3, its rules are field 2 of that.
    return _field(_field(trained.getvalue(), 3), 2)


def _field(message, wanted):
    place = 0

    def number():
        nonlocal place
        value, shift = 0, 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(message):
        key = number()
        size = {0: lambda: 0, 1: lambda: 8, 2: number, 5: lambda: 4}[key & 7]()
        if key & 7 == 0:
            number()
        if key >> 3 == wanted:
            return message[place : place + size]
        place += size
    raise AssertionError(wanted)


@pytest.fixture(scope="module")
def rules():
    return charsmap()


def every_normalizer(rules):
    n = normalizers
    precompiled = n.Precompiled(rules)
    dots, spaces = n.Replace("\u2026", "..."), n.Replace(Regex(" {2,}"), " ")
    albert = [n.Replace("``", '"'), n.NFKD(), n.StripAccents(), n.Lowercase(), precompiled]
    return {
        "Precompiled": precompiled,
        "T5": n.Sequence([precompiled, n.Strip(False, True), n.Replace(Regex(" {2,}"), "▁")]),
        "XLM-R": n.Sequence([dots, precompiled, spaces]),
        "ALBERT": n.Sequence(albert),
        "twice": n.Sequence([precompiled, n.NFD(), precompiled]),
        "Bert": n.BertNormalizer(),
        "Bert cased": n.BertNormalizer(lowercase=False),
        "NFC": n.NFC(),
        "NFD": n.NFD(),
        "NFKC": n.NFKC(),
        "NFKD": n.NFKD(),
        "Nmt": n.Nmt(),
        "Nmt NFKC": n.Sequence([n.Nmt(), n.NFKC()]),
        "Lowercase": n.Lowercase(),
        "StripAccents": n.Sequence([n.NFD(), n.StripAccents()]),
        "Strip": n.Strip(),
        "deletes": n.Replace(Regex("[\x01\x10\x1f\x7f\u200b]+"), ""),
        "expands": n.Replace("\u2026", "..."),
        "ByteLevel": n.ByteLevel(),
        "Prepend": n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]),
        "Precompiled ByteLevel": n.Sequence([precompiled, n.ByteLevel()]),
    }  # fmt: skip


def make_tokenizer(normalizer):
    """Make a tokenizer whose tokens are single characters, of which unknown ones fall in 200."""
    letters = sorted(set("abcdefghijklmnopqrstuvwxyz.▁ ABCDEFG/12"))
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, **{c: 3 + i for i, c in enumerate(letters)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def model():
    config = BertConfig(
        vocab_size=64, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=512,
    )  # fmt: skip
    return _random_model(config, np.random.RandomState(0))


def spans_of(words):
    """Join words by single spaces; return the text and the span of each word."""
    text, spans = "", []
    for word in words:
        text += " " if text else ""
        spans.append((len(text), len(text) + len(word)))
        text += word
    return text, spans


def is_space(char):
    return unicodedata.category(char)[0] == "Z" or char in "\t\n\x0b\x0c\r\x85"


def independent_means(model, tokenizer, words):
    """Read the words, and count the letters of the normal form of the text before each."""
    text, _ = spans_of(words)
    normalize = tokenizer.backend_tokenizer.normalizer.normalize_str
    ids = tokenizer(text)["input_ids"]
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    states = torch.cat([state[0] for state in states], dim=1).numpy()
    whole = normalize(text)
    token_of = np.cumsum([not is_space(char) for char in whole])  # after the first special token
    assert token_of[-1] == len(ids) - 2
    found, end = [], 0
    for last in range(1, len(words) + 1):
        upto = normalize(" ".join(words[:last]))
        assert whole.startswith(upto), (words, upto)
        own = [k for k in range(end, len(upto)) if not is_space(upto[k])]
        while own and upto[own[0]] in "▁Ġ":  # the space before the word
            own.pop(0)
        end = len(upto)
        found.append(
            states[token_of[own]].mean(axis=0) if own else np.full(states.shape[1], np.nan)
        )
    return np.array(found)


def read_words(model, tokenizer, *sentences):
    rows = []
    for words in sentences:
        text, spans = spans_of(words)
        rows += [(text, *span, word) for span, word in zip(spans, words, strict=True)]
    frame = pd.DataFrame(rows, columns=["text", "start", "end", "word"])
    plan = ActivationExtractor(model, tokenizer=tokenizer, missing="nan").transform(frame)
    return plan.pool("mean")


def odd_sentences(n, seed):
    rng = random.Random(seed)
    for _ in range(n):
        words = list(SENTENCE[: rng.randint(2, 8)])
        for _ in range(rng.choice([1, 1, 2, 4])):
            odd, place = rng.choice(ODD), rng.choice([0, 0, -1, rng.randrange(len(words))])
            how = rng.choice(["before", "before", "after", "inside", "alone"])
            word = words[place]
            words[place] = {
                "before": odd + word, "after": word + odd, "alone": odd,
                "inside": word[:1] + odd + word[1:],
            }[how]  # fmt: skip
        yield words


def check_normalizer(name, model, tokenizer, n, seed):
    for words in odd_sentences(n, seed):
        wanted = independent_means(model, tokenizer, words)
        found = read_words(model, tokenizer, words)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5, err_msg=f"{name} {words!r}")


@pytest.mark.slow
def test_every_normalizer_keeps_words_and_vectors_together(model, rules):
    for name, normalizer in every_normalizer(rules).items():
        check_normalizer(name, model, make_tokenizer(normalizer), 5, 0)


@pytest.mark.slow
def test_every_normalizer_at_length(model, rules):
    for seed, (name, normalizer) in enumerate(every_normalizer(rules).items()):
        check_normalizer(name, model, make_tokenizer(normalizer), 60, seed)


@pytest.mark.slow
def test_deleted_characters_leave_the_vectors_of_the_clean_text(model, rules):
    """Where the ids are equal, so are the vectors: first of all at the start of the text."""
    for name in ("Precompiled", "T5", "XLM-R", "ALBERT", "twice", "Precompiled ByteLevel"):
        tokenizer = make_tokenizer(every_normalizer(rules)[name])
        clean, changed = read_words(model, tokenizer, SENTENCE), []
        for odd in DELETED:
            for place in range(len(SENTENCE)):
                for cut in (0, 1, 9):
                    words = list(SENTENCE)
                    words[place] = words[place][:cut] + odd + words[place][cut:]
                    text, _ = spans_of(words)
                    plain = tokenizer(" ".join(SENTENCE))["input_ids"]
                    assert tokenizer(text)["input_ids"] == plain
                    changed.append(words)
        found = read_words(model, tokenizer, *changed)
        wanted = np.tile(clean, (len(changed), 1))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5, err_msg=name)
