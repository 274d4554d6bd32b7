# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass

import numpy as np

from sklearn_neurox.extraction._run._model_source import ModelSource


@dataclass(frozen=True)
class AttentionSource(ModelSource):
    """A model whose attention weights are read, layer by layer."""

    def computing(self, model):
        """Return a context in which the model computes its attention step by step."""
        from sklearn_neurox.extraction._model._attention_sites import eager_attention

        return eager_attention(model)

    def count(self, run):
        """Count nothing: a cache holds no attention weights."""

    def checked(self, model, block, state, n_inputs, width, is_token):
        """Return the weights, of shape (n_inputs, n_heads, n_queries, n_keys), as they are."""
        n_queries = width + (block.stack == "decoder")
        if state.ndim != 4 or len(state) != n_inputs or state.shape[2] != n_queries:
            raise ValueError(
                f"ActivationExtractor cannot read {block.name!r}: its weights have the shape "
                f"{tuple(state.shape)}, for {n_inputs} texts of {n_queries} tokens."
            )
        return state

    def pool_weights(self, spans, out):
        """Run the model and reduce its attention weights to the rows of a matrix.

        Parameters
        ----------
        spans : PlacedSpans
            The tokens of each row; rows without an input are left as they are.

        out : ndarray of shape (n_rows, n_columns), dtype=float32, or HalfMatrix
            Filled in place.
        """
        from sklearn_neurox.extraction._run._attention_pooling import AttentionPooler

        pooler = AttentionPooler(spans, self.blocks, out)
        self.run(pooler.begin, pooler.visit)


@dataclass(frozen=True)
class PlacedSpans:
    """The model input of each row, and the positions of its spans there.

    ``first`` and ``other`` are pairs of flat positions and pointers; ``other`` is None for rows of
    one span.
    """

    sequence: np.ndarray  # the input of each row, -1 if no input has both spans
    first: tuple
    other: tuple | None

    def __len__(self):
        return len(self.sequence)
