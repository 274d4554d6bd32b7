# SPDX-License-Identifier: BSD-3-Clause
"""The user's `torch.set_default_device` and `torch.set_default_dtype` change no result.

The default device of these tests is "meta", whose tensors have no numbers: any tensor that is made
without a device makes a computation fail, as it does on machines whose default device is a GPU.
"""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.ablation import ablate_model, causal_effect
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import (
    ActivationExtractor,
    SparseAutoencoderEncoder,
    SubwordAggregator,
)
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    LowRankProbeClassifier,
    StructuralProbe,
)
from sklearn_neurox.probes.solvers._host_feed import HostFeed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
WORDS = make_tagged_words(8, random_state=0)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def check_unchanged(compute):
    """Check that a function returns the same numbers with other defaults."""
    expected = compute()
    for defaults in (torch.device("meta"), default_dtype(torch.float64)):
        with defaults:
            found = compute()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_probes():
    rng = np.random.RandomState(0)
    X = rng.randn(300, 12).astype(np.float32)
    target = 2 * X[:, 0] + rng.randn(300)
    label = (target > 0).astype(int)
    seeded = {"random_state": 0, "device": "cpu"}

    def coef(probe, X=X, y=label):
        return probe.set_params(device="cpu").fit(X, y).coef_

    for compute in (
        lambda: coef(ElasticNetProbeClassifier(0.01, solver="saga", random_state=0)),
        lambda: coef(ElasticNetProbeClassifier(0.01, random_state=0), X.astype(np.float16)),
        lambda: coef(ElasticNetProbeClassifier(0.01, solver="fista"), csr_matrix(X)),
        lambda: ElasticNetProbeClassifier(0.01, **seeded).partial_fit(X, label, [0, 1]).coef_,
        lambda: coef(ElasticNetProbeRegressor(0.01, random_state=0), y=target),
        lambda: coef(ElasticNetProbeRegressorCV(alphas=2, cv=2, random_state=0), y=target),
        lambda: coef(LowRankProbeClassifier(0.01)),
        lambda: StructuralProbe(2, device="cpu").fit(X, np.abs(target)).components_,
        lambda: np.concatenate(
            [part.numpy() for part in HostFeed(X, torch.device("cpu")).visit([slice(0, 99)])]
        ),
    ):
        check_unchanged(compute)


class Sae:
    """An autoencoder with constant weights."""

    weight = torch.linspace(-1, 1, 320).reshape(16, 20).sin()

    def encode(self, states):
        return torch.relu(states @ self.weight)


def test_models(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny("gpt2"))
    live = AutoModelForCausalLM.from_pretrained(tiny("gpt2")).eval()
    neurons = ["hidden.1.3", "mlp.1.4"]
    read = ActivationExtractor(live, tokenizer=tokenizer)

    def matrix(model=live, **options):
        own = tokenizer if model is live else None
        activations = ActivationExtractor(model, tokenizer=own, **options).transform(WORDS)
        return SubwordAggregator().fit_transform(activations)

    def codes():
        activations = ActivationExtractor(live, tokenizer=tokenizer, layers=[1]).transform(WORDS)
        encoded = SparseAutoencoderEncoder(Sae(), device="cpu").fit_transform(activations)
        return SubwordAggregator().fit_transform(encoded).toarray()

    def ablated(model=live, **options):
        ids = torch.tensor([tokenizer(WORDS["text"][0])["input_ids"]], device="cpu")
        mask = torch.ones_like(ids)
        with torch.no_grad(), ablate_model(model, neurons, **options):
            return live(input_ids=ids, attention_mask=mask).logits.numpy()

    def effects():
        chosen = (WORDS["upos"] == "NOUN").to_numpy()
        options = {"random_state": 0, "device": "cpu"}
        table = causal_effect(tiny("gpt2"), WORDS, chosen, neurons, **options)
        return table.select_dtypes("number").to_numpy()

    for compute in (
        matrix,
        lambda: matrix(tiny("bert"), device="cpu"),
        lambda: matrix(tiny("bert"), weights="random", device="cpu"),
        codes,
        ablated,
        lambda: ablated(read, positions=WORDS.head(2)),
        effects,
    ):
        check_unchanged(compute)


def test_models_that_are_made_have_the_same_weights(tmp_path):
    def weights(number):
        path = make_tiny_model("gpt2", path=tmp_path / number, random_state=0)
        return AutoModel.from_pretrained(path).wte.weight.detach().numpy()

    expected = weights("first")
    with torch.device("meta"):
        path = make_tiny_model("gpt2", path=tmp_path / "second", random_state=0)
    second = AutoModel.from_pretrained(path).wte.weight.detach().numpy()
    np.testing.assert_array_equal(second, expected)
    with default_dtype(torch.float64):
        np.testing.assert_array_equal(weights("third"), expected)
