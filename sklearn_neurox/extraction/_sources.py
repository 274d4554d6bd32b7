# SPDX-License-Identifier: BSD-3-Clause
"""Where activations come from: a model to run, or arrays that are already there."""

from dataclasses import dataclass, field, replace

import numpy as np

from sklearn_neurox.extraction._batching import plan_batches
from sklearn_neurox.extraction._passes import count_pass
from sklearn_neurox.extraction._windows import Sequences
from sklearn_neurox.utils._names import neuron_names


@dataclass(frozen=True)
class ModelSource:
    """A model and the inputs it has yet to read."""

    spec: object  # ModelSpec
    sequences: Sequences
    layers: tuple
    n_units: int
    stack: str | None
    pad_id: int
    batch_tokens: int
    verbose: int

    @property
    def n_blocks(self):
        """How many column blocks `run` fills: one a layer."""
        return len(self.layers)

    @property
    def block_names(self):
        """Name the column blocks in the order `run` numbers them, such as ``"hidden.3"``."""
        prefix = f"{self.stack}." if self.stack else ""
        return tuple(f"{prefix}hidden.{layer}" for layer in self.layers)

    def every_layer(self):
        """Widen to all layers of the components asked for, which one pass can keep."""
        from sklearn_neurox.extraction._families import hidden_layers
        from sklearn_neurox.extraction._loading import load_config

        return replace(self, layers=tuple(hidden_layers(load_config(self.spec))))

    def feature_names(self):
        """Name the neurons."""
        return neuron_names(self.layers, self.n_units, stack=self.stack)

    def take(self, which):
        """Keep some inputs."""
        return replace(self, sequences=self.sequences.take(which))

    def run(self, begin, visit):
        """Run the model over all inputs, batch by batch.

        Parameters
        ----------
        begin : callable
            Called before each batch with the batch's inputs (ndarray) and the place of the first
            token of each in the flattened batch.

        visit : callable
            Called with (block, tensor of shape (n_places, n_units)) for each layer.
        """
        from sklearn_neurox.extraction._components import anatomy_of, evaluating, run_hidden
        from sklearn_neurox.extraction._loading import load_model
        from sklearn_neurox.extraction._progress import progress

        count_pass(self.spec, self.sequences)
        model = load_model(self.spec)
        anatomy = anatomy_of(model)
        block_of = {layer: block for block, layer in enumerate(self.layers)}
        lengths = self.sequences.lengths
        batches = plan_batches(lengths, self.batch_tokens, pad=anatomy.pads)
        with evaluating(model), progress(int(lengths.sum()), self.verbose) as bar:
            for batch in batches:
                inputs, width = self._inputs(batch, anatomy.multiple, model.device)
                begin(batch, np.arange(len(batch)) * width)
                run_hidden(
                    model,
                    anatomy,
                    inputs,
                    sorted(self.layers),
                    lambda layer, state: visit(
                        block_of[layer], state.reshape(-1, state.shape[-1]).float()
                    ),
                )
                bar.update(int(lengths[batch].sum()))

    def _inputs(self, batch, multiple, device):
        from sklearn_neurox.utils._torch import to_tensor

        lengths = self.sequences.lengths[batch]
        width = max(int(lengths.max()), multiple)
        places = np.arange(width)
        mask = places < lengths[:, None]
        tokens = np.where(mask, self.sequences.ptr[:-1][batch][:, None] + places, 0)
        ids = np.where(mask, self.sequences.ids[tokens], self.pad_id)
        inputs = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        if self.sequences.types is not None:
            inputs["token_type_ids"] = np.where(mask, self.sequences.types[tokens], 0)
        return {name: to_tensor(value, device=device) for name, value in inputs.items()}, width


@dataclass(frozen=True)
class ArraySource:
    """Activations in memory, all neurons of a token side by side."""

    values: np.ndarray  # (n_tokens, n_neurons)
    ptr: np.ndarray
    names: np.ndarray = field(repr=False)

    n_blocks = 1

    @property
    def n_units(self):
        """The number of neurons."""
        return self.values.shape[1]

    @property
    def sequences(self):
        """The stored sequences, which have values and no token ids."""
        return range(len(self.ptr) - 1)

    def feature_names(self):
        """Name the neurons."""
        return self.names

    def take(self, which):
        """Keep some sequences."""
        from sklearn_neurox.extraction._alignment import ranges

        places, ptr = ranges(self.ptr[:-1][which], np.diff(self.ptr)[which])
        return replace(self, values=self.values[places], ptr=ptr)

    def run(self, begin, visit):
        """Hand over all values as one batch; see `ModelSource.run`."""
        from sklearn_neurox.utils._torch import to_tensor

        begin(np.arange(len(self.ptr) - 1), self.ptr[:-1])
        visit(0, to_tensor(self.values).float())
