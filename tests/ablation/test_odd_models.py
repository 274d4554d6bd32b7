# SPDX-License-Identifier: BSD-3-Clause
"""Changes in models with tokens first, recurrent models, and decoders that pad without a mask."""

import contextlib

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from sklearn_neurox.ablation import ablate_model, steer_model
from sklearn_neurox.extraction import ActivationExtractor
from tests.extraction._model.architectures import draw_ids, small_config, word_tokenizer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
]

# Three texts of three tokens: their tokens cannot be told from the texts by the shape.
SQUARE, RAGGED = (3, 3, 3), (7, 2, 5)
RECURRENT = {
    "mamba": ("MambaForCausalLM", "backbone.layers", "backbone.embeddings", {}),
    # RWKV halves the states after every second block.
    "rwkv": ("RwkvForCausalLM", "rwkv.blocks", "rwkv.embeddings", {"rescale_every": 2}),
}


def random_model(name, kind, **params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, kind)(small_config(name, **params)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1 and parameter.requires_grad:
                    parameter.copy_(0.2 * torch.randn(parameter.shape))
    return model


@contextlib.contextmanager
def hooked(module, change, side, *, time_first=False):
    """Change the state of one text on a side of a module."""

    def edit(state):
        own = state[:, 0] if time_first else state[0]
        return change(own)[:, None] if time_first else change(own)[None]

    def before(_, args):
        return (edit(args[0]), *args[1:])

    def after(_, args, output):
        return (edit(output[0]), *output[1:]) if isinstance(output, tuple) else edit(output)

    if side == "input":
        handle = module.register_forward_pre_hook(before)
    else:
        handle = module.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


def setting(units, value, tokens=slice(None)):
    def change(state):
        state = state.clone()
        rows = torch.arange(len(state))[tokens]
        state[rows[:, None], torch.tensor(units)] = value
        return state

    return change


def batch_of(texts):
    width = max(map(len, texts))
    return {
        "input_ids": torch.tensor([ids + [1] * (width - len(ids)) for ids in texts]),
        "attention_mask": torch.tensor(
            [[1] * len(ids) + [0] * (width - len(ids)) for ids in texts]
        ),
    }


def as_text(ids):
    return " ".join(f"w{i}" for i in ids)


def second_words(texts):
    """Return a frame of the second word of each text."""
    starts = [len(f"w{ids[0]} ") for ids in texts]
    ends = [start + len(f"w{ids[1]}") for start, ids in zip(starts, texts, strict=True)]
    return pd.DataFrame({"text": map(as_text, texts), "start": starts, "end": ends})


def check_encoder(model, blocks, prefix, layer, texts, **hook_options):
    """Compare a change of a hidden layer in a batch with hooks in each text alone."""
    units, tokenizer = [1, 3, 4], word_tokenizer()
    neurons = [f"{prefix}hidden.{layer}.{unit}" for unit in units]
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    side, module = ("output", blocks[layer - 1]) if layer else ("input", blocks[0])
    places = {"all": slice(None), "not_first": slice(1, None), "rows": slice(1, 2)}
    for name, tokens in places.items():
        expected = []
        for ids in texts:
            change = setting(units, 0.7, tokens)
            with hooked(module, change, side, **hook_options), torch.no_grad():
                expected.append(model(**batch_of([ids])).last_hidden_state[0, : len(ids)])
        positions = second_words(texts) if name == "rows" else name
        with ablate_model(extractor, neurons, fill=0.7, positions=positions), torch.no_grad():
            found = model(**batch_of(texts)).last_hidden_state
        for text, right in enumerate(expected):
            own = found[text, : len(right)]
            torch.testing.assert_close(own, right, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("layer", [0, 2, 4])
@pytest.mark.parametrize("name", ["xlnet", "fsmt"])
def test_models_with_the_tokens_before_the_texts(name, layer):
    model = random_model(name, {"xlnet": "XLNetModel", "fsmt": "FSMTModel"}[name])
    blocks = model.layer if name == "xlnet" else model.encoder.layers
    for lengths in (SQUARE, RAGGED):
        prefix, texts = "" if name == "xlnet" else "encoder.", draw_ids(lengths)
        check_encoder(model, blocks, prefix, layer, texts, time_first=True)


@pytest.mark.parametrize("name", ["longformer", "led"])
def test_models_that_pad_their_texts(name):
    model = random_model(name, {"longformer": "LongformerModel", "led": "LEDModel"}[name])
    blocks = model.encoder.layer if name == "longformer" else model.encoder.layers
    for layer in (0, 2, 4):
        prefix = "" if name == "longformer" else "encoder."
        check_encoder(model, blocks, prefix, layer, draw_ids((7, 20)))


@pytest.mark.parametrize("name", RECURRENT)
def test_hidden_layers_of_recurrent_models_begin_with_the_embedding(name):
    kind, blocks, embedding, params = RECURRENT[name]
    model = random_model(name, kind, **params)
    (ids,), seen = draw_ids((6,)), {}
    blocks = model.get_submodule(blocks)
    handles = [
        block.register_forward_pre_hook(
            lambda _, args, layer=layer: seen.update({layer: args[0][0].numpy()})
        )
        for layer, block in enumerate(blocks)
    ]
    with torch.no_grad():
        last = model.base_model(torch.tensor([ids])).last_hidden_state[0].numpy()
        embedded = model.get_submodule(embedding)(torch.tensor(ids)).numpy()
    for handle in handles:
        handle.remove()
    np.testing.assert_allclose(seen[0], embedded, rtol=1e-5, atol=1e-5)
    assert sorted(seen) == [0, 1, 2, 3]
    states = np.stack([*(seen[layer] for layer in range(4)), last])
    extractor = ActivationExtractor(model, tokenizer=word_tokenizer())
    for layers in (None, [0], [1, 3], [-1]):
        own = extractor.set_params(layers=layers)
        found = own.transform(second_words([ids])).pool("first")
        chosen = states[range(5) if layers is None else layers, 1]
        np.testing.assert_allclose(found.reshape(len(chosen), -1), chosen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_models_are_changed_in_every_hidden_layer(name):
    kind, path, _, params = RECURRENT[name]
    model = random_model(name, kind, **params)
    blocks = model.get_submodule(path)
    (ids,) = draw_ids((6,))
    inputs = torch.tensor([ids])
    options = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
    for layer in (0, 3):
        neurons = [f"hidden.{layer}.{unit}" for unit in range(5)]
        change = setting(range(5), 0.7, slice(1, None))
        with hooked(blocks[layer], change, "input"), torch.no_grad():
            expected = model(inputs).logits
        with torch.no_grad():
            assert not torch.allclose(model(inputs).logits, expected, atol=1e-3)
        with ablate_model(model, neurons, fill=0.7, positions="not_first"), torch.no_grad():
            torch.testing.assert_close(model(inputs).logits, expected, atol=1e-5, rtol=1e-5)
        with steer_model(model, np.arange(32.0), layer=layer, strength=0.5, positions="generated"):
            cached, whole = (
                model.generate(inputs, use_cache=use_cache, **options)
                for use_cache in (True, False)
            )
        assert torch.equal(cached, whole)


@pytest.mark.parametrize("kind", ["T5ForConditionalGeneration", "MarianMTModel"])
def test_targets_that_labels_pad_without_a_mask(kind):
    name = "t5" if kind.startswith("T5") else "marian"
    model = random_model(name, kind, pad_token_id=1, decoder_start_token_id=1)
    texts = draw_ids((6, 2, 4))
    words = second_words(texts)
    rows = words.assign(target=words["text"], target_start=words["start"], target_end=words["end"])
    width = max(map(len, texts))
    labels = torch.tensor([ids + [-100] * (width - len(ids)) for ids in texts])
    extractor = ActivationExtractor(model, tokenizer=word_tokenizer())
    decoder = model.get_decoder()
    block = decoder.block[0] if name == "t5" else decoder.layers[0]
    with torch.no_grad():
        with ablate_model(extractor, "decoder.hidden.1.*", fill=0.7, positions=rows):
            found = model(**batch_of(texts), labels=labels).logits
        for text, ids in enumerate(texts):
            # The second word is the third token of the input, after the start.
            change = setting(range(32), 0.7, slice(2, 3))
            with hooked(block, change, "output"):
                right = model(**batch_of([ids]), labels=torch.tensor([ids])).logits[0]
            own = found[text, : len(ids)]
            torch.testing.assert_close(own, right, atol=2e-5, rtol=2e-5)
