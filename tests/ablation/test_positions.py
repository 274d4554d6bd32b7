# SPDX-License-Identifier: BSD-3-Clause
"""Changes at some tokens: equal to hooks written by hand, in batches and while generating."""

import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, StaticCache

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, TorchModel
from sklearn_neurox.extraction._editing._positions import NotFirst
from sklearn_neurox.extraction._editing._readings import _read
from sklearn_neurox.words import words_frame
from tests.ablation.hooks import (
    CAUSAL,
    HEADS,
    Hooked,
    everywhere,
    exactly,
    generated_after,
    load_with_head,
    not_first_of,
    sites,
)
from tests.extraction.families import FAMILIES, OTHERS, TWO_STACKS, load

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

SENTENCES = [["The", "old", "dog", "barked"], ["She", "saw"], ["A", "light", "rain", "."]]
WORDS = words_frame(SENTENCES)
TEXTS = [" ".join(words) for words in SENTENCES]
BLOCKS = ("hidden.1", "mlp.2", "attention.2")
# Two words of the first text, one of the third.
CHOSEN = [1, 3, 7]
ROWS = WORDS.iloc[CHOSEN]


@pytest.fixture(scope="session")
def loaded(tmp_path_factory):
    made, models = {}, {}

    def get(family):
        kind = FAMILIES[family].tokenizer
        if kind not in made:
            path = tmp_path_factory.mktemp(kind)
            made[kind] = make_tiny_model(kind, path=path, hidden_size=16, n_heads=2)
        if family not in models:
            models[family] = load_with_head(family, made[kind])
        return models[family]

    return get


def batch_of(tokenizer, side="right"):
    """Tokenize the texts one by one, and pad them by hand."""
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    width, pad = max(map(len, ids)), tokenizer.pad_token_id or 0
    padded, mask = [], []
    for line in ids:
        rest = width - len(line)
        before, after = (rest, 0) if side == "left" else (0, rest)
        padded.append([pad] * before + line + [pad] * after)
        mask.append([0] * before + [1] * len(line) + [0] * after)
    return {"input_ids": torch.tensor(padded), "attention_mask": torch.tensor(mask)}


def rows_of(tokenizer, batch):
    """Choose the tokens of the chosen words by the characters of a tokenizer, or of its pieces."""
    there = torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
    for text in range(len(TEXTS)):
        own = [i for i, is_own in enumerate(batch["attention_mask"][text].tolist()) if is_own]
        spans = tokenizer(TEXTS[text], return_offsets_mapping=True)["offset_mapping"]
        wanted = ROWS[ROWS["text"].astype(str) == TEXTS[text]]
        for place, (start, end) in zip(own, spans, strict=True):
            there[text, place] = any(
                start < row.end and end > row.start and end > start for row in wanted.itertuples()
            )
    return there


def names_of(block, prefix):
    """Name the neurons that `zero_some` changes: a head, or the first eight."""
    return f"{prefix}{block}.h0" if block.startswith("attention") else f"{prefix}{block}.[0-7]"


def zero_some(block, base, family):
    width = 8
    if block.startswith("attention"):
        n_heads = 2 if family == "bart" else 4
        out = sites(family, base)[block][0].weight
        width = out.shape[0 if family == "gpt2" else 1] // n_heads
    return lambda state: torch.cat([torch.zeros_like(state[:, :width]), state[:, width:]], dim=1)


def inputs_for(model, batch):
    """Return the inputs of a model, and the mask and the offset of those that its stack reads."""
    if not model.config.is_encoder_decoder:
        return batch, batch["attention_mask"], 0
    start = torch.full((len(TEXTS), 1), model.config.decoder_start_token_id)
    inputs = batch | {
        "decoder_input_ids": torch.cat([start, batch["input_ids"]], dim=1),
        "decoder_attention_mask": torch.cat([start**0, batch["attention_mask"]], dim=1),
    }
    return inputs, inputs["decoder_attention_mask"], 1


def mostly_slow(families, *fast):
    return [f if f in fast else pytest.param(f, marks=pytest.mark.slow) for f in families]


@pytest.mark.slow
@pytest.mark.parametrize("family", list(HEADS))
def test_a_batch_equals_hooks_by_hand(family, loaded):
    model, base, tokenizer = loaded(family)
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    for side in ("left", "right") if family in CAUSAL else ("right",):
        batch = batch_of(tokenizer, side)
        inputs, read, offset = inputs_for(model, batch)
        own = torch.nn.functional.pad(rows_of(tokenizer, batch), (offset, 0))
        ways = (("all", everywhere), ("not_first", not_first_of(read)), (ROWS, exactly(own)))
        with torch.no_grad():
            plain = model(**inputs).logits
        for block, (module, which) in sites(family, base).items():
            change = zero_some(block, base, family)
            for positions, chosen in ways:
                hooked = Hooked(module, which, change, chosen, n_texts=len(TEXTS))
                neurons = names_of(block, "decoder." if offset else "")
                with torch.no_grad():
                    with hooked.applied():
                        expected = model(**inputs).logits
                    with ablate_model(extractor, neurons, positions=positions):
                        found = model(**inputs).logits
                there = read.bool()
                assert torch.equal(found[there], expected[there]), (block, side, positions)
                assert not torch.equal(found[there], plain[there])


def test_a_padded_batch_equals_a_hook_by_hand(loaded):
    model, base, tokenizer = loaded("gpt2")
    batch = batch_of(tokenizer, "left")
    module, which = sites("gpt2", base)["mlp.2"]
    chosen = not_first_of(batch["attention_mask"])
    with torch.no_grad():
        with Hooked(module, which, torch.zeros_like, chosen).applied():
            expected = model(**batch).logits
        with ablate_model(model, "mlp.2.*", positions="not_first"):
            found = model(**batch).logits
    there = batch["attention_mask"].bool()
    assert torch.equal(found[there], expected[there])


@pytest.mark.slow
def test_a_decoder_in_training_does_not_read_the_end_of_its_target(loaded):
    model, base, tokenizer = loaded("bart")
    batch = {name: value[:1] for name, value in batch_of(tokenizer).items()}
    inputs, _, _ = inputs_for(model, {name: value.repeat(3, 1) for name, value in batch.items()})
    inputs = {name: value[:1] for name, value in inputs.items()}
    inputs = {name: v[:, :-1] if "decoder" in name else v for name, v in inputs.items()}
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    own = torch.nn.functional.pad(rows_of(tokenizer, batch_of(tokenizer))[:1, :-1], (1, 0))
    module, which = sites("bart", base)["hidden.1"]
    with torch.no_grad():
        with Hooked(module, which, torch.zeros_like, exactly(own)).applied():
            expected = model(**inputs).logits
        with ablate_model(extractor, "decoder.hidden.1.*", positions=ROWS.iloc[:2]):
            assert torch.equal(model(**inputs).logits, expected)


@pytest.mark.slow
@pytest.mark.parametrize("family", mostly_slow([*CAUSAL, "bart", "t5"], "gpt2"))
@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_equals_hooks_by_hand(family, use_cache, loaded):
    model, base, tokenizer = loaded(family)
    two = model.config.is_encoder_decoder
    batch = batch_of(tokenizer, "right" if two else "left")
    width = 1 if two else batch["input_ids"].shape[1]
    mask = torch.ones(len(TEXTS), 1) if two else batch["attention_mask"]
    own = torch.zeros(len(TEXTS), 1) if two else rows_of(tokenizer, batch)

    def of_rows(past, shape):
        there = torch.zeros(shape, dtype=torch.bool)
        if not past:
            there[:, : own.shape[1]] = own
        return there

    options = {"max_new_tokens": 5, "do_sample": False, "use_cache": use_cache, "pad_token_id": 0}
    options |= {"output_logits": True, "return_dict_in_generate": True, "eos_token_id": None}
    module, which = sites(family, base)["hidden.1"]
    prefix = "decoder." if two else ""
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    ways = [
        ("all", everywhere),
        ("not_first", not_first_of(mask)),
        ("generated", generated_after(width)),
        *([] if two else [(ROWS, of_rows)]),
    ]
    plain = model.generate(**batch, **options)
    for positions, chosen in ways:
        hooked = Hooked(module, which, lambda state: state + 3, chosen, cached=use_cache)
        with torch.no_grad(), hooked.applied():
            expected = model.generate(**batch, **options)
        with ablate_model(
            extractor, [f"{prefix}hidden.1.*"], fill="translate", values=3.0, positions=positions
        ):
            found = model.generate(**batch, **options)
        assert torch.equal(found.sequences, expected.sequences), positions
        for ours, theirs in zip(found.logits, expected.logits, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        if chosen is ways[2][1]:
            assert torch.equal(found.logits[0], plain.logits[0])
            # The last new token is never read.
            n_passes = 4 if use_cache else 4 * 5 // 2
            assert hooked.n_changed == len(TEXTS) * n_passes
        assert not torch.equal(found.logits[-1], plain.logits[-1])
    assert "generate" not in vars(model)


@pytest.mark.slow
def test_caches_of_a_fixed_size_and_beams(loaded):
    model, _, tokenizer = loaded("llama")
    batch = batch_of(tokenizer, "left")
    options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    for positions in ("not_first", "generated", ROWS):
        for more in ({}, {"num_beams": 3}):
            with ablate_model(extractor, ["hidden.1.*"], fill=2.0, positions=positions):
                found = [
                    model.generate(**batch, **options, **more, **kind)
                    for kind in ({}, {"use_cache": False}, {"cache_implementation": "static"})
                ]
            assert torch.equal(found[0], found[1]), (positions, more)
            assert torch.equal(found[0], found[2]), (positions, more)


def test_a_mask_may_be_longer_than_what_is_read():
    cache = DynamicCache()
    assert cache.get_seq_length() == 0
    mask = torch.tensor([[0, 1, 1, 0, 0], [1, 1, 1, 0, 0]])
    inputs = {"input_ids": torch.zeros(2, 3), "attention_mask": mask, "past_key_values": cache}
    reading = _read(None, inputs, None, None)
    assert reading.own_mask().tolist() == [[False, True, True], [True, True, True]]
    assert NotFirst().slots(reading).tolist() == [[-1, -1, 0], [-1, 0, 0]]
    cache.update(torch.zeros(2, 1, 2, 1), torch.zeros(2, 1, 2, 1), layer_idx=0)
    assert cache.get_seq_length() == 2
    for n_unused in (0, 4):
        inputs["attention_mask"] = torch.nn.functional.pad(mask, (0, n_unused))
        reading = _read(None, inputs, None, None)
        assert reading.own_mask().tolist() == mask[:, 2:].bool().tolist()
        assert NotFirst().slots(reading).tolist() == [[0, -1, -1], [0, -1, -1]]
    del inputs["attention_mask"]
    assert _read(None, inputs, None, None).own_mask().all()


@pytest.mark.slow
def test_a_mask_of_a_cache_of_a_fixed_size(loaded):
    """The mask has the length of the cache, most of which no token has been written to."""
    model, _, tokenizer = loaded("llama")
    batch = batch_of(tokenizer, "left")
    n_texts, n_tokens = batch["input_ids"].shape
    mask = torch.cat([batch["attention_mask"], torch.zeros(n_texts, 20 - n_tokens).long()], dim=1)
    cache = StaticCache(config=model.config, max_cache_len=20)
    for neurons, positions in (("hidden.1.*", "not_first"), ("mlp.2.*", ROWS)):
        cache.reset()
        extractor = ActivationExtractor(model, tokenizer=tokenizer)
        with torch.no_grad(), ablate_model(extractor, neurons, positions=positions):
            expected = model(**batch, use_cache=False).logits
            found = model(
                input_ids=batch["input_ids"], attention_mask=mask, past_key_values=cache
            ).logits
        own = batch["attention_mask"].bool()
        torch.testing.assert_close(found[own], expected[own], atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_a_recurrent_model(tmp_path):
    from transformers import MambaConfig, MambaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = MambaConfig(vocab_size=99, hidden_size=16, num_hidden_layers=2)
        model = MambaForCausalLM(config).eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    options = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    for positions in ("not_first", "generated"):
        with ablate_model(model, ["hidden.2.*"], fill="scale", values=3.0, positions=positions):
            cached, whole = (model.generate(ids, use_cache=c, **options) for c in (True, False))
        assert torch.equal(cached, whole), positions


@pytest.mark.slow
def test_extraction_changes_the_words_themselves(loaded):
    for family in ("bert", "gpt2"):
        model, _, tokenizer = loaded(family)
        extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=1, max_batch_tokens=9)
        plain = extractor.transform(WORDS).pool("mean")
        with ablate_model(extractor, ["hidden.1.*"], positions=ROWS):
            changed = extractor.transform(WORDS).pool("mean")
        others = np.setdiff1d(np.arange(len(WORDS)), CHOSEN)
        assert (changed[CHOSEN] == 0).all()
        np.testing.assert_allclose(changed[others], plain[others], atol=1e-6)
        with ablate_model(extractor, ["hidden.1.*"], positions=TEXTS[:1]):
            changed = extractor.transform(WORDS).pool("mean")
        assert [not row.any() for row in changed] == [True] * 4 + [False] * 6


def test_windows_of_a_long_text(loaded):
    model, _, tokenizer = loaded("gpt2")
    words = words_frame([[str(number) for number in range(32)]])
    extractor = ActivationExtractor(
        model, tokenizer=tokenizer, layers=1, max_length=12, overflow="window"
    )
    rows = words.iloc[[0, 9, 17, 30]]
    with ablate_model(extractor, ["hidden.1.*"], positions=rows):
        changed = extractor.transform(words).pool("mean")
    assert np.flatnonzero(~changed.any(axis=1)).tolist() == [0, 9, 17, 30]


@pytest.mark.slow
def test_both_stacks_and_targets(loaded):
    model, _, tokenizer = loaded("bart")
    frame = WORDS.assign(text=WORDS["text"].astype(str))
    frame = frame[frame["text"] == TEXTS[0]].assign(
        target=TEXTS[1], target_start=[0, 4, 0, 4], target_end=[3, 7, 3, 7]
    )
    rows = frame.iloc[[1]]
    for stack, rest in (("encoder", [0, 2, 3]), ("decoder", [0, 2])):
        extractor = ActivationExtractor(model, tokenizer=tokenizer, stack=stack, layers=1)
        with ablate_model(extractor, [f"{stack}.hidden.1.*"], positions=rows):
            changed = extractor.transform(frame).pool("mean")
        assert not changed[1].any()
        assert changed[rest].any(axis=1).all()
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="an encoder reads no generated tokens"):
        ablate_model(extractor, ["encoder.hidden.1.2"], positions="generated")


def test_half_precision(loaded):
    model, base, tokenizer = loaded("gpt2")
    batch = batch_of(tokenizer, "left")
    module, which = sites("gpt2", base)["hidden.1"]
    try:
        model.to(torch.bfloat16)
        hooked = Hooked(module, which, lambda s: s * 0.5, not_first_of(batch["attention_mask"]))
        with torch.no_grad():
            with hooked.applied():
                expected = model(**batch).logits
            with ablate_model(
                model, ["hidden.1.*"], fill="scale", values=0.5, positions="not_first"
            ):
                found = model(**batch).logits
    finally:
        model.float()
    assert found.dtype == torch.bfloat16
    there = batch["attention_mask"].bool()
    assert torch.equal(found[there], expected[there])


def test_nested_positions_each_have_their_own(loaded):
    model, base, tokenizer = loaded("gpt2")
    batch = batch_of(tokenizer)
    module, which = sites("gpt2", base)["hidden.1"]
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    own = rows_of(tokenizer, batch)
    with torch.no_grad():
        with (
            Hooked(module, which, lambda s: s + 1, not_first_of(batch["attention_mask"])).applied(),
            Hooked(module, which, lambda s: s * 2, exactly(own)).applied(),
        ):
            expected = model(**batch).logits
        with ablate_model(
            model, ["hidden.1.*"], fill="translate", values=1.0, positions="not_first"
        ):
            with ablate_model(extractor, "hidden.1.*", fill="scale", values=2.0, positions=ROWS):
                found = model(**batch).logits
    there = batch["attention_mask"].bool()
    assert torch.equal(found[there], expected[there])


@pytest.mark.slow
def test_threads_know_their_own_tokens(loaded):
    model, _, tokenizer = loaded("llama")
    batch = batch_of(tokenizer, "left")
    alone = [
        {
            name: value[i : i + 1, int(batch["attention_mask"][i].argmax()) :]
            for name, value in batch.items()
        }
        for i in range(len(TEXTS))
    ]
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    found = [None] * 6
    with ablate_model(model, ["hidden.1.*"], fill=2.0, positions="generated"):
        expected = [model.generate(**one, **options) for one in alone]

        def work(i):
            found[i] = model.generate(**alone[i % 3], **options)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert all(torch.equal(one, expected[i % 3]) for i, one in enumerate(found))


def test_contexts_of_threads_may_overlap(loaded):
    model, _, tokenizer = loaded("gpt2")
    first = ablate_model(model, ["hidden.1.*"], fill=2.0, positions="generated")
    second = ablate_model(model, ["mlp.1.*"], fill=2.0, positions="generated")
    ids = batch_of(tokenizer)["input_ids"][:1, :3]
    options = {"max_new_tokens": 2, "do_sample": False, "pad_token_id": 0}
    first.__enter__()
    second.__enter__()
    model.generate(ids, **options)
    first.__exit__(None, None, None)
    assert "generate" in vars(model)
    second.__exit__(None, None, None)
    assert "generate" not in vars(model)


def test_a_torch_model_has_a_first_token():
    module = torch.nn.Sequential(torch.nn.Embedding(128, 4), torch.nn.Linear(4, 3))

    def encode(text):
        return [ord(c) % 128 for c in text], [(i, i + 1) for i in range(len(text))]

    extractor = ActivationExtractor(TorchModel(module, encode), component="module:1")
    frame = pd.DataFrame({"text": ["abc", "abc", "de"], "start": [0, 1, 1], "end": [1, 2, 2]})
    with ablate_model(extractor, ["module:1.*"], positions="not_first"):
        H = extractor.transform(frame).pool("mean")
    assert [not row.any() for row in H] == [False, True, True]
    with ablate_model(extractor, ["module:1.*"], positions=frame.iloc[[1]]):
        H = extractor.transform(frame).pool("mean")
    assert [not row.any() for row in H] == [False, True, False]


def test_no_trace_is_left(loaded):
    model, _, tokenizer = loaded("gpt2")
    batch = batch_of(tokenizer)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = model(**batch).logits
    n_hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    own = dict(vars(model))
    with pytest.raises(KeyError):
        with ablate_model(model, ["hidden.1.*", "mlp.1.3"], positions="not_first"):
            model(**batch)
            raise KeyError
    assert n_hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    assert vars(model).keys() == own.keys()
    assert torch.equal(model(**batch).logits, plain)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


# Where nothing would be changed


@pytest.mark.slow
def test_texts_that_the_model_does_not_read(loaded):
    model, _, tokenizer = loaded("llama")
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    other = tokenizer(["She saw the house"], return_tensors="pt")
    with pytest.raises(ValueError, match="read none of the 2 texts .* such as 'A light rain ."):
        with ablate_model(extractor, ["hidden.1.2"], positions=ROWS):
            model(**other)
    bare = tokenizer(TEXTS[:1], return_tensors="pt", add_special_tokens=False)
    with pytest.raises(ValueError, match="special tokens included"):
        with ablate_model(extractor, ["hidden.1.2"], positions=ROWS):
            model(**bare)
    one = tokenizer(TEXTS[:1], return_tensors="pt")
    with pytest.warns(UserWarning, match="read 1 of the 2 texts"):
        with ablate_model(extractor, ["hidden.1.2"], positions=ROWS):
            model(**one)
    with pytest.raises(ValueError, match="generate of the model has made .* was not called"):
        with ablate_model(model, ["hidden.1.2"], positions="generated"):
            model(**one)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ablate_model(extractor, ["hidden.1.2"], positions=ROWS[:2]):
            model(**one)
        with ablate_model(model, ["hidden.1.2"], positions="generated"):
            model.generate(**one, max_new_tokens=2, pad_token_id=0)


def test_inputs_whose_tokens_are_not_known(loaded):
    model, base, tokenizer = loaded("llama")
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    one = tokenizer(TEXTS[:1], return_tensors="pt")
    embedded = model.get_input_embeddings()(one["input_ids"])
    with ablate_model(extractor, ["hidden.1.2"], positions=ROWS[:2]):
        with pytest.raises(ValueError, match="is given embeddings"):
            model(inputs_embeds=embedded)
        cache = model(**one, use_cache=True).past_key_values
        with pytest.raises(ValueError, match="the rest of a text after a cache"):
            model(input_ids=one["input_ids"], past_key_values=cache)
    with ablate_model(model, ["hidden.1.2"], positions="not_first"):
        found = model(inputs_embeds=embedded).logits
        assert torch.equal(found, model(**one).logits)
        with pytest.raises(ValueError, match="was called outside its model"):
            base.layers[0](
                embedded,
                position_embeddings=base.rotary_emb(
                    embedded, torch.arange(embedded.shape[1])[None]
                ),
            )


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ("first", "'positions' parameter of ablate_model must be"),
        (3, "'positions' parameter of ablate_model must be"),
        (WORDS.drop(columns="text"), "the column 'text'"),
        (WORDS.assign(end=99), "empty or out of range"),
        (WORDS.assign(text="x" * 20), "Text and spans must come from the same frame"),
        (pd.DataFrame({"text": ["a\u200bb"], "start": [1], "end": [2]}), "does not read row 0"),
    ],
)
def test_wrong_positions(loaded, positions, message):
    model, _, tokenizer = loaded("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    with pytest.raises(ValueError, match=message):
        ablate_model(extractor, ["hidden.1.2"], positions=positions)


def test_models_that_generate_nothing(loaded, tmp_path):
    model, _, _ = loaded("bert")
    folder = make_tiny_model("gpt2", path=tmp_path, hidden_size=8)
    for wrong, message in (
        (model, "a BertForMaskedLM generates no text"),
        (folder, "a model without its head generates no text"),
    ):
        with pytest.raises(ValueError, match=message):
            ablate_model(wrong, ["hidden.1.2"], positions="generated")


@pytest.mark.slow
def test_a_real_decoder(decoder):
    model = AutoModelForCausalLM.from_pretrained(decoder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(decoder)
    batch = batch_of(tokenizer, "left")
    layer = model.model.layers[14]
    names = [f"hidden.15.{unit}" for unit in range(0, 576, 3)]
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    options |= {"output_logits": True, "return_dict_in_generate": True}
    width = batch["input_ids"].shape[1]
    extractor = ActivationExtractor(model, tokenizer=tokenizer)

    def change(state):
        state = state.clone()
        state[:, ::3] = 0
        return state

    own = rows_of(tokenizer, batch)
    ways = [("not_first", not_first_of(batch["attention_mask"])), ("generated", None), (ROWS, own)]
    for positions, chosen in ways:
        if chosen is None:
            chosen = generated_after(width)
        if positions is ROWS:

            def chosen(past, shape):
                there = torch.zeros(shape, dtype=torch.bool)
                if not past:
                    there[:, :width] = own
                return there

        for use_cache in (True, False):
            with Hooked(layer, "output", change, chosen, cached=use_cache).applied():
                expected = model.generate(**batch, use_cache=use_cache, **options)
            with ablate_model(extractor, names, positions=positions):
                found = model.generate(**batch, use_cache=use_cache, **options)
            assert torch.equal(found.sequences, expected.sequences)
            for ours, theirs in zip(found.logits, expected.logits, strict=True):
                torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def _padding_itself():
    """Build a model that pads its inputs to its window."""
    from transformers import LongformerConfig, LongformerModel

    config = LongformerConfig(
        vocab_size=600, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, attention_window=4, max_position_embeddings=64, pad_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LongformerModel(config).eval()


@pytest.mark.slow
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS, "longformer"])
def test_words_of_each_family(family, tmp_path):
    kind = {**FAMILIES, **OTHERS}[family].tokenizer if family != "longformer" else "roberta"
    folder = make_tiny_model(kind, path=tmp_path, hidden_size=16, n_heads=2)
    if family == "longformer":
        model, tokenizer = _padding_itself(), AutoTokenizer.from_pretrained(folder)
    else:
        model, tokenizer = load(family, folder)
    stack = "decoder" if family in TWO_STACKS else None
    prefix = f"{stack}." if stack else ""
    for component in ("hidden", "mlp", "attention"):
        if (family, component) in (("mixtral", "mlp"),):
            continue
        extractor = ActivationExtractor(
            model, tokenizer=tokenizer, layers=[2], component=component, stack=stack
        )
        plain = extractor.transform(WORDS).pool("mean")
        for positions, gone in ((ROWS, CHOSEN), ("not_first", None)):
            with ablate_model(extractor, f"{prefix}{component}.2.*", positions=positions):
                changed = extractor.transform(WORDS).pool("mean")
            zero = ~changed.any(axis=1)
            if gone is not None:
                own = np.isin(np.arange(len(WORDS)), gone)
                assert (zero == own).all(), component
                np.testing.assert_allclose(changed[~own], plain[~own], atol=1e-5)
            else:
                # Only the first word of a text may own the first token.
                assert zero[WORDS["position"].to_numpy() > 0].all()
