# SPDX-License-Identifier: BSD-3-Clause
"""A token or text in front of every input, which belongs to no row."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.ablation import causal_effect
from sklearn_neurox.extraction import ActivationExtractor, TorchModel, token_frame

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog barked loudly .", "Dogs", "café 👍 saw", "The old dog"]
PREFIXES = ["bos", "\n", "Well then,", "<s>", "."]
# How many special tokens each tokenizer adds in front of a text.
FAMILIES = {"gpt2": 0, "llama": 1, "bert": 1, "roberta": 1, "xlm-roberta": 1, "byt5": 0}


def states_of(model, ids):
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return np.hstack([state[0].numpy() for state in states])


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def prefix_of(tokenizer, prefix):
    if prefix != "bos":
        return tokenizer(prefix, add_special_tokens=False)["input_ids"]
    # A text that begins with it needs no second one.
    begins = tokenizer("Dogs")["input_ids"][0] == tokenizer.bos_token_id
    return [] if begins else [tokenizer.bos_token_id]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_input_begins_with_the_prefix(family, tiny):
    """Words, tokens, whole texts and the token of the text, one text at a time."""
    n_added, path = FAMILIES[family], tiny(family)
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)
    tokens = token_frame(TEXTS, path)
    n_tried = 0
    for prefix in PREFIXES:
        if prefix == "bos" and tokenizer.bos_token is None:
            continue
        extractor = ActivationExtractor(model, tokenizer=tokenizer, prefix=prefix)
        first = prefix_of(tokenizer, prefix)
        if prefix != "bos" and not first:
            with pytest.raises(ValueError, match="makes no token"):
                extractor.transform(TEXTS)
            continue
        n_tried += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = extractor.transform(TEXTS)
            means, lasts = whole.pool("mean"), whole.pool("last")
            by_token = extractor.transform(tokens).pool("last")
        for n, text in enumerate(TEXTS):
            ids = tokenizer(text)["input_ids"]
            n_own = len(tokenizer(text, add_special_tokens=False)["input_ids"])
            states = states_of(model, [*ids[:n_added], *first, *ids[n_added:]])
            own = states[n_added + len(first) :][:n_own]
            close(means[n], own.mean(axis=0))
            close(lasts[n], own[-1])
            close(by_token[tokens["sentence_id"] == n], own)
        special = ActivationExtractor(
            model, tokenizer=tokenizer, prefix=prefix, special_tokens=True
        ).transform(TEXTS[:1])
        assert special.n_subwords[0] == len(tokenizer(TEXTS[0])["input_ids"])
    assert n_tried >= 3


def test_the_windows_of_a_long_text_repeat_the_prefix(tiny):
    path = tiny("gpt2")
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)
    text = " ".join(TEXTS * 8)
    for prefix in ("bos", "Well then,"):
        first = prefix_of(tokenizer, prefix)
        extractor = ActivationExtractor(path, prefix=prefix, max_length=24)
        plan = extractor.transform([text])
        sequences = plan._source.sequences
        windows = np.split(sequences.ids, sequences.ptr[1:-1])
        assert len(windows) > 3
        assert all(window[: len(first)].tolist() == first for window in windows)
        assert max(map(len, windows)) == 24
        rows = token_frame([text], path)
        plan = extractor.transform(rows)
        H = plan.pool("last")
        for row in (0, 3, 30, len(rows) - 1):
            window, place = plan._sequence[row], plan._position[row]
            assert place >= len(first)
            close(H[row], states_of(model, windows[window].tolist())[place])


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_text_with_its_own_bos_gets_no_second_one(family, tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny(family))
    text = f"{tokenizer.bos_token}The old dog"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = ActivationExtractor(tiny(family), prefix="bos").transform([text])
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert plan._source.sequences.ids.tolist() == ids
    assert plan.n_subwords[0] == len(ids) - 1


@pytest.mark.slow
def test_the_cache_keeps_prefixes_apart(tiny, tmp_path):
    fresh = {}
    for prefix in (None, "bos", "\n", "\n\n"):
        extractor = ActivationExtractor(tiny("gpt2"), prefix=prefix)
        fresh[prefix] = extractor.transform(TEXTS).pool("mean")
    assert len({H.tobytes() for H in fresh.values()}) == 4
    for prefix, H in list(fresh.items()) * 2:
        extractor = ActivationExtractor(tiny("gpt2"), prefix=prefix, cache=tmp_path)
        close(extractor.transform(TEXTS).pool("mean"), H)
    # Recalled from a folder that nothing reads but the cache.
    recalled = extractor.transform(token_frame(TEXTS, tiny("gpt2")))
    assert (recalled._position[recalled._ptr[:-1]] >= 1).all()


@pytest.mark.slow
def test_causal_effect_predicts_the_first_word_from_the_prefix(tiny):
    path = tiny("gpt2")
    tokenizer = AutoTokenizer.from_pretrained(path)
    words = pd.DataFrame({"text": TEXTS[:1] * 2, "start": [0, 4], "end": [3, 7]})
    extractor = ActivationExtractor(path, prefix="bos")
    effect = causal_effect(
        extractor, words, [True, False], ["hidden.1.0"], steps=[1], which="top", n_draws=1
    )
    assert effect["n_unscored"].tolist() == [0] * len(effect)
    model = AutoModelForCausalLM.from_pretrained(path).eval()
    ids = [tokenizer.bos_token_id, *tokenizer(TEXTS[0])["input_ids"]]
    with torch.no_grad():
        logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    n_first = len(tokenizer("The")["input_ids"])
    loss = -sum(float(logs[k, ids[k + 1]]) for k in range(n_first))
    assert effect["loss"].iloc[0] == pytest.approx(loss, abs=1e-4)


def test_the_decoder_of_two_stacks_reads_it_too(tiny):
    path = tiny("marian")
    plan = ActivationExtractor(path, stack="both", prefix="Dogs").transform(TEXTS[:2])
    first = AutoTokenizer.from_pretrained(path)("Dogs", add_special_tokens=False)["input_ids"]
    for k in range(2):
        assert plan._source.sequences.take([k]).ids[: len(first)].tolist() == first


def test_a_prefix_that_is_no_single_text_is_an_error(tiny):
    for prefix in (["\n"], 3, True, b"bos", ("a", "b")):
        with pytest.raises(ValueError, match="'prefix' parameter of ActivationExtractor must be"):
            ActivationExtractor(tiny("gpt2"), prefix=prefix).transform(TEXTS)
    for prefix in ("", "\u200b" * 0):
        with pytest.raises(ValueError, match="makes no token"):
            ActivationExtractor(tiny("gpt2"), prefix=prefix).transform(TEXTS)
    with pytest.raises(ValueError, match="cannot be read by"):
        ActivationExtractor(tiny("gpt2"), prefix="\ud800").transform(TEXTS)
    for family in ("bert", "byt5"):
        with pytest.raises(ValueError, match=r"'bos', but .* has no BOS token"):
            ActivationExtractor(tiny(family), prefix="bos").transform(TEXTS)
    module = torch.nn.Sequential(torch.nn.Embedding(9, 4))
    model = TorchModel(module, lambda text: ([1], [(0, len(text))]))
    with pytest.raises(ValueError, match="prefix='a' has no effect"):
        ActivationExtractor(model, component="module:0", prefix="a").transform(["a"])
    with pytest.raises(ValueError, match="leaves no room for text besides the 7"):
        ActivationExtractor(tiny("gpt2"), prefix="a" * 7, max_length=6).transform(TEXTS)
