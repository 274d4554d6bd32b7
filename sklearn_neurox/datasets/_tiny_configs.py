# SPDX-License-Identifier: BSD-3-Clause
"""The families of tiny models: the configuration and the tokenizer of each.

Import this module only inside functions, because it imports transformers.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from transformers import (
    BertConfig,
    CanineConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    MarianConfig,
    ModernBertConfig,
    RobertaConfig,
    T5Config,
    XLMRobertaConfig,
)

from sklearn_neurox.datasets import _tiny_tokenizers as tokenizers


class Size(NamedTuple):
    """The size of a tiny model."""

    n_layers: int
    hidden_size: int
    n_heads: int
    max_length: int


def _config(config_class, size, tokenizer, **config):
    """Create a config from the names that transformers translates into those of the family."""
    return config_class(
        **config,
        vocab_size=len(tokenizer),
        hidden_size=size.hidden_size,
        num_hidden_layers=size.n_layers,
        num_attention_heads=size.n_heads,
        max_position_embeddings=size.max_length,
    )


def _bert(size, tokenizer, config_class=BertConfig, **config):
    # RoBERTa and XLM-RoBERTa number positions from after the padding id, which is 1.
    if config_class in (RobertaConfig, XLMRobertaConfig):
        size = size._replace(max_length=size.max_length + 2)
    width, pad = 2 * size.hidden_size, tokenizer.pad_token_id
    return _config(
        config_class, size, tokenizer, intermediate_size=width, pad_token_id=pad, **config
    )


def _distilbert(size, tokenizer):
    width, pad = 2 * size.hidden_size, tokenizer.pad_token_id
    return _config(DistilBertConfig, size, tokenizer, hidden_dim=width, pad_token_id=pad)


def _modernbert(size, tokenizer):
    return _bert(
        size,
        tokenizer,
        ModernBertConfig,
        # The windows of local attention are shorter than ordinary sentences.
        local_attention=8,
        global_attn_every_n_layers=2,
        bos_token_id=tokenizer.cls_token_id,
        cls_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        sep_token_id=tokenizer.sep_token_id,
    )


def _canine(size, tokenizer):
    return CanineConfig(
        hidden_size=size.hidden_size,
        num_hidden_layers=size.n_layers,
        num_attention_heads=size.n_heads,
        intermediate_size=2 * size.hidden_size,
        max_position_embeddings=size.max_length,
        num_hash_buckets=256,
        num_hash_functions=4,
        pad_token_id=tokenizer.pad_token_id,
    )


def _decoder(size, tokenizer, config_class=GPT2Config, **config):
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    return _config(config_class, size, tokenizer, bos_token_id=bos, eos_token_id=eos, **config)


def _llama(size, tokenizer):
    heads, width = size.n_heads, 2 * size.hidden_size
    return _decoder(
        size, tokenizer, LlamaConfig, num_key_value_heads=heads, intermediate_size=width
    )


def _byt5(size, tokenizer):
    return T5Config(
        vocab_size=len(tokenizer),
        d_model=size.hidden_size,
        d_kv=size.hidden_size // size.n_heads,
        d_ff=2 * size.hidden_size,
        num_layers=size.n_layers,
        num_heads=size.n_heads,
        feed_forward_proj="gated-gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        tokenizer_class="ByT5Tokenizer",
    )


def _marian(size, tokenizer):
    return _config(
        MarianConfig,
        size,
        tokenizer,
        decoder_layers=size.n_layers,
        decoder_attention_heads=size.n_heads,
        encoder_ffn_dim=2 * size.hidden_size,
        decoder_ffn_dim=2 * size.hidden_size,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )


# family: (function that returns the tokenizer, function that returns the config)
FAMILIES: dict[str, tuple[Callable, Callable]] = {
    "bert": (tokenizers.train_wordpiece, _bert),
    "bert-uncased": (partial(tokenizers.train_wordpiece, lowercase=True), _bert),
    "byt5": (tokenizers.make_byt5, _byt5),
    "canine": (tokenizers.make_canine, _canine),
    "distilbert": (tokenizers.train_wordpiece, _distilbert),
    "gpt2": (tokenizers.train_gpt2, _decoder),
    "llama": (tokenizers.train_llama, _llama),
    "marian": (tokenizers.train_marian, _marian),
    "modernbert": (tokenizers.train_modernbert, _modernbert),
    "roberta": (tokenizers.train_roberta, partial(_bert, config_class=RobertaConfig)),
    "xlm-roberta": (tokenizers.train_xlm_roberta, partial(_bert, config_class=XLMRobertaConfig)),
}
