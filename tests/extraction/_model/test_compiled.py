# SPDX-License-Identifier: BSD-3-Clause
"""Models under torch.compile: read eagerly, and compiled again for others."""

import threading

import numpy as np
import pytest
import torch

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.extraction import ActivationExtractor

pytestmark = [
    pytest.mark.slow,  # importing the compiler alone takes seconds
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
]

COMPONENTS = ["hidden", "mlp", "attention", "embedding"]


def in_place(model):
    model.compile(backend="eager")
    return model


def wrapped(model):
    return torch.compile(model, backend="eager")


def blocks_in_place(model):
    for block in model.encoder.layer:
        block.compile(backend="eager")
    return model


def blocks_wrapped(model):
    for i, block in enumerate(model.encoder.layer):
        model.encoder.layer[i] = torch.compile(block, backend="eager")
    return model


def only_forward(model):
    model.forward = torch.compile(model.forward, backend="eager")
    return model


FORMS = [in_place, wrapped, blocks_in_place, blocks_wrapped, only_forward]


def run(model, tokenizer):
    with torch.no_grad():
        return model(**tokenizer("A dog", return_tensors="pt")).last_hidden_state


@pytest.fixture
def compiled(request, live):
    """Compile a model and run it, so that compiled code without hooks exists."""
    torch.compiler.reset()
    model, tokenizer = live("bert")
    model = request.param(model.eval())
    run(model, tokenizer)
    yield model, tokenizer
    torch.compiler.reset()


@pytest.mark.parametrize("compiled", FORMS, indirect=True)
def test_a_compiled_model_is_read_like_any_other(compiled, live, words, tmp_path):
    model, tokenizer = compiled
    options = {"tokenizer": tokenizer, "component": COMPONENTS}
    expected = ActivationExtractor(live("bert")[0], **options).transform(words).pool("last")
    extractor = ActivationExtractor(model, **options)
    np.testing.assert_array_equal(extractor.transform(words).pool("last"), expected)
    extractor.set_params(cache=tmp_path)
    np.testing.assert_array_equal(extractor.transform(words).pool("last"), expected)
    assert extractor.fill_cache(words) == 0


@pytest.mark.parametrize("compiled", FORMS, indirect=True)
def test_a_compiled_model_can_be_ablated(compiled):
    model, tokenizer = compiled
    before = run(model, tokenizer)
    with ablate_model(ActivationExtractor(model, tokenizer=tokenizer), ["hidden.2.3"]):
        changed = run(model, tokenizer)
    assert (before[..., 3] != 0).all() and (changed[..., 3] == 0).all()
    assert torch.equal(run(model, tokenizer), before)


def test_others_are_compiled_again_when_the_last_of_several_threads_has_done(live, words):
    torch.compiler.reset()
    models = [in_place(live("bert")[0].eval()) for _ in range(2)]
    tokenizer, seen = live("bert")[1], []
    threads = [
        threading.Thread(
            target=lambda model=model: seen.append(
                ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("last")
            )
        )
        for model in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(*seen)
    is_compiled = []

    def backend(graph, _):
        is_compiled.append(True)
        return graph.forward

    torch.compile(lambda x: x + 1, backend=backend)(torch.ones(2))
    assert is_compiled
    torch.compiler.reset()
