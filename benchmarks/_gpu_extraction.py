# SPDX-License-Identifier: BSD-3-Clause
"""Extraction from random decoders against their bare forward pass on the same batches."""

import warnings

import numpy as np
import torch
import transformers

from benchmarks._extraction import _bare_inputs
from benchmarks._gpu_timing import best_seconds
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.words import words_frame

# Layers, width, width of the MLP, heads, heads of keys and values.
_MODELS = {"135M": (30, 576, 1536, 9, 3), "1B": (16, 2048, 8192, 32, 8)}
_SMALL = {"small": (3, 64, 128, 4, 2)}
# Sentences per text: the texts of a corpus are longer than generated sentences.
_SENTENCES = 12


def extraction_rows(rows, device, quick):
    """Time all layers and one layer, in float32 and bfloat16."""
    words = _long_texts(40 if quick else 1500)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        make_tiny_model("llama", corpus=words["text"].unique()[:200], max_length=2048)
    )
    for name, sizes in (_SMALL if quick else _MODELS).items():
        for dtype in (torch.float32, torch.bfloat16):
            model = _decoder(sizes, len(tokenizer), device, dtype)
            for layers in (None, [sizes[0] // 2]):
                _compare(rows, name, model, tokenizer, words, layers, device)
            del model
            if device.type == "cuda":
                torch.cuda.empty_cache()


def _long_texts(n_sentences):
    """Join generated sentences into texts of about a hundred words."""
    words = make_tagged_words(n_sentences, random_state=0)
    number = words["sentence_id"].factorize()[0] // _SENTENCES
    texts = [group["word"].tolist() for _, group in words.groupby(number)]
    return words_frame(texts)


def _decoder(sizes, vocab_size, device, dtype):
    n_layers, width, mlp, heads, kv_heads = sizes
    config = transformers.LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=n_layers,
        intermediate_size=mlp,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=2048,
    )
    with torch.device(device):
        return transformers.LlamaModel(config).to(dtype).eval()


def _compare(rows, name, model, tokenizer, words, layers, device):
    """Time the extraction of one set of layers, and the bare forward pass beside it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*for the third time in this process")
        options = {"layers": layers, "tokenizer": tokenizer, "max_batch_tokens": 8192}
        activations = ActivationExtractor(model, **options).transform(words)
        aggregator = SubwordAggregator("last").fit(activations)
        network, batches, _ = _bare_inputs(activations)
        shape = len(words), aggregator.n_features_out_
        ours = best_seconds(lambda: aggregator.transform(activations), device, 2)
        # The layers above the one asked for are not computed, so the bare model stops there too.
        kept, n_layers = network.layers, None if layers is None else layers[0]
        network.layers = kept[:n_layers]
        bare = best_seconds(lambda: _bare(network, batches, shape, layers is None), device, 2)
        network.layers = kept
    what = "all layers" if layers is None else f"layer {layers[0]}"
    n_tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
    rows.add(
        f"{name} decoder, {str(model.dtype)[6:]}, {what}: {len(words):,} x {shape[1]:,}",
        seconds=ours,
        value=f"{n_tokens / ours:,.0f} tokens/s",
        share=bare / ours,
        of="bare forward, matrix filled",
    )


def _bare(model, inputs, shape, all_layers):
    """Run the model on every batch, and fill a matrix of the result's size."""
    with torch.inference_mode():
        for batch in inputs:
            model(**batch, output_hidden_states=all_layers, use_cache=False)
    np.full(shape, 1.0, dtype=np.float32)
