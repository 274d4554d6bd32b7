# SPDX-License-Identifier: BSD-3-Clause
"""Where activations come from: a model to run, or arrays that are already there."""

from dataclasses import dataclass, field, replace

import numpy as np

from sklearn_neurox.extraction._batching import plan_batches
from sklearn_neurox.extraction._passes import count_pass
from sklearn_neurox.extraction._windows import Sequences
from sklearn_neurox.utils._names import neuron_names
from sklearn_neurox.utils._torch import is_out_of_memory, release_memory


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
    def block_widths(self):
        """The number of neurons of each block."""
        return (self.n_units,) * len(self.layers)

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

    def plan(self, lengths, pads):
        """Group inputs into the batches that run together.

        Parameters
        ----------
        lengths : ndarray of shape (n_sequences,)
            Tokens of each input; 0 leaves it out.

        pads : bool
            Whether inputs of different lengths may run together.

        Returns
        -------
        batches : list of ndarray
        """
        return plan_batches(lengths, self.batch_tokens, pad=pads)

    def run(self, begin, visit, *, batches=None, note=""):
        """Run the model over all inputs, batch by batch.

        Parameters
        ----------
        begin : callable
            Called before each batch with the batch's inputs (ndarray) and the place of the first
            token of each in the flattened batch. Where memory runs out in a batch, called again
            with each half; the blocks that were handed over before do not come again.

        visit : callable
            Called with (block, tensor of shape (n_places, n_units)) for each layer.

        batches : list of ndarray or None, default=None
            The batches, where they are planned already.

        note : str, default=""
            What the bar says beside what is left.
        """
        from sklearn_neurox.extraction._components import anatomy_of, evaluating
        from sklearn_neurox.extraction._loading import load_model
        from sklearn_neurox.extraction._progress import progress

        model = load_model(self.spec)
        anatomy = anatomy_of(model)
        lengths = self.sequences.lengths
        if batches is None:
            batches = self.plan(lengths, anatomy.pads)
        if batches:
            count_pass(self.spec, self.sequences.take(np.concatenate(batches)))
        total = sum(int(lengths[batch].sum()) for batch in batches)
        with evaluating(model), progress(total, self.verbose, note) as bar:
            for batch in batches:
                self._run_batch(model, anatomy, batch, begin, visit, frozenset())
                bar.update(int(lengths[batch].sum()))

    def _run_batch(self, model, anatomy, batch, begin, visit, done):
        """Run a batch, in halves where the memory is too small for it."""
        from sklearn_neurox.extraction._components import run_hidden

        block_of = {layer: block for block, layer in enumerate(self.layers)}
        inputs, width = self._inputs(batch, anatomy.multiple, model.device)
        visited = set(done)

        def hand_over(layer, state):
            block = block_of[layer]
            if block not in visited:
                visit(block, state.reshape(-1, state.shape[-1]).float())
                visited.add(block)

        begin(batch, np.arange(len(batch)) * width)
        try:
            run_hidden(model, anatomy, inputs, sorted(self.layers), hand_over)
            return
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
        # Outside the handler, whose traceback would keep the activations alive.
        release_memory()
        middle = (len(batch) + 1) // 2
        for half in (batch[:middle], batch[middle:]):
            self._run_batch(model, anatomy, half, begin, visit, frozenset(visited))

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
