# SPDX-License-Identifier: BSD-3-Clause
"""Texts longer than the model: overlapping windows, with the most context for each row."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.words import words_frame

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

ENDLESS = 10**9
VOCABULARY = "the old dog saw a man in house and she said light was unquestionably ."


@pytest.fixture
def long_words():
    rng = np.random.default_rng(0)
    sentence = list(rng.choice(VOCABULARY.split(), size=45))
    return words_frame([["Dogs", "bark"], sentence, ["The", "end", "."], sentence[:20]])


class Windows:
    """One text cut manually and read window by window."""

    def __init__(self, path, text, max_length, *, causal):
        tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)
        encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        ids, self.spans = encoding["input_ids"], encoding["offset_mapping"]
        self.content = [i for i, s in enumerate(encoding["special_tokens_mask"]) if not s]
        self.before, self.after = self.content[0], len(ids) - 1 - self.content[-1]
        room = max_length - self.before - self.after
        n = len(self.content)
        self.bounds, start = [], 0
        while start + room < n:
            self.bounds.append((start, start + room))
            start += room // 2
        self.bounds.append((max(n - room, 0), n))
        self.causal = causal
        self.states = []
        for start, end in self.bounds:
            tokens = [*range(self.before), *self.content[start:end]]
            tokens += range(len(ids) - self.after, len(ids))
            with torch.no_grad():
                output = model(torch.tensor([[ids[t] for t in tokens]]), output_hidden_states=True)
            self.states.append([state[0].numpy() for state in output.hidden_states])

    def own(self, start, end):
        """Return which content tokens overlap the characters."""
        spans = [self.spans[t] for t in self.content]
        return [i for i, (s, e) in enumerate(spans) if max(s, start) < min(e, end)]

    def context(self, window, first, last):
        start, end = self.bounds[window]
        if first < start or last > end:
            return -1
        left = ENDLESS if window == 0 else first - start
        right = ENDLESS if window == len(self.bounds) - 1 else end - last
        return left if self.causal else min(left, right)

    def choices(self, first, last):
        """Return the windows with most context for the tokens from first to last, if any."""
        contexts = [self.context(w, first, last) for w in range(len(self.bounds))]
        best = max(contexts)
        return [w for w, c in enumerate(contexts) if c == best] if best >= 0 else []

    def state(self, window, token, layer):
        return self.states[window][layer][self.before + token - self.bounds[window][0]]


_windows = functools.cache(Windows)  # the same for every strategy


def close(left, right):
    return np.abs(left - right).max() <= 1e-5 * max(np.abs(right).max(), 1)


@pytest.mark.parametrize("strategy", ["first", "last", "mean", "max"])
@pytest.mark.parametrize("max_length", [8, 11, 24])
@pytest.mark.parametrize("family", ["bert", "gpt2", "roberta", "llama"])
def test_words_come_from_the_window_with_most_context(
    family, max_length, strategy, tiny, long_words
):
    path = tiny(family)
    causal = family in ("gpt2", "llama")
    extractor = ActivationExtractor(path, layers=[2, 0, 1], max_length=max_length)
    H = extractor.transform(long_words).pool(strategy).reshape(len(long_words), 3, -1)
    pool = {
        "first": lambda states: states[0],
        "last": lambda states: states[-1],
        "mean": lambda states: np.mean(states, axis=0),
        "max": lambda states: np.max(states, axis=0),
    }[strategy]
    n_cut = 0
    for text, rows in long_words.groupby("text", observed=True):
        windows = _windows(path, text, max_length, causal=causal)
        n_cut += len(windows.bounds) > 1
        for row in rows.itertuples():
            own = windows.own(row.start, row.end)
            choices = windows.choices(own[0], own[-1] + 1)
            # Each token of a word longer than a window comes from that token's best window.
            chosen = [[w] * len(own) for w in choices] or [
                [windows.choices(t, t + 1)[0] for t in own]
            ]
            for block, layer in enumerate([2, 0, 1]):
                expected = [
                    pool([windows.state(w, t, layer) for w, t in zip(ws, own, strict=True)])
                    for ws in chosen
                ]
                assert any(close(H[row.Index, block], e) for e in expected), row
    assert n_cut == 2


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2", "xlm-roberta", "canine", "byt5", "marian"])
def test_a_limit_that_no_text_reaches_changes_nothing(family, tiny, long_words):
    path = tiny(family, max_length=512)
    plan = ActivationExtractor(path).transform(long_words)
    longest = int(plan._source.sequences.lengths.max())
    expected = plan.pool("mean")
    for max_length in (longest, 512):
        H = ActivationExtractor(path, max_length=max_length).transform(long_words).pool("mean")
        np.testing.assert_array_equal(H, expected)
    cut = ActivationExtractor(path, max_length=longest - 1).transform(long_words)
    assert cut._source.sequences.lengths.max() == longest - 1
    np.testing.assert_array_equal(cut.n_subwords, plan.n_subwords)
    H = cut.pool("mean")
    short = long_words["sentence_id"].isin([0, 2]).to_numpy()
    np.testing.assert_allclose(H[short], expected[short], rtol=0, atol=2e-5)
    assert np.isfinite(H).all() and np.abs(H).max(axis=1).min() > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2", "marian", "byt5", "roberta", "llama"])
def test_the_models_own_limit_is_kept(family, tiny, long_words):
    """A model with few positions would fail on a longer input."""
    path = tiny(family, max_length=16)
    plan = ActivationExtractor(path).transform(long_words)
    assert plan._source.sequences.lengths.max() == 16
    everything = ActivationExtractor(tiny(family, max_length=512)).transform(long_words)
    np.testing.assert_array_equal(plan.n_subwords, everything.n_subwords)
    assert np.isfinite(plan.pool("mean")).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "max_length"),
    [("bert", 8), ("bert", 9), ("gpt2", 10), ("marian", 8), ("canine", 8), ("roberta", 12)],
)
def test_models_of_very_few_positions_work(family, max_length, tiny):
    path = tiny(family, max_length=max_length)
    H = ActivationExtractor(path).transform(["Dogs", "The old dog saw the man in the house ."])
    assert np.isfinite(H.pool("mean")).all()


@pytest.mark.slow
@pytest.mark.parametrize(("family", "causal"), [("bert", False), ("gpt2", True)])
def test_a_whole_text_pools_every_token_once_over_its_windows(family, causal, tiny, long_words):
    path, text = tiny(family), long_words["text"].cat.categories[1]
    windows = Windows(path, text, 12, causal=causal)
    plan = ActivationExtractor(path, layers=[1], max_length=12).transform([text])
    n = len(windows.content)
    assert plan.n_subwords.tolist() == [n]
    # If two windows tie for a token, either is correct, so compare with their mean.
    low, high = np.zeros(16), np.zeros(16)
    for token in range(n):
        states = [windows.state(w, token, 1) for w in windows.choices(token, token + 1)]
        low, high = low + np.min(states, axis=0), high + np.max(states, axis=0)
    mean = plan.pool("mean")[0]
    assert (low / n - 1e-5 <= mean).all() and (mean <= high / n + 1e-5).all()
    assert close(plan.pool("last")[0], windows.state(len(windows.bounds) - 1, n - 1, 1))
    assert close(plan.pool("first")[0], windows.state(0, 0, 1))


def test_special_tokens_of_a_long_text_stand_before_the_first_and_after_the_last_window(tiny):
    path, text = tiny("bert"), "the old dog saw the man in the house and the man saw the dog ."
    windows = Windows(path, text, 10, causal=False)
    assert len(windows.bounds) > 2
    extractor = ActivationExtractor(path, layers=[2], max_length=10, special_tokens=True)
    plan = extractor.transform([text])
    assert plan.n_subwords.tolist() == [len(windows.content) + 2]
    assert close(plan.pool("first")[0], windows.states[0][2][0])
    assert close(plan.pool("cls")[0], windows.states[0][2][0])
    assert close(plan.pool("last")[0], windows.states[-1][2][-1])


@pytest.mark.parametrize(
    ("family", "causal"), [("bert", False), ("roberta", False), ("llama", True)]
)
@pytest.mark.parametrize("max_length", [8, 10, 13])
def test_a_long_text_with_special_tokens_pools_each_from_its_window(
    family, causal, max_length, tiny
):
    """The special tokens come from the outer windows, all others from the one that fits best."""
    path, text = tiny(family), " ".join(["the old dog saw the man in the house ."] * 4)
    windows = Windows(path, text, max_length, causal=causal)
    n, last = len(windows.content), len(windows.bounds) - 1
    assert last >= 2
    ends = [windows.states[0][2][i] for i in range(windows.before)]
    ends += [windows.states[last][2][-i] for i in range(windows.after, 0, -1)]
    # If two windows tie for a token, either is correct.
    inner = [[windows.state(w, t, 2) for w in windows.choices(t, t + 1)] for t in range(n)]
    low = np.array([np.min(states, axis=0) for states in inner] + ends)
    high = np.array([np.max(states, axis=0) for states in inner] + ends)
    extractor = ActivationExtractor(path, layers=[2], max_length=max_length, special_tokens=True)
    plan = extractor.transform([text])
    assert plan.n_subwords.tolist() == [len(low)]
    for strategy, pool in (("mean", np.mean), ("max", np.max)):
        found = plan.pool(strategy)[0]
        assert (pool(low, axis=0) - 1e-5 <= found).all(), strategy
        assert (found <= pool(high, axis=0) + 1e-5).all(), strategy


@pytest.mark.slow
def test_a_word_longer_than_the_model(tiny):
    frame = words_frame([["The", "x" * 40, "barked"], ["y" * 25]])
    path = tiny("bert", max_length=12)
    plan = ActivationExtractor(path).transform(frame)
    assert plan.n_subwords[[1, 3]].tolist() == [40, 25]
    for strategy in ("first", "last", "mean", "max"):
        H = plan.pool(strategy)
        assert np.isfinite(H).all() and np.abs(H).max(axis=1).min() > 0
    np.testing.assert_allclose(plan[[3, 1]].pool("max"), plan.pool("max")[[3, 1]], atol=2e-5)


def test_permuted_rows_of_long_texts_give_the_same_bits(tiny, long_words):
    extractor = ActivationExtractor(tiny("bert"), max_length=10)
    H = extractor.transform(long_words).pool("mean")
    rows = np.random.default_rng(0).permutation(len(long_words))
    np.testing.assert_array_equal(extractor.transform(long_words.iloc[rows]).pool("mean"), H[rows])


# Errors


def test_overflow_error_names_the_row_the_tokens_and_the_remedy(tiny, long_words):
    n_tokens = len(
        AutoTokenizer.from_pretrained(tiny("bert"))(long_words["text"].iloc[2])["input_ids"]
    )
    message = (
        rf"the text of row 2 has {n_tokens} tokens, more than the 16 .*\(2 such texts\)"
        ".*overflow='window'"
    )
    extractor = ActivationExtractor(tiny("bert"), max_length=16, overflow="error")
    with pytest.raises(ValueError, match=message):
        extractor.transform(long_words)
    assert extractor.transform(long_words.iloc[:2]).shape == (2,)


def test_a_limit_above_the_models_is_refused(tiny, long_words):
    with pytest.raises(ValueError, match="'max_length'.*is 129, but .*reads at most 128 tokens"):
        ActivationExtractor(tiny("bert"), max_length=129).transform(long_words)
    # ByT5 has relative positions, so it can read more than its tokenizer states.
    plan = ActivationExtractor(tiny("byt5"), max_length=129).transform(long_words)
    assert plan._source.sequences.lengths.max() == 129


def test_a_limit_without_room_beside_the_special_tokens_is_refused(tiny):
    for max_length in (1, 2):
        with pytest.raises(ValueError, match=f"'max_length'.*is {max_length}.*2 special tokens"):
            ActivationExtractor(tiny("bert"), max_length=max_length).transform(["Dogs bark"])
    # Reading one token of text at a time is possible.
    plan = ActivationExtractor(tiny("bert"), max_length=3).transform(["The old dog"])
    assert plan.n_subwords.tolist() == [3]
    assert np.isfinite(plan.pool("mean")).all()
    assert ActivationExtractor(tiny("gpt2"), max_length=1).transform(["The dog"]).shape == (1,)


@pytest.mark.parametrize("max_length", [0, -1, 2.5, "many"])
def test_a_limit_that_is_no_number_of_tokens_is_refused(max_length, tiny):
    with pytest.raises(ValueError, match="The 'max_length' parameter of ActivationExtractor must"):
        ActivationExtractor(tiny("bert"), max_length=max_length).transform(["Dogs"])


def test_pairs_are_not_cut(tiny):
    frame = pd.DataFrame(
        {"text": ["Dogs", "the old dog saw"], "text_pair": ["bark", "the man in the house ."]}
    )
    with pytest.raises(ValueError, match="row 1 .*together with its pair .*Shorten"):
        ActivationExtractor(tiny("bert"), max_length=10).transform(frame)
    assert ActivationExtractor(tiny("bert"), max_length=10).transform(frame[:1]).shape == (1,)
