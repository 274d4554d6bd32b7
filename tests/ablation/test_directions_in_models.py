# SPDX-License-Identifier: BSD-3-Clause
"""Directions and erasers inside a model: equal to formulas by hand, with their identities."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.ablation import ConceptEraser, ablate_model
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.probes import MeanDifferenceProbeClassifier
from tests.ablation.hooks import Hooked, everywhere

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

NAMES = [f"hidden.1.{unit}" for unit in range(16)]
RNG = np.random.default_rng(0)
ONE = RNG.normal(size=16)
TWO = np.vstack([ONE, ONE + RNG.normal(size=16)])


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = make_tiny_model(
        "gpt2", path=tmp_path_factory.mktemp("gpt2"), hidden_size=16, n_heads=2
    )
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def data(loaded):
    model, tokenizer = loaded
    words = make_tagged_words(60, random_state=0)
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1])
    H = SubwordAggregator("last").fit_transform(extractor.transform(words))
    H = pd.DataFrame(H, columns=extractor.get_feature_names_out())
    return words, H, words["upos"].to_numpy(dtype=str), extractor


def ids_of(tokenizer):
    return tokenizer("The old dog barked loudly .", return_tensors="pt")


def by_hand(model, tokenizer, change):
    with torch.no_grad(), Hooked(model.transformer.h[0], "output", change, everywhere).applied():
        return model(**ids_of(tokenizer)).logits


def ours(model, tokenizer, what, **options):
    with torch.no_grad(), ablate_model(model, what, **options):
        return model(**ids_of(tokenizer)).logits


def frame(matrix):
    return pd.DataFrame(np.atleast_2d(matrix), columns=NAMES)


@pytest.mark.slow
def test_fills_along_one_direction_equal_formulas_by_hand(loaded):
    model, tokenizer = loaded
    unit = torch.tensor(ONE / np.linalg.norm(ONE), dtype=torch.float32)
    raw = torch.tensor(ONE, dtype=torch.float32)
    means = pd.Series(RNG.normal(size=16), index=NAMES)
    mean = float(means.to_numpy() @ (ONE / np.linalg.norm(ONE)))

    def setting(value):
        return lambda h: h - (h @ unit)[:, None] * unit + value * unit

    for options, change in (
        ({}, setting(0.0)),
        ({"fill": "zero"}, setting(0.0)),
        ({"fill": 2.5}, setting(2.5)),
        ({"fill": "mean", "values": means}, setting(mean)),
        ({"fill": "mean", "values": mean}, setting(mean)),
        ({"fill": "scale", "values": 3.0}, lambda h: h + 2 * (h @ unit)[:, None] * unit),
        ({"fill": "translate"}, lambda h: h + raw),
        ({"fill": "translate", "step": -0.5}, lambda h: h - 0.5 * raw),
    ):
        expected = by_hand(model, tokenizer, change)
        for what in (frame(ONE), pd.Series(ONE, index=NAMES), frame(ONE)[NAMES[::-1]]):
            found = ours(model, tokenizer, what, **options)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, msg=str(options))


def test_projecting_out_equals_a_hook_by_hand(loaded):
    model, tokenizer = loaded
    unit = torch.tensor(ONE / np.linalg.norm(ONE), dtype=torch.float32)
    expected = by_hand(model, tokenizer, lambda h: h - (h @ unit)[:, None] * unit)
    found = ours(model, tokenizer, frame(ONE))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_several_directions_are_removed_together(loaded):
    model, tokenizer = loaded
    q = torch.linalg.qr(torch.tensor(TWO.T, dtype=torch.float32))[0]
    expected = by_hand(model, tokenizer, lambda h: h - h @ q @ q.T)
    # The third depends on the others, as the coefficients of all classes of a probe do.
    for matrix in (TWO, np.vstack([TWO, TWO.sum(axis=0)])):
        found = ours(model, tokenizer, frame(matrix))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    unit = TWO / np.linalg.norm(TWO, axis=1, keepdims=True)
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1])
    with ablate_model(model, frame(TWO), fill="mean", values=[1.0, -2.0]):
        H = extractor.transform(["The old dog"]).pool("last")
    np.testing.assert_allclose(unit @ H[0], [1.0, -2.0], atol=1e-5)


@pytest.mark.slow
def test_identities(loaded):
    model, tokenizer = loaded
    once = ours(model, tokenizer, frame(TWO))
    with ablate_model(model, frame(TWO)):
        twice = ours(model, tokenizer, frame(TWO))
    torch.testing.assert_close(twice, once, atol=1e-5, rtol=1e-5)
    plain = by_hand(model, tokenizer, lambda h: h)
    with ablate_model(model, frame(ONE), fill="translate"):
        back = ours(model, tokenizer, frame(-ONE), fill="translate")
    torch.testing.assert_close(back, plain, atol=1e-5, rtol=1e-5)
    with ablate_model(model, ["attention.2.h0", "attention.2.h1"]):
        with torch.no_grad():
            heads = model(**ids_of(tokenizer)).logits
    out = model.transformer.h[1].attn.c_proj
    with Hooked(out, "input", torch.zeros_like, everywhere).applied(), torch.no_grad():
        expected = model(**ids_of(tokenizer)).logits
    assert torch.equal(heads, expected)
    # One axis as a direction is one neuron.
    axis = frame(np.eye(16)[3])
    found, neuron = ours(model, tokenizer, axis), ours(model, tokenizer, ["hidden.1.3"])
    torch.testing.assert_close(found, neuron, atol=1e-6, rtol=1e-6)


@pytest.mark.slow
def test_a_probe_is_its_coefficients(loaded, data):
    model, tokenizer = loaded
    _, H, y, _ = data
    for probe in (
        MeanDifferenceProbeClassifier().fit(H, y == "NOUN"),
        LogisticRegression(max_iter=5000).fit(H, y),
    ):
        expected = ours(model, tokenizer, frame(probe.coef_))
        assert torch.equal(ours(model, tokenizer, probe), expected)


@pytest.mark.parametrize("method", ["leace", "mean", "inlp", "random"])
def test_erasing_in_the_model_is_erasing_in_the_matrix(loaded, data, method):
    model, _ = loaded
    words, H, y, extractor = data
    eraser = ConceptEraser(method, random_state=0, n_directions=2 if method == "inlp" else None)
    eraser.fit(H, y == "NOUN" if method == "inlp" else y)
    with ablate_model(extractor, eraser):
        erased = SubwordAggregator("last").fit_transform(extractor.transform(words))
    np.testing.assert_allclose(erased, eraser.transform(H), atol=1e-5)
    if method == "leace":
        refitted = MeanDifferenceProbeClassifier().fit(erased, y)
        assert abs(refitted.coef_).max() < 1e-4
    with ablate_model(extractor, eraser), ablate_model(extractor, eraser):
        again = SubwordAggregator("last").fit_transform(extractor.transform(words))
    np.testing.assert_allclose(again, erased, atol=1e-5)


def test_an_eraser_of_one_layer_fits_that_layer_alone(loaded, data):
    model, tokenizer = loaded
    words, _, y, _ = data
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1, 2])
    both = SubwordAggregator("last").set_output(transform="pandas")
    H = both.fit_transform(extractor.transform(words))
    with pytest.raises(ValueError, match="spans 2 blocks, 'hidden.1' to 'hidden.2'.*one probe or"):
        ablate_model(model, ConceptEraser().fit(H, y))
    # A map of each layer by itself may stand in one frame.
    each = pd.DataFrame(np.zeros((2, 32)), columns=H.columns, index=["a", "b"])
    each.iloc[0, :16], each.iloc[1, 16:] = ONE, TWO[1]
    with ablate_model(model, each):
        found = extractor.transform(words).pool("last")
    np.testing.assert_allclose(found[:, :16] @ ONE, 0, atol=1e-4)
    np.testing.assert_allclose(found[:, 16:] @ TWO[1], 0, atol=1e-4)


def test_half_precision_is_rounded_once(loaded):
    model, tokenizer = loaded
    unit = torch.tensor(ONE / np.linalg.norm(ONE), dtype=torch.float32)

    def change(h):
        h32 = h.float()
        return (h32 - (h32 @ unit)[:, None] * unit).to(h.dtype)

    try:
        model.to(torch.bfloat16)
        expected, found = by_hand(model, tokenizer, change), ours(model, tokenizer, frame(ONE))
    finally:
        model.float()
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=2e-2)


def test_a_direction_that_half_precision_cannot_hold(loaded):
    model, tokenizer = loaded
    try:
        model.half()
        with pytest.raises(OverflowError, match="'hidden.1'"):
            ours(model, tokenizer, frame(1e6 * ONE), fill="translate")
        big = 4e4 * np.sign(ONE)
        with ablate_model(model, frame(big), fill="translate"):
            with pytest.raises(OverflowError, match="moved to where float16"):
                ours(model, tokenizer, frame(big), fill="translate")
    finally:
        model.float()


def test_gradients_flow_through_directions(loaded):
    model, tokenizer = loaded
    with ablate_model(model, frame(ONE)):
        with torch.inference_mode():
            model(**ids_of(tokenizer))
        model(**ids_of(tokenizer)).logits.sum().backward()
    assert model.transformer.wte.weight.grad.isfinite().all()
    model.zero_grad()


@pytest.mark.slow
def test_wrong_directions(loaded, data):
    model, _ = loaded
    _, H, y, _ = data
    scaler = StandardScaler().set_output(transform="pandas")
    scaled = ConceptEraser().fit(scaler.fit_transform(H), y)
    eraser = ConceptEraser().fit(H, y)
    for what, options, message in (
        (frame(ONE).iloc[:, :12], {}, "over 12 neurons, but block hidden.1 has 16; it lacks"),
        (
            pd.Series(1.0, index=[f"hidden.1.{unit}" for unit in range(20)]),
            {},
            r"'hidden.1.16' \(4 in total\), but 'hidden.1' has the 16 neurons",
        ),
        (pd.Series(1.0, index=[f"hidden.7.{u}" for u in range(16)]), {}, r"layers \[0, 1, 2\]"),
        (pd.Series(1.0, index=[f"x{u}" for u in range(16)]), {}, "not the name of a neuron"),
        (scaled, {}, "was fitted on standardized columns"),
        (ConceptEraser("mean").fit(scaler.transform(H), y), {}, "fitted on standardized columns"),
        (ConceptEraser().fit(H.to_numpy(), y), {}, "fitted on columns without names"),
        (ConceptEraser(), {}, "is not fitted"),
        (make_pipeline(StandardScaler(), ConceptEraser()).fit(H, y), {}, "is a Pipeline"),
        (eraser, {"fill": "mean", "values": H.mean()}, "is an eraser, which knows"),
        (eraser, {"fill": "translate"}, "is an eraser, which knows"),
        (eraser, {"values": 1.0}, "is an eraser, which knows"),
        (frame(ONE), {"fill": "mean"}, "is None, but fill='mean' needs the mean"),
        (frame(ONE), {"fill": "scale"}, "is None, but fill='scale' needs a factor"),
        (frame(ONE), {"values": 1.0}, "fill='zero' needs no values"),
        (frame(ONE), {"fill": "translate", "values": 1.0}, "adds 'step' times the direction"),
        (frame(ONE), {"fill": "translate", "step": [1, 2]}, r"'step' .* 1 directions. Got shape"),
        (frame(ONE), {"fill": "mean", "values": [np.nan]}, "is nan for 0"),
        (frame(ONE), {"fill": "mean", "values": H.mean()[:5]}, "must have each neuron"),
        (frame(np.vstack([TWO, TWO.sum(axis=0)])), {"fill": 3.0}, "depend on each other"),
        (ONE, {}, "holds numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            ablate_model(model, what, **options)


@pytest.mark.slow
def test_a_real_decoder(decoder):
    model = AutoModelForCausalLM.from_pretrained(decoder, dtype=torch.float32).eval()
    inputs = AutoTokenizer.from_pretrained(decoder)("The old dog barked.", return_tensors="pt")
    vector = RNG.normal(size=576)
    unit = torch.tensor(vector / np.linalg.norm(vector), dtype=torch.float32)

    def change(h):
        return h - (h @ unit)[:, None] * unit

    with torch.no_grad():
        with Hooked(model.model.layers[14], "output", change, everywhere).applied():
            expected = model(**inputs).logits
        names = [f"hidden.15.{u}" for u in range(576)]
        with ablate_model(model, pd.Series(vector, index=names)):
            found = model(**inputs).logits
    # Logits of size 20 in float32; the sink has a norm of 23,000 there.
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*attention sink:UserWarning")
def test_erasing_in_a_real_decoder(decoder):
    words = make_tagged_words(25, random_state=0)
    extractor = ActivationExtractor(decoder, layers=[15])
    aggregator = SubwordAggregator("last").set_output(transform="pandas")
    H = aggregator.fit_transform(extractor.transform(words))
    eraser = ConceptEraser().fit(H, words["upos"])
    with ablate_model(extractor, eraser):
        erased = aggregator.fit_transform(extractor.transform(words))
    expected = eraser.transform(H)
    # First words are sinks: each row is compared with its own size.
    error = np.linalg.norm(erased - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-5
    assert abs(MeanDifferenceProbeClassifier().fit(erased, words["upos"]).coef_).max() < 1e-2
