# SPDX-License-Identifier: BSD-3-Clause
"""`torch.autocast` of the calling thread changes nothing, in whatever thread or process."""

from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.ablation import ablate_model, causal_effect
from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.extraction._sae._encoder import TokenEncoder
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    LowRankProbeClassifier,
    StructuralProbe,
)

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")
WORDS = make_tagged_words(12, random_state=0)
ROUGH = {"device_type": "cpu", "dtype": torch.bfloat16}


def own_states(model, tokenizer, text):
    """Return the mean over the tokens of each layer, as the model computes it."""
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    return np.concatenate([state[0, 1:-1].mean(dim=0).numpy() for state in states])


@pytest.mark.slow
def test_models_are_read_without_it_on_every_path(tiny, tmp_path):
    model = AutoModel.from_pretrained(tiny("bert")).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    texts = ["The old dog barked loudly .", "A light rain"]
    expected = np.stack([own_states(model, tokenizer, text) for text in texts])
    options = {"tokenizer": tokenizer}
    for cache in (None, tmp_path):
        read = ActivationExtractor(model, **options, cache=cache)
        plan = read.transform(texts)
        with torch.autocast(**ROUGH):
            rough = own_states(model, tokenizer, texts[0])
            with pytest.warns(UserWarning, match="Autocast is on, but .* is read without it"):
                inside = ActivationExtractor(model, **options, cache=cache).transform(texts)
                pooled = inside.pool("mean")
            np.testing.assert_allclose(pooled, expected, atol=1e-5)
            with ThreadPoolExecutor(1) as thread:
                other = thread.submit(plan.pool, "mean").result()
            assert torch.is_autocast_enabled("cpu")
        np.testing.assert_array_equal(other, pooled)
    assert np.abs(rough - expected[0]).max() > 1e-3
    with torch.autocast(**ROUGH), pytest.warns(UserWarning, match="Autocast is on"):
        assert read.fill_cache(["Another text ."]) == 1
    another = own_states(model, tokenizer, "Another text .")
    np.testing.assert_allclose(
        read.transform(["Another text ."]).pool("mean")[0], another, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_folds_in_threads_agree_with_folds_in_turn(tiny):
    pipeline = make_pipeline(
        ActivationExtractor(tiny("bert")), SubwordAggregator(), ElasticNetProbeRegressor(0.01)
    )
    target, options = WORDS["word"].str.len(), {"groups": WORDS["text"], "cv": 2}
    expected = cross_val_predict(pipeline, WORDS, target, **options)
    with torch.autocast(**ROUGH):
        serial = cross_val_predict(pipeline, WORDS, target, **options)
        with joblib.parallel_config(backend="threading"):
            threads = cross_val_predict(pipeline, WORDS, target, n_jobs=2, **options)
    np.testing.assert_allclose(serial, expected, atol=1e-4)
    np.testing.assert_allclose(threads, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_effects_are_measured_without_it(tiny):
    rows = WORDS.head(20)
    arguments = (tiny("gpt2"), rows, np.arange(20) < 10, ["hidden.1.0"])
    expected = causal_effect(*arguments)
    with torch.autocast(**ROUGH):
        found = causal_effect(*arguments)
    numbers = expected.select_dtypes("number")
    np.testing.assert_allclose(found[numbers.columns], numbers, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_direction_is_removed_in_full_even_if_the_model_runs_with_it(tiny):
    model = AutoModelForCausalLM.from_pretrained(tiny("gpt2")).eval()
    names = [f"hidden.1.{unit}" for unit in range(model.config.n_embd)]
    direction = np.random.RandomState(0).randn(len(names))
    direction /= np.linalg.norm(direction)
    states = []
    # Called before the block that reads the states of the layer.
    watch = model.transformer.h[1].register_forward_pre_hook(
        lambda _, arguments: states.append(arguments[0].double().numpy())
    )
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad(), torch.autocast(**ROUGH):
        model(ids)
        with ablate_model(model, pd.DataFrame([direction], columns=names)):
            model(ids)
    watch.remove()
    before, after = (np.abs(state @ direction).max() for state in (states[0], states[-1]))
    assert before > 0.1 and after < 1e-6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_probes_and_encoders_compute_without_it():
    rng = np.random.RandomState(0)
    X = rng.randn(200, 20).astype(np.float32)
    target = 2 * X[:, 0] + rng.randn(200) / 10
    label = (target > 0).astype(int)
    for probe, y in (
        (ElasticNetProbeClassifier(0.01), label),
        (ElasticNetProbeClassifierCV(alphas=2, cv=2), label),
        (ElasticNetProbeRegressor(0.01), target),
        (ElasticNetProbeRegressor(0.01, 0.0, standardize=True), target),
        (ElasticNetProbeRegressorCV(alphas=2, cv=2), target),
        (LowRankProbeClassifier(0.01), label),
        (StructuralProbe(2), np.abs(target)),
    ):
        # In another order of the rows, rounding may decide whether one more step is needed.
        if "random_state" in probe.get_params():
            probe.set_params(random_state=0)
        name = "components_" if isinstance(probe, StructuralProbe) else "coef_"
        expected = getattr(probe.fit(X, y), name).copy()
        with torch.autocast(**ROUGH):
            found = getattr(probe.fit(X, y), name)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for probe, y in (
        (ElasticNetProbeClassifier(0.01, random_state=0), label),
        (ElasticNetProbeRegressor(0.01, random_state=0), target),
    ):
        options = {"classes": [0, 1]} if y is label else {}
        expected = probe.partial_fit(X, y, **options).coef_.copy()
        with torch.autocast(**ROUGH):
            found = type(probe)(0.01, random_state=0).partial_fit(X, y, **options).coef_
        np.testing.assert_allclose(found, expected, atol=1e-5)
    weight = torch.from_numpy(rng.randn(20, 30).astype(np.float32))
    encoder = TokenEncoder(lambda states: torch.relu(states @ weight), 30, torch.device("cpu"))
    expected = np.maximum(X.astype(np.float64) @ weight.double().numpy(), 0)
    with torch.autocast(**ROUGH):
        token, feature, values = encoder.nonzero(X)
    np.testing.assert_allclose(values, expected[token, feature], atol=1e-4)
