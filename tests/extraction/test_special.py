# SPDX-License-Identifier: BSD-3-Clause
"""Special tokens in and around texts, pairs, empty texts, and the warning at the third pass."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.words import words_frame

SPELLED = {
    "bert": "[MASK]",
    "byt5": "</s>",
    "gpt2": "<|endoftext|>",
    "llama": "</s>",
    "marian": "</s>",
    "modernbert": "[SEP]",
    "roberta": "</s>",
    "xlm-roberta": "<s>",
}


@cache
def load(path):
    """Load a model and its tokenizer once: CANINE's tokenizer takes a second."""
    return AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)


def states_of(path, *texts):
    """Read one text, or a pair, with transformers alone: ids and all hidden states."""
    tokenizer, model = load(path)
    inputs = tokenizer(*texts, return_tensors="pt")
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
    return inputs["input_ids"][0].tolist(), [state[0].numpy() for state in output.hidden_states]


def assert_close(left, right):
    assert np.abs(left - right).max() <= 1e-5 * max(np.abs(right).max(), 1)


@pytest.mark.parametrize("family", list(SPELLED))
def test_words_that_spell_special_tokens_are_counted(family, tiny):
    token = SPELLED[family]
    frame = words_frame([["The", "dog"], ["The", token, "dog", token], ["A", "dog"]])
    message = r"2 of 8 rows contain text that spells a special token.*first is row 3.*split_special"
    with pytest.warns(UserWarning, match=message) as caught:
        plan = ActivationExtractor(tiny(family)).transform(frame)
    # Only ours: ByT5's tokenizer would also warn about a text that ends in one.
    assert ["special token" in str(warning.message) for warning in caught] == [True]
    assert plan.n_subwords[[3, 5]].tolist() == [1, 1]
    assert (plan.n_subwords > 0).all()
    tokenizer, _ = load(tiny(family))
    where = plan._source.sequences.ptr[plan._sequence] + plan._position
    own = plan._source.sequences.ids[where[plan._ptr[3] : plan._ptr[4]]]
    assert own.tolist() == [tokenizer.convert_tokens_to_ids(token)]


@pytest.mark.parametrize("family", [f for f in SPELLED if f != "xlm-roberta"])
def test_special_tokens_may_be_read_as_characters(family, tiny):
    token = SPELLED[family]
    frame = words_frame([["The", "dog"], ["The", token, "dog", token], ["A", "dog"]])
    extractor = ActivationExtractor(tiny(family), split_special_tokens=True)
    plan = extractor.transform(frame)  # without a warning
    tokenizer, _ = load(tiny(family))
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    where = plan._source.sequences.ptr[plan._sequence] + plan._position
    for row in (3, 5):
        own = plan._source.sequences.ids[where[plan._ptr[row] : plan._ptr[row + 1]]]
        assert len(own) > 1
        assert not special & set(own.tolist())
    unaffected = plan.n_subwords[[0, 1, 2, 4, 6, 7]]
    expected = extractor.transform(words_frame([["The", "dog"], ["The", "dog"], ["A", "dog"]]))
    assert unaffected.tolist() == expected.n_subwords.tolist()


def test_a_vocabulary_that_cannot_split_its_special_tokens_warns(tiny):
    """Unigram vocabularies, such as XLM-RoBERTa's, hold them as ordinary pieces."""
    frame = words_frame([["The", "<s>", "dog"]])
    with pytest.warns(UserWarning, match="1 of 3 rows.*even with split_special_tokens=True"):
        ActivationExtractor(tiny("xlm-roberta"), split_special_tokens=True).transform(frame)


@pytest.mark.parametrize(
    "sentence",
    [["café", "</s>", "señor", "saw"], ["</s>", "中文", "é"], ["é", "é", "</s>"], ["</s>", "</s>"]],
)
def test_bytes_around_a_special_word_stay_with_their_words(sentence, tiny):
    """ByT5's special tokens absorb the spaces around them."""
    with pytest.warns(UserWarning, match="special token"):
        plan = ActivationExtractor(tiny("byt5")).transform(words_frame([sentence]))
    assert plan.n_subwords.tolist() == [1 if w == "</s>" else len(w.encode()) for w in sentence]


def test_special_words_in_whole_texts_are_counted(tiny):
    texts = ["Dogs bark", "A [MASK] barks", "[CLS] dog [SEP]"]
    with pytest.warns(UserWarning, match=r"2 of 3 rows.*row 1 \('A \[MASK\] barks'\)"):
        ActivationExtractor(tiny("bert")).transform(texts)


def test_a_text_with_special_words_is_read_as_the_tokenizer_reads_it(tiny):
    with pytest.warns(UserWarning, match="special token"):
        plan = ActivationExtractor(tiny("bert"), special_tokens=True).transform(["A [MASK] barks"])
    _, states = states_of(tiny("bert"), "A [MASK] barks")
    assert_close(plan.pool("mean")[0], np.hstack([state.mean(axis=0) for state in states]))


# Special tokens around whole texts


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")
@pytest.mark.parametrize("special_tokens", [False, True])
@pytest.mark.parametrize("family", ["bert", "gpt2", "roberta", "llama", "byt5", "canine", "marian"])
def test_a_whole_text_owns_its_special_tokens_on_request(family, special_tokens, tiny):
    texts = ["The old dog", "A light rain ."]
    extractor = ActivationExtractor(tiny(family), special_tokens=special_tokens)
    plan = extractor.transform(texts)
    tokenizer, _ = load(tiny(family))
    for row, text in enumerate(texts):
        ids, states = states_of(tiny(family), text)
        added = tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)
        keep = np.flatnonzero(np.array(added) == 0) if not special_tokens else np.arange(len(ids))
        assert plan.n_subwords[row] == len(keep)
        states = [state[keep] for state in states if len(state) == len(ids)]
        for strategy, pooled in (
            ("first", [s[0] for s in states]),
            ("last", [s[-1] for s in states]),
            ("mean", [s.mean(axis=0) for s in states]),
            ("max", [s.max(axis=0) for s in states]),
        ):
            assert_close(
                SubwordAggregator(strategy).fit_transform(plan[[row]])[0], np.hstack(pooled)
            )


@pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")
@pytest.mark.parametrize("special_tokens", [False, True])
@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "modernbert", "canine"])
def test_cls_is_the_first_special_token(family, special_tokens, tiny):
    texts = ["The old dog", "A light rain .", "The old dog"]
    plan = ActivationExtractor(tiny(family), special_tokens=special_tokens).transform(texts)
    H = SubwordAggregator("cls").fit_transform(plan)
    for row, text in enumerate(texts):
        ids, states = states_of(tiny(family), text)
        assert_close(H[row], np.hstack([s[0] for s in states if len(s) == len(ids)]))
    np.testing.assert_allclose(plan[[2, 1]].pool("cls"), H[[2, 1]], rtol=0, atol=2e-5)
    frame = pd.DataFrame({"text": texts, "start": 0, "end": [len(text) for text in texts]})
    spans = ActivationExtractor(tiny(family)).transform(frame).pool("cls")
    np.testing.assert_array_equal(spans, H)


# Pairs


@pytest.mark.parametrize(
    "family", ["bert", "distilbert", "roberta", "xlm-roberta", "canine", "byt5"]
)
def test_pairs_are_read_together(family, tiny):
    frame = pd.DataFrame(
        {
            "text": ["The old dog", "Dogs", "The old dog"],
            "text_pair": ["A light rain .", "bark", "Dogs bark"],
        }
    )
    plan = ActivationExtractor(tiny(family), special_tokens=True).transform(frame)
    H = plan.pool("mean")
    for row, (text, pair) in enumerate(frame.itertuples(index=False)):
        ids, states = states_of(tiny(family), text, pair)
        assert plan.n_subwords[row] == len(ids)
        assert_close(H[row], np.hstack([s.mean(axis=0) for s in states if len(s) == len(ids)]))


@pytest.mark.filterwarnings("ignore:.*spells a special token:UserWarning")
@pytest.mark.parametrize(
    ("text", "pair", "read", "owned"),
    [
        ("a </s>", "b", [100, 1, 101, 1], [100, 1, 101]),
        ("a", "b </s>", [100, 1, 101, 1], [100, 101, 1]),
        ("a </s>", "b </s>", [100, 1, 101, 1], [100, 1, 101, 1]),
    ],
)
def test_pairs_that_spell_the_end_of_a_text(text, pair, read, owned, tiny):
    frame = pd.DataFrame({"text": [text], "text_pair": [pair]})
    plan = ActivationExtractor(tiny("byt5")).transform(frame)
    assert plan._source.sequences.ids.tolist() == read
    assert [read[place] for place in plan._position] == owned


def test_words_of_a_pair_are_those_of_its_first_text(tiny):
    text, pair = "The old dog", "The old dog barked"
    spans = [(0, 3), (4, 7), (8, 11)]
    frame = pd.DataFrame([(text, pair, *span) for span in spans],
                         columns=["text", "text_pair", "start", "end"])  # fmt: skip
    plan = ActivationExtractor(tiny("bert")).transform(frame)
    _, states = states_of(tiny("bert"), text, pair)
    assert plan.n_subwords.tolist() == [1, 1, 1]
    H = plan.pool("last")
    for row in range(3):
        assert_close(H[row], np.hstack([state[1 + row] for state in states]))
    alone = ActivationExtractor(tiny("bert")).transform(frame.drop(columns="text_pair"))
    assert np.abs(alone.pool("last") - H).max() > 1e-3  # the model read the pair


def test_a_text_with_several_pairs_is_not_mixed_up(tiny):
    frame = pd.DataFrame({"text": ["Dogs"] * 3, "text_pair": ["bark", "bite", "bark"]})
    H = ActivationExtractor(tiny("bert")).transform(frame).pool("mean")
    np.testing.assert_array_equal(H[0], H[2])
    assert np.abs(H[0] - H[1]).max() > 1e-3
    swapped = ActivationExtractor(tiny("bert")).transform(frame.iloc[[1, 0]]).pool("mean")
    np.testing.assert_allclose(swapped, H[[1, 0]], rtol=0, atol=2e-5)


# Empty texts


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "byt5", "canine", "marian"])
def test_empty_texts_follow_missing(family, tiny):
    texts = ["Dogs bark", "", "A dog", "", "   "]
    for missing, filled in (("zero", 0.0), ("nan", np.nan)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan = ActivationExtractor(tiny(family), missing=missing).transform(texts)
            H = plan.pool("mean")
        dropped = np.flatnonzero(plan.n_subwords == 0)
        assert {1, 3} <= set(dropped) and not {0, 2} & set(dropped)
        told = [str(w.message) for w in caught if "drops all" in str(w.message)]
        assert len(told) == 1
        assert f"{len(dropped)} of 5 rows (the first is row 1, '')" in told[0]
        np.testing.assert_array_equal(H[dropped], np.full_like(H[dropped], filled))
        assert np.isfinite(H[[0, 2]]).all() and (H[[0, 2]] != 0).any(axis=1).all()
    with pytest.raises(ValueError, match=r"of 5 rows \(the first is row 1, ''\)"):
        ActivationExtractor(tiny(family), missing="error").transform(texts)


def test_an_empty_text_with_special_tokens_is_not_missing(tiny):
    plan = ActivationExtractor(tiny("bert"), special_tokens=True).transform(["", "Dogs"])
    assert plan.n_subwords[0] == 2
    _, states = states_of(tiny("bert"), "")
    assert_close(plan.pool("mean")[0], np.hstack([state.mean(axis=0) for state in states]))
    assert_close(plan.pool("cls")[0], np.hstack([state[0] for state in states]))


def test_only_empty_texts(tiny):
    with pytest.warns(UserWarning, match="2 of 2 rows"):
        H = ActivationExtractor(tiny("gpt2")).transform(["", ""]).pool("mean")
    np.testing.assert_array_equal(H, np.zeros((2, 48)))


# The third pass


def passes(caught):
    return [str(w.message) for w in caught if "for the third time" in str(w.message)]


@pytest.mark.slow
def test_the_third_pass_warns_once_and_names_the_cache(tiny, words):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(1, 6):
            extractor = ActivationExtractor(tiny("bert"), layers=n % 3)
            extractor.transform(words).pool("last")
            assert len(passes(caught)) == (n >= 3), n
    message = passes(caught)[0]
    assert "6 of 6 texts" in message and "cache=" in message and tiny("bert") in message


def test_the_third_pass_warns_if_most_texts_are_read_again(tiny):
    read = ["a dog", "a cat"]
    for _ in range(2):
        ActivationExtractor(tiny("bert")).transform(read).pool("last")
    ActivationExtractor(tiny("bert")).transform([*read, "new", "newer"]).pool("last")
    with pytest.warns(UserWarning, match="reads 2 of 3 texts for the third time"):
        ActivationExtractor(tiny("bert")).transform([*read, "newest"]).pool("last")


@pytest.mark.slow
def test_other_texts_and_models_do_not_make_a_third_pass(tiny, words):
    for sentence in range(5):
        some = words[words["sentence_id"] == sentence]
        for path in (tiny("bert"), tiny("gpt2")):
            ActivationExtractor(path).transform(some).pool("last")
            ActivationExtractor(path, weights="random").transform(some).pool("last")
            ActivationExtractor(path, weights="random", random_state=1).transform(some).pool("last")


def test_planning_does_not_count_as_a_pass(tiny, words):
    for _ in range(5):
        plan = ActivationExtractor(tiny("bert")).transform(words)
    plan.pool("last")


def test_no_third_pass_with_a_cache(tiny, words, tmp_path):
    for _ in range(5):
        ActivationExtractor(tiny("bert"), cache=tmp_path).transform(words).pool("last")


@pytest.mark.slow
def test_folds_of_a_search_add_up_to_passes(tiny, words):
    """Each fold reads different texts, yet every text is read again and again."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_validate
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        ActivationExtractor(tiny("bert")), SubwordAggregator(), LogisticRegression(max_iter=500)
    )
    with pytest.warns(UserWarning, match="for the third time"):
        cross_validate(
            pipeline, words, words["tag"], groups=words["text"], cv=GroupKFold(3),
            error_score="raise",
        )  # fmt: skip


@pytest.mark.parametrize("family", ["bert", "gpt2", "marian", "canine"])
@pytest.mark.parametrize("with_pairs", [False, True])
def test_tokenizing_in_portions_changes_nothing(family, with_pairs, tiny, monkeypatch):
    from dataclasses import asdict

    from sklearn_neurox.extraction._text import _tokenization

    tokenizer = AutoTokenizer.from_pretrained(tiny(family))
    texts = ["The old dog", "", "She saw [MASK] café", "👍", "Dogs bark", "A light rain", "x"]
    pairs = [text[::-1] for text in texts] if with_pairs else None
    whole = _tokenization.encode(tokenizer, texts, pairs, split_special_tokens=False)
    sizes, fast = [], _tokenization._encode_fast

    def encode_fast(tokenizer, texts, *rest):
        sizes.append(len(texts))
        return fast(tokenizer, texts, *rest)

    monkeypatch.setattr(_tokenization, "_encode_fast", encode_fast)
    monkeypatch.setattr(_tokenization, "_PORTION", 3)
    found = _tokenization.encode(tokenizer, texts, pairs, split_special_tokens=False)
    assert sizes == ([3, 3, 1] if tokenizer.is_fast else [])
    for name, values in asdict(whole).items():
        np.testing.assert_array_equal(asdict(found)[name], values, err_msg=name)
