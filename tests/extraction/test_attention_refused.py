# SPDX-License-Identifier: BSD-3-Clause
"""Models whose attention has no weight from each token to each token, or keeps none."""

import pytest
import torch
from transformers import AttentionInterface, AutoModel, AutoTokenizer
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.words import pair_frame
from tests.extraction._model.architectures import build, draw_ids
from tests.extraction._model.test_architectures import extractor_of, frame_of

NO_WEIGHTS = "it returns no attention weights: it has no attention, or does not keep its weights"
IN_BLOCKS = "it attends in blocks of padded texts"
ODD_SHAPE = r"its attention of shape \(.*\) has no weight from each token to each token"
NOT_FOUND = "no module in it returns the attention weights that it outputs"
WORDS = frame_of(draw_ids((5, 9)))
PAIRS = pair_frame(WORDS, rows=([0, 7], [3, 12]))


def _check_refused(model, why, stack=None, component="attention_weights"):
    rows = WORDS if component == "attention_summary" else PAIRS
    message = (
        f"ActivationExtractor cannot read component='{component}' of .*: {why}.*"
        "Read other components, such as 'hidden'"
    )
    with pytest.raises(ValueError, match=message):
        extractor_of(model, component, stack).transform(rows)


@pytest.mark.slow
def test_attention_that_is_not_from_each_token_to_each_token():
    for name, why, params in (
        ("longformer", IN_BLOCKS, {"attention_window": 4}),
        ("big_bird", IN_BLOCKS, {}),
        ("reformer", IN_BLOCKS, {}),
        ("canine", ODD_SHAPE, {}),
        ("yoso", ODD_SHAPE, {}),
        ("xlnet", NOT_FOUND, {}),
        ("mamba", NO_WEIGHTS, {}),
        ("rwkv", ODD_SHAPE, {}),
        ("fnet", NO_WEIGHTS, {}),
    ):
        model = build(name, **params)
        _check_refused(model, why)
        _check_refused(model, why, component="attention_summary")
    for name, why in (
        ("led", IN_BLOCKS),
        ("longt5", ODD_SHAPE),
    ):
        _check_refused(build(name), why, "encoder")


def _fused(module, query, key, value, attention_mask, **_):
    """Attend without keeping the weights, as flash attention does."""
    output = torch.nn.functional.scaled_dot_product_attention(query, key, value, attention_mask)
    return output.transpose(1, 2).contiguous(), None


@pytest.mark.slow
def test_fused_attention_is_replaced_in_the_meantime_or_refused(tiny, monkeypatch):
    AttentionInterface.register("fused_for_a_test", _fused)
    ALL_MASK_ATTENTION_FUNCTIONS.register("fused_for_a_test", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    fused = AutoModel.from_pretrained(tiny("bert"), attn_implementation="fused_for_a_test")
    eager = AutoModel.from_pretrained(tiny("bert"), attn_implementation="eager")

    def read(model):
        options = {"component": "attention_weights", "tokenizer": tokenizer}
        plan = ActivationExtractor(model, **options).transform(PAIRS)
        return SubwordAggregator().fit_transform(plan)

    assert (read(fused) == read(eager)).all()
    assert fused.config._attn_implementation == "fused_for_a_test"
    # A model that knows no other attention.
    only_fused = AutoModel.from_pretrained(tiny("bert"), attn_implementation="fused_for_a_test")

    def refuse(*_):
        raise ValueError("this model only supports flash attention")

    monkeypatch.setattr(type(only_fused), "set_attn_implementation", refuse)
    with pytest.raises(ValueError, match=f"component='attention_weights' of .*{NO_WEIGHTS}"):
        read(only_fused)
    assert only_fused.config._attn_implementation == "fused_for_a_test"
