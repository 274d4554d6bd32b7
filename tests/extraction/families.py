# SPDX-License-Identifier: BSD-3-Clause
"""Tiny random models of many families, and where each keeps the modules of its components."""

from functools import cache
from typing import NamedTuple

import numpy as np
import transformers
from transformers import AutoTokenizer

from sklearn_neurox.datasets._tiny_models import _random_model

WIDTH, N_BLOCKS = 16, 3


class Family(NamedTuple):
    """A configuration, a matching tokenizer, and paths within the blocks of a stack."""

    config: str
    tokenizer: str
    blocks: str
    down: str
    out: str
    embedding: str
    params: dict = {}  # noqa: RUF012
    is_pre_norm: bool = False  # and adds the output of its branches unchanged


_COMMON = {
    "hidden_size": WIDTH,
    "num_hidden_layers": N_BLOCKS,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}
_GROUPED = {**_COMMON, "num_key_value_heads": 2}
_TWO_STACKS = {
    "d_model": WIDTH,
    "encoder_layers": N_BLOCKS,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 20,
    "max_position_embeddings": 64,
}
_T5 = {
    "d_model": WIDTH,
    "d_kv": 6,
    "d_ff": 24,
    "num_layers": N_BLOCKS,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
}
_OPT = {
    "hidden_size": WIDTH,
    "word_embed_proj_dim": WIDTH,
    "num_hidden_layers": N_BLOCKS,
    "num_attention_heads": 4,
    "ffn_dim": 24,
    "max_position_embeddings": 64,
}
_OPT_PATHS = ("gpt2", "decoder.layers", "fc2", "self_attn.out_proj", "decoder.embed_tokens")
_BERT = ("encoder.layer", "output.dense", "attention.output.dense", "embeddings.word_embeddings")
_LLAMA = ("layers", "mlp.down_proj", "self_attn.o_proj", "embed_tokens")
_BART = ("layers", "fc2", "self_attn.out_proj", "embed_tokens")
_T5_PATHS = (
    "block",
    "layer.{last}.DenseReluDense.wo",
    "layer.0.SelfAttention.o",
    "embed_tokens",
)

FAMILIES = {
    "bert": Family("BertConfig", "bert", *_BERT, _COMMON),
    "roberta": Family("RobertaConfig", "roberta", *_BERT, _COMMON),
    "xlm-roberta": Family("XLMRobertaConfig", "xlm-roberta", *_BERT, _COMMON),
    "electra": Family("ElectraConfig", "bert", *_BERT, {**_COMMON, "embedding_size": 12}),
    "deberta-v2": Family(
        "DebertaV2Config",
        "bert",
        *_BERT,
        {**_COMMON, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    ),
    "distilbert": Family(
        "DistilBertConfig",
        "bert",
        "transformer.layer",
        "ffn.lin2",
        "attention.out_lin",
        "embeddings.word_embeddings",
        {"dim": WIDTH, "n_layers": N_BLOCKS, "n_heads": 4, "hidden_dim": 24},
    ),
    "modernbert": Family(
        "ModernBertConfig",
        "modernbert",
        "layers",
        "mlp.Wo",
        "attn.Wo",
        "embeddings.tok_embeddings",
        {**_COMMON, "local_attention": 8, "global_attn_every_n_layers": 2},
        is_pre_norm=True,
    ),
    "gpt2": Family(
        "GPT2Config",
        "gpt2",
        "h",
        "mlp.c_proj",
        "attn.c_proj",
        "wte",
        {"n_embd": WIDTH, "n_layer": N_BLOCKS, "n_head": 4, "n_inner": 24, "n_positions": 64},
        is_pre_norm=True,
    ),
    "gpt-neox": Family(
        "GPTNeoXConfig",
        "gpt2",
        "layers",
        "mlp.dense_4h_to_h",
        "attention.dense",
        "embed_in",
        {**_COMMON, "use_parallel_residual": True},
        is_pre_norm=True,
    ),
    "gpt-neox-serial": Family(
        "GPTNeoXConfig",
        "gpt2",
        "layers",
        "mlp.dense_4h_to_h",
        "attention.dense",
        "embed_in",
        {**_COMMON, "use_parallel_residual": False},
        is_pre_norm=True,
    ),
    "llama": Family("LlamaConfig", "llama", *_LLAMA, _GROUPED, is_pre_norm=True),
    "mistral": Family("MistralConfig", "llama", *_LLAMA, _GROUPED, is_pre_norm=True),
    "qwen2": Family("Qwen2Config", "gpt2", *_LLAMA, _GROUPED, is_pre_norm=True),
    "qwen3": Family("Qwen3Config", "gpt2", *_LLAMA, {**_GROUPED, "head_dim": 6}, is_pre_norm=True),
    "phi3": Family(
        "Phi3Config", "llama", *_LLAMA, {**_GROUPED, "pad_token_id": 0}, is_pre_norm=True
    ),
    "gemma": Family("GemmaConfig", "llama", *_LLAMA, {**_GROUPED, "head_dim": 6}, is_pre_norm=True),
    # Later Gemma models normalize the output of a branch before adding it.
    "gemma2": Family("Gemma2Config", "llama", *_LLAMA, {**_GROUPED, "head_dim": 6}),
    "gemma3": Family("Gemma3TextConfig", "llama", *_LLAMA, {**_GROUPED, "head_dim": 6}),
    "opt": Family("OPTConfig", *_OPT_PATHS, _OPT, is_pre_norm=True),
    # Like OPT-350m: narrower at both ends, with norms after the branches.
    "opt-projected": Family(
        "OPTConfig",
        *_OPT_PATHS,
        {**_OPT, "word_embed_proj_dim": 8, "do_layer_norm_before": False},
    ),
    "bloom": Family(
        "BloomConfig",
        "gpt2",
        "h",
        "mlp.dense_4h_to_h",
        "self_attention.dense",
        "word_embeddings",
        {"hidden_size": WIDTH, "n_layer": N_BLOCKS, "n_head": 4},
        is_pre_norm=True,
    ),
    "t5": Family("T5Config", "xlm-roberta", *_T5_PATHS, _T5, is_pre_norm=True),
    "mt5": Family("MT5Config", "xlm-roberta", *_T5_PATHS, _T5, is_pre_norm=True),
    "byt5": Family(
        "T5Config",
        "byt5",
        *_T5_PATHS,
        {**_T5, "feed_forward_proj": "gated-gelu"},
        is_pre_norm=True,
    ),
    "bart": Family("BartConfig", "roberta", *_BART, _TWO_STACKS),
    "mbart": Family("MBartConfig", "xlm-roberta", *_BART, _TWO_STACKS, is_pre_norm=True),
    "marian": Family("MarianConfig", "marian", *_BART, _TWO_STACKS),
}
# Models whose blocks are shared, or do not read the tokens themselves, have separate tests.
OTHERS = {
    "albert": Family("AlbertConfig", "bert", "", "", "", "", {**_COMMON, "embedding_size": 12}),
    "albert-groups": Family(
        "AlbertConfig",
        "bert",
        "",
        "",
        "",
        "",
        {**_COMMON, "embedding_size": 12, "num_hidden_groups": 2},
    ),
    "mixtral": Family("MixtralConfig", "llama", *_LLAMA, {**_GROUPED, "num_local_experts": 2}),
}
TWO_STACKS = ["t5", "mt5", "byt5", "bart", "mbart", "marian"]


def config_of(name, tokenizer):
    """Configure a family for a tokenizer."""
    family = {**FAMILIES, **OTHERS}[name]
    special = {
        "pad_token_id": tokenizer.pad_token_id or 0,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if name == "modernbert":
        special |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    if name in ("bart", "marian"):
        special["decoder_start_token_id"] = {"bart": 2, "marian": tokenizer.pad_token_id}[name]
    params = {**special, **family.params, "vocab_size": len(tokenizer)}
    return getattr(transformers, family.config)(**params)


@cache
def load(name, tokenizer_path):
    """Build a model of a family once, with every parameter drawn at random."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    model = _random_model(config_of(name, tokenizer), np.random.RandomState(0))
    return model, tokenizer


def paths_of(name, base):
    """List the paths of the down and output projections of every block of a stack."""
    family = FAMILIES[name]
    blocks = base.get_submodule(family.blocks)
    last = len(blocks[0].layer) - 1 if "{last}" in family.down else None
    down, out = family.down.format(last=last), family.out
    each = [f"{family.blocks}.{block}" for block in range(len(blocks))]
    return [f"{block}.{down}" for block in each], [f"{block}.{out}" for block in each]
