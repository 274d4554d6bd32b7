# SPDX-License-Identifier: BSD-3-Clause
"""Random pairs of spans in odd texts, in any order and batches, against a loop over the rows."""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.pipeline import make_pipeline
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

# Repeated, of one word, with words that BERT's tokenizer drops, other scripts, and a long one.
TEXTS = ["The old dog barked loudly .", "Dogs bark", "\u200bzero \u200b width", "a", "two   spaces"]
TEXTS += [
    "The old dog barked loudly .",
    "naïve café 👍🏽 x",
    "x\ty\nz",
    "\u200b",
    "long " * 20 + "end",
]


def _rows(rng, n):
    """Draw pairs of words, phrases and whole texts."""
    rows = []
    for text in rng.choice(TEXTS, n):
        words = [match.span() for match in re.finditer(r"\S+", text)]
        spans = []
        for _ in range(2):
            i = rng.integers(len(words))
            j = min(len(words) - 1, i + rng.choice([0, 0, 2]))
            spans += (0, len(text)) if rng.random() < 0.2 else (words[i][0], words[j][1])
        rows.append((text, *spans))
    return pd.DataFrame(rows, columns=["text", "start", "end", "other_start", "other_end"])


class _Loop:
    """Reads one row at a time with plain transformers."""

    def __init__(self, path):
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = AutoModel.from_pretrained(path, attn_implementation="eager").eval()
        self.run = cache(self._run)

    def _run(self, text):
        encoding = self.tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
        spans = encoding.pop("offset_mapping")[0].tolist()
        inputs = {k: v for k, v in encoding.items() if k in ("input_ids", "attention_mask")}
        with torch.no_grad():
            output = self.model(**inputs, output_hidden_states=True, output_attentions=True)
        states = torch.cat([state[0] for state in output.hidden_states], dim=1).numpy()
        return spans, states, torch.stack(output.attentions)[:, 0].numpy()

    def row(self, row):
        """Return both vectors, each zero without tokens, and the weights, zero if one is."""
        spans, states, weights = self.run(row.text)
        sides = [
            [i for i, (a, b) in enumerate(spans) if b > a and a < end and b > start]
            for start, end in ((row.start, row.end), (row.other_start, row.other_end))
        ]
        vectors = [states[own].mean(0) if own else np.zeros(states.shape[1]) for own in sides]
        first, other = sides
        if not first or not other:
            return vectors, np.zeros(2 * weights.shape[0] * weights.shape[1])
        both = [
            weights[:, :, q][..., k].sum(3).mean(2) for q, k in ((first, other), (other, first))
        ]
        return vectors, np.stack(both, axis=-1).ravel()


@pytest.mark.slow
def test_any_rows_in_any_order_through_any_cache(tiny, tmp_path):
    rng = np.random.default_rng(0)
    pairs = _rows(rng, 60)
    for family in ("bert", "gpt2"):
        loop = _Loop(tiny(family))
        cached = tmp_path / family
        for folder, max_batch_tokens, order in (
            (None, 2048, slice(None)),
            (None, 1, rng.permutation(len(pairs))),
            (cached, 40, rng.integers(len(pairs), size=90)),
            (cached, 2048, rng.permutation(len(pairs))[:20]),
            (cached, 16, rng.permutation(len(pairs))),
        ):
            rows = pairs.iloc[order]
            options = {"cache": folder, "max_batch_tokens": max_batch_tokens}
            extractor = ActivationExtractor(tiny(family), **options)
            pooled = SubwordAggregator("mean", pair=["product", "concat", "difference"])
            H = make_pipeline(extractor, pooled).fit_transform(rows)
            attention = ActivationExtractor(tiny(family), component="attention_weights", **options)
            A = make_pipeline(attention, SubwordAggregator()).fit_transform(rows)
            for row, vector, found in zip(rows.itertuples(), H, A, strict=True):
                (a, b), weights = loop.row(row)
                right = np.concatenate([a * b, a, b, a - b])
                np.testing.assert_allclose(vector, right, atol=2e-5 * max(1, np.abs(right).max()))
                np.testing.assert_allclose(found, weights, atol=1e-6)
