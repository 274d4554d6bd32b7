# SPDX-License-Identifier: BSD-3-Clause
"""Live models: shared by clones, left out of pickles, and returned unchanged."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


def test_a_live_model_is_shared_by_clones(live, words):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1])
    copy = clone(make_pipeline(extractor, SubwordAggregator("mean")))
    assert copy[0].model is model and copy[0].tokenizer is tokenizer
    assert copy[0] is not extractor and copy[0].layers == [1]
    layers = extractor.layers
    assert clone(extractor).layers is not layers  # other parameters are copied as usual
    named = ActivationExtractor(model.name_or_path, layers=[1], device="cpu")
    expected = named.transform(words).pool("mean")
    np.testing.assert_array_equal(copy.fit_transform(words), expected)


def test_a_live_model_knows_its_tokenizer(live, words):
    model, tokenizer = live("gpt2")
    expected = ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("last")
    np.testing.assert_array_equal(
        ActivationExtractor(model).transform(words).pool("last"), expected
    )


def test_a_live_model_without_a_folder_needs_a_tokenizer(live, words):
    from transformers import BertModel

    model, tokenizer = live("bert")
    nameless = BertModel(model.config.__class__(**{**model.config.to_dict(), "_name_or_path": ""}))
    with pytest.raises(ValueError, match="tokenizer="):
        ActivationExtractor(nameless).transform(words)
    assert ActivationExtractor(nameless, tokenizer=tokenizer).transform(words).shape == (37,)


@pytest.mark.slow
def test_a_pickle_leaves_the_live_model_behind_and_says_so(live, words):
    model, tokenizer = live("bert")
    pipeline = make_pipeline(
        ActivationExtractor(model, tokenizer=tokenizer),
        SubwordAggregator(),
        LogisticRegression(max_iter=500),
    )
    pipeline.fit(words, words["tag"])
    with pytest.warns(UserWarning, match="leaves out <a live BertModel>"):
        stored = pickle.dumps(pipeline)
    assert len(stored) < 30_000
    restored = pickle.loads(stored)
    assert pipeline[0].model is model  # pickling changed nothing
    with pytest.raises(ValueError, match=r"live BertModel.*pickles leave out.*path"):
        restored.predict(words)
    assert "BertModel" in repr(restored[0])
    restored.set_params(activationextractor__model=model, activationextractor__tokenizer=tokenizer)
    np.testing.assert_array_equal(restored.predict(words), pipeline.predict(words))


def test_a_pickled_plan_of_a_live_model_says_what_is_missing(live, words):
    model, tokenizer = live("bert")
    plan = ActivationExtractor(model, tokenizer=tokenizer).transform(words)
    restored = pickle.loads(pickle.dumps(plan))
    assert restored.shape == plan.shape
    with pytest.raises(ValueError, match="pickles leave"):
        restored.pool("last")


def test_the_training_mode_of_a_live_model_is_put_back(live, words):
    model, tokenizer = live("bert")
    model.train()
    model.encoder.layer[1].eval()
    modes = [module.training for module in model.modules()]
    gradients = [p.requires_grad for p in model.parameters()]
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    H = extractor.transform(words).pool("last")
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == gradients
    # There was no dropout during the run.
    named = ActivationExtractor(model.name_or_path, device="cpu")
    expected = named.transform(words).pool("last")
    np.testing.assert_array_equal(H, expected)


def test_the_repr_of_a_live_model_is_short(live):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1, 2])
    shown = repr(extractor)
    assert "<a live BertModel>" in shown and "<a live BertTokenizer>" in shown
    assert len(shown) < 120
    pipeline = repr(make_pipeline(extractor, SubwordAggregator()))
    assert "<a live BertModel>" in pipeline and len(pipeline) < 300
    assert "LayerNorm" not in extractor._repr_html_()
    assert extractor.model is model and extractor.tokenizer is tokenizer
    # Printed like any other estimator, including line breaks.
    named = ActivationExtractor("a/model", layers=list(range(9)), cache="a/folder", stack="encoder")
    assert max(map(len, repr(named).splitlines())) < 80
    assert repr(clone(named)) == repr(named)


def test_a_live_model_is_read_as_it_is_now(live, words):
    import torch

    model, tokenizer = live("bert")
    plan = ActivationExtractor(model, tokenizer=tokenizer).transform(words)
    before = plan.pool("last")
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(2)
    assert np.abs(plan.pool("last") - before).max() > 1e-3


def test_a_live_model_is_never_silently_the_untrained_one(live, words):
    model, tokenizer = live("bert")
    with pytest.raises(ValueError, match=r"weights='random' builds a model from its config"):
        ActivationExtractor(model, tokenizer=tokenizer, weights="random").transform(words)


def test_a_config_that_says_minus_one_for_no_limit(live):
    import torch
    from transformers import XLNetConfig, XLNetModel

    _, tokenizer = live("xlm-roberta")
    config = XLNetConfig(vocab_size=len(tokenizer), d_model=16, n_layer=2, n_head=2, d_inner=32)
    with torch.random.fork_rng():
        model = XLNetModel(config).eval()
    H = ActivationExtractor(model, tokenizer=tokenizer).transform(["The old dog"]).pool("mean")
    with torch.no_grad():
        ids = torch.tensor([tokenizer("The old dog")["input_ids"]])
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    expected = torch.cat([state[:, 1:-1].mean(dim=1) for state in states], dim=1)
    np.testing.assert_allclose(H, expected.numpy(), atol=1e-6)


def test_a_decoder_in_a_wrapper_that_only_passes_on_what_it_is_given(live):
    import torch
    from transformers import BartConfig, BartForCausalLM

    _, tokenizer = live("roberta")
    sizes = {"decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 8}
    config = BartConfig(vocab_size=len(tokenizer), d_model=16, encoder_layers=2, **sizes)
    with torch.random.fork_rng():
        model = BartForCausalLM(config).eval()
    texts = ["The old dog", "A light rain that she saw"]  # one of them is padded
    H = ActivationExtractor(model, tokenizer=tokenizer).transform(texts).pool("mean")
    for row, text in zip(H, texts, strict=True):
        with torch.no_grad():
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            states = model(input_ids=ids, output_hidden_states=True).hidden_states
        expected = torch.cat([state[0, 1:-1].mean(dim=0) for state in states])
        np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "llama", "marian"])
def test_a_config_that_asks_for_tuples(family, live, words):
    model, tokenizer = live(family)
    stack = {"stack": "both"} if family == "marian" else {}
    extractor = ActivationExtractor(model, tokenizer=tokenizer, **stack)
    expected = extractor.transform(words).pool("last")
    other, _ = live(family)
    for module in other.modules():
        if hasattr(module, "config"):
            module.config.return_dict = False
    extractor = ActivationExtractor(other, tokenizer=tokenizer, **stack)
    np.testing.assert_array_equal(extractor.transform(words).pool("last"), expected)


@pytest.mark.slow
def test_an_adapter_that_is_switched_off_is_another_model(live, words, tmp_path):
    """For example, peft layers keep their parameters when they are switched off."""
    import torch

    class Adapted(torch.nn.Linear):
        disable_adapters = False

        def forward(self, state):
            return super().forward(state) * (1.0 if self.disable_adapters else 2.0)

    model, tokenizer = live("bert")
    plain = model.encoder.layer[0].output.dense
    layer = Adapted(plain.in_features, plain.out_features)
    layer.load_state_dict(plain.state_dict())
    model.encoder.layer[0].output.dense = layer
    kept = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path)
    fresh = ActivationExtractor(model, tokenizer=tokenizer)
    for switched in (False, True, False):
        layer.disable_adapters = switched
        np.testing.assert_array_equal(
            kept.transform(words).pool("last"), fresh.transform(words).pool("last")
        )
    assert len({path.parent for path in tmp_path.rglob("*.safetensors")}) == 2
