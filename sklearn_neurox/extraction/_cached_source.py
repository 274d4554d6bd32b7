# SPDX-License-Identifier: BSD-3-Clause
"""A model's hidden states through a cache: read what is there, compute and keep the rest."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from sklearn_neurox.extraction._cache import ActivationCache, sequence_keys
from sklearn_neurox.extraction._fingerprint import fingerprint
from sklearn_neurox.extraction._loading import loaded_model
from sklearn_neurox.extraction._sources import ModelSource


@dataclass(frozen=True)
class CachedSource:
    """A model whose hidden states are kept in a folder, all layers of an input at once."""

    inner: ModelSource
    cache: ActivationCache
    all_layers: tuple

    @property
    def n_blocks(self):
        """How many column blocks `run` fills: one a layer."""
        return self.inner.n_blocks

    @property
    def n_units(self):
        """The number of neurons of a layer."""
        return self.inner.n_units

    def feature_names(self):
        """Name the neurons."""
        return self.inner.feature_names()

    def take(self, which):
        """Keep some inputs."""
        return replace(self, inner=self.inner.take(which))

    def run(self, begin, visit):
        """Hand over the states shard by shard; see `ModelSource.run`."""
        from sklearn_neurox.utils._torch import to_tensor

        model = loaded_model(self.inner.spec)
        if model is not None and _has_foreign_hooks(model):
            warnings.warn(
                "The model has hooks that change or watch its activations, so the cache "
                f"{self.cache} is neither read nor written until they are removed.",
                UserWarning,
                stacklevel=2,
            )
            self.inner.run(begin, visit)
            return
        folder = fingerprint(self.inner.spec)
        keys = sequence_keys(self.inner.sequences)
        places = self.cache.find(folder, keys)
        missing = np.flatnonzero([p is None for p in places] & (self.inner.sequences.lengths > 0))
        if len(missing):
            self._compute(folder, keys, missing)
            places = self.cache.find(folder, keys)
        for path, inputs, slots in _by_shard(places):
            begin(inputs, self.cache.read(path)[slots])
            for block, layer in enumerate(self.inner.layers):
                visit(block, to_tensor(self.cache.read(path, layer)))

    def _compute(self, folder, keys, missing):
        source = replace(self.inner.take(missing), layers=self.all_layers)
        writer = _ShardWriter(self.cache, folder, [keys[i] for i in missing], source)
        source.run(writer.begin, writer.visit)
        writer.flush()


class _ShardWriter:
    """Collects the layers of a batch and writes them as one shard."""

    def __init__(self, cache, folder, keys, source):
        self.cache, self.folder, self.keys, self.source = cache, folder, keys, source
        self.states = {}

    def begin(self, batch, base):
        self.flush()
        lengths = self.source.sequences.lengths[batch]
        self.batch, self.base, self.lengths = batch, base, lengths

    def visit(self, block, states):
        from sklearn_neurox.utils._torch import to_numpy

        tokens = np.repeat(self.base - np.cumsum(self.lengths) + self.lengths, self.lengths)
        tokens += np.arange(len(tokens))
        self.states[self.source.layers[block]] = to_numpy(states)[tokens]

    def flush(self):
        if self.states:
            ptr = np.concatenate([[0], np.cumsum(self.lengths)])
            self.cache.write(self.folder, [self.keys[i] for i in self.batch], ptr, self.states)
        self.states = {}


def _by_shard(places):
    """Group inputs by shard: the shard, the inputs, and the place of each in it."""
    shards = {}
    for sequence, place in enumerate(places):
        if place is not None:
            shards.setdefault(place[0], []).append((sequence, place[1]))
    for path, members in shards.items():
        inputs, slots = np.array(members).T
        yield path, inputs, slots


def _has_foreign_hooks(model):
    ours = ("sklearn_neurox.extraction", "transformers.utils.output_capturing")
    return any(
        not getattr(hook, "__module__", "").startswith(ours)
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    )
