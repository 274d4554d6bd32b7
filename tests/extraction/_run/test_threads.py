# SPDX-License-Identifier: BSD-3-Clause
"""Threads share a model without affecting each other, and leave it as they found it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from sklearn_neurox.extraction import ActivationExtractor, clear_loaded_models
from sklearn_neurox.words import words_frame

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

LAYERS = [[0], [1], [2], [0, 2], [2, 1], None, [-2], [1, 0]]


def hooks_of(model):
    return [
        (name, hook)
        for name, module in model.named_modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
        # Hooks of transformers stay, and only watch.
        if not hook.__module__.startswith("transformers.")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2", "marian"])
@pytest.mark.parametrize("is_live", [True, False])
def test_threads_with_different_layers_give_the_serial_results(is_live, family, tiny, live, words):
    from sklearn_neurox.extraction._model._loading import load_model

    model, tokenizer = live(family) if is_live else (tiny(family), None)

    def extract(layers):
        extractor = ActivationExtractor(
            model, tokenizer=tokenizer, layers=layers, max_batch_tokens=20
        )
        return extractor.transform(words).pool("mean")

    serial = [extract(layers) for layers in LAYERS]
    clear_loaded_models()
    start = Barrier(4)

    def at_once(layers):
        start.wait(timeout=30)
        return extract(layers)

    with ThreadPoolExecutor(4) as threads:
        parallel = list(threads.map(at_once, LAYERS * 3))
    for found, expected in zip(parallel, serial * 3, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    loaded = model if is_live else load_model(ActivationExtractor(model)._spec())
    assert hooks_of(loaded) == []


@pytest.mark.slow
def test_many_threads_may_examine_a_live_model_at_once(live, words):
    """The model is examined on first use, and other threads must not disturb this."""
    for _ in range(3):
        model, tokenizer = live("bert")
        model.train()
        start = Barrier(4)

        def extract(layers, model=model, tokenizer=tokenizer, start=start):
            start.wait(timeout=30)
            extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=layers)
            return extractor.transform(words).pool("last")

        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(extract, [[0], [1], [2], [1]]))
        for layers, H in zip(([0], [1], [2], [1]), found, strict=True):
            expected = ActivationExtractor(model.name_or_path, layers=layers).transform(words)
            np.testing.assert_allclose(H, expected.pool("last"), rtol=0, atol=2e-5)
        assert all(module.training for module in model.modules())
        assert hooks_of(model) == []


def test_forward_passes_of_the_caller_are_not_recorded(live, words):
    """A forward pass that the caller runs during one of our batches is not recorded."""
    import torch

    model, tokenizer = live("bert")
    ids, seen = torch.tensor([[2, 9, 9, 9, 3]]), []

    def run_again(module, args, output):
        if not seen:
            seen.append(None)
            with ThreadPoolExecutor(1) as thread:
                seen[0] = thread.submit(lambda: model(ids).last_hidden_state.shape).result()

    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[0, 1])
    expected = extractor.transform(words).pool("mean")
    handle = model.embeddings.register_forward_hook(run_again)
    H = extractor.transform(words).pool("mean")
    handle.remove()
    assert seen == [(1, 5, 16)]
    np.testing.assert_array_equal(H, expected)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["embeddings", "encoder.layer.1", "pooler"])
def test_an_exception_in_the_forward_pass_leaves_no_hook(where, live, words):
    model, tokenizer = live("bert")
    model.train()
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    expected = extractor.transform(words).pool("mean")

    def fail(*_):
        raise RuntimeError("in the middle")

    # The pooler comes after the last hidden state: no layer needs it, but the forward pass runs it.
    handle = model.get_submodule(where).register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        extractor.transform(words).pool("mean")
    handle.remove()
    assert hooks_of(model) == []
    assert all(module.training for module in model.modules())
    np.testing.assert_array_equal(extractor.transform(words).pool("mean"), expected)


def test_an_error_while_pooling_leaves_no_hook(live, words, monkeypatch):
    from sklearn_neurox.extraction._run import _torch_pooling

    model, tokenizer = live("gpt2")
    plan = ActivationExtractor(model, tokenizer=tokenizer).transform(words)

    def fails(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(_torch_pooling.TorchPooler, "visit", fails)
        with pytest.raises(MemoryError):
            plan.pool("last")
    assert hooks_of(model) == []
    assert np.isfinite(plan.pool("last")).all()


def test_gradient_mode_and_default_types_are_not_changed(tiny, words):
    import torch

    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    ActivationExtractor(tiny("bert")).transform(words).pool("mean")
    assert torch.get_default_dtype() == dtype and torch.is_grad_enabled() == grad
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_matrix_is_an_ordinary_array(tiny, words):
    """The matrix is NumPy's own: writable, contiguous, float32."""
    H = ActivationExtractor(tiny("bert")).transform(words).pool("mean")
    assert H.flags.writeable and H.flags.c_contiguous and H.dtype == np.float32


# Silence


@pytest.mark.parametrize("progress_bars", [True, False])
def test_transformers_settings_are_restored(progress_bars, tiny, words):
    from transformers.utils import logging

    was = logging.is_progress_bar_enabled()
    (logging.enable_progress_bar if progress_bars else logging.disable_progress_bar)()
    verbosity = logging.get_verbosity()
    try:
        logging.set_verbosity_info()
        clear_loaded_models()
        ActivationExtractor(tiny("bert")).transform(words).pool("last")
        assert logging.is_progress_bar_enabled() is progress_bars
        assert logging.get_verbosity() == logging.INFO
        with pytest.raises(ValueError):
            ActivationExtractor("no-such-model").fit(words)
        assert logging.is_progress_bar_enabled() is progress_bars
        assert logging.get_verbosity() == logging.INFO
    finally:
        logging.set_verbosity(verbosity)
        (logging.enable_progress_bar if was else logging.disable_progress_bar)()


@pytest.mark.slow
def test_settings_are_restored_by_many_threads(tiny, words):
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    clear_loaded_models()
    requests = [(tiny(family), weights) for family in ("bert", "gpt2", "marian", "llama")
                for weights in ("pretrained", "random")]  # fmt: skip
    with ThreadPoolExecutor(4) as threads:
        jobs = [
            threads.submit(ActivationExtractor(path, weights=weights).transform(words).pool, "last")
            for path, weights in requests * 2
        ]
        assert all(np.isfinite(job.result()).all() for job in jobs)
    assert logging.get_verbosity() == verbosity
    assert logging.is_progress_bar_enabled() is bars


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "byt5", "canine", "gpt2", "llama", "marian"])
def test_nothing_is_printed(family, tiny, words, capfd):
    path = tiny(family)
    clear_loaded_models()
    capfd.readouterr()
    long = words_frame([["dog"] * 150])  # more tokens than the limit of the tokenizer
    ActivationExtractor(path).transform(words).pool("mean")
    ActivationExtractor(path, weights="random").transform(words).pool("mean")
    ActivationExtractor(path).transform(long).pool("mean")
    with pytest.raises(ValueError):
        ActivationExtractor("no-such-model").fit(words)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_nothing_is_logged_either(tiny, words, caplog):
    clear_loaded_models()
    ActivationExtractor(tiny("bert")).transform(words).pool("mean")
    ActivationExtractor(tiny("bert")).transform(["dog " * 200]).pool("mean")
    assert caplog.records == []


@pytest.mark.slow
def test_verbose_shows_one_bar(tiny, words, capfd, tmp_path):
    for parameters in ({}, {"cache": tmp_path}):
        extractor = ActivationExtractor(tiny("bert"), verbose=1, **parameters)
        plan = extractor.transform(words)
        capfd.readouterr()
        plan.pool("mean")
        printed = capfd.readouterr()
        assert printed.out == ""
        assert "extracting" in printed.err and "100%" in printed.err
    plan.pool("mean")  # warm: no model, no bar
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_importing_the_sub_package_imports_neither_transformers_nor_torch():
    code = (
        "import sys, sklearn_neurox.extraction; "
        "print([m for m in ('torch', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert found.stdout.strip() == "[]"
