# SPDX-License-Identifier: BSD-3-Clause
"""Where activations come from: a model to run, or arrays that are already there."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from sklearn_neurox.extraction._model._blocks import choose_blocks
from sklearn_neurox.extraction._run._batching import plan_batches, run_in_halves
from sklearn_neurox.extraction._run._repeated_reads import count_pass
from sklearn_neurox.extraction._text._windows import Sequences
from sklearn_neurox.utils._ragged import ranges


@dataclass(frozen=True)
class ModelSource:
    """A model and the inputs it has yet to read."""

    spec: object  # ModelSpec
    sequences: Sequences  # what the rows point into
    contexts: Sequences | None  # what the encoder reads, where the decoder reads another text
    available: tuple  # all blocks of the components asked for
    layers: tuple | None  # those wanted, None for all
    pad_id: int
    start_id: int | None  # what a decoder starts with, None for the last token of its text
    max_batch_tokens: int
    verbose: int

    @property
    def blocks(self):
        """The column blocks `run` fills."""
        return choose_blocks(self.available, self.layers, model=self.spec.name)

    @property
    def block_names(self):
        """Name the column blocks in the order `run` numbers them, such as ``"hidden.3"``."""
        return tuple(block.name for block in self.blocks)

    @property
    def block_widths(self):
        """How many neurons each block has; a module's own are known once the model has run."""
        return widths_of(self.spec, self.blocks)

    @property
    def stacks(self):
        """The stacks that have to run: a decoder needs its encoder."""
        stacks = dict.fromkeys(block.stack for block in self.blocks)
        return ("encoder", "decoder") if "decoder" in stacks else tuple(stacks)

    def every_layer(self):
        """Widen to all layers of the components asked for, which one pass can keep."""
        if len({block.stack for block in self.available}) > 1:  # which may differ in depth
            return replace(self, layers=None)
        layers = dict.fromkeys(block.layer for block in self.available if block.has_layers)
        return replace(self, layers=tuple(sorted(layers)) or None)

    def feature_names(self):
        """Name the neurons."""
        return neuron_names_of(self.spec, self.blocks)

    def take(self, which):
        """Keep some inputs."""
        contexts = None if self.contexts is None else self.contexts.take(which)
        return replace(self, sequences=self.sequences.take(which), contexts=contexts)

    def plan(self, lengths, traits_by_stack):
        """Group inputs into the batches that run together.

        Parameters
        ----------
        lengths : ndarray of shape (n_sequences,)
            Tokens of each input; 0 leaves it out.

        traits_by_stack : iterable of StackTraits
            Of the stacks: they tell which inputs may run together.

        Returns
        -------
        batches : list of ndarray
        """
        supports_padding = all(traits.supports_padding for traits in traits_by_stack)
        batch_dependent = any(traits.batch_dependent for traits in traits_by_stack)
        if self.contexts is None:
            return plan_batches(
                lengths, 1 if batch_dependent else self.max_batch_tokens, pad=supports_padding
            )
        # Where padding disturbs, two texts of one length need not have contexts of one length.
        longest = np.where(lengths > 0, np.maximum(lengths, self.contexts.lengths), 0)
        return plan_batches(
            longest,
            self.max_batch_tokens if supports_padding and not batch_dependent else 1,
            pad=supports_padding,
        )

    def run(self, begin, visit, *, batches=None, note=""):
        """Run the model over all inputs, batch by batch.

        Parameters
        ----------
        begin : callable
            Called before each batch with the batch's inputs (ndarray) and the place of the first
            token of each in the flattened batch. Where memory runs out in a batch, called again
            with each half; the blocks that were handed over before do not come again.

        visit : callable
            Called with (block, tensor of shape (n_places, n_units)) for each block.

        batches : list of ndarray or None, default=None
            The batches, where they are planned already.

        note : str, default=""
            What the bar says beside what is left.
        """
        from sklearn_neurox.extraction._model._forward import evaluating, traits_of
        from sklearn_neurox.extraction._model._loading import load_model
        from sklearn_neurox.extraction._run._progress import progress

        model = load_model(self.spec)
        traits_by_stack = {stack: traits_of(model, stack) for stack in self.stacks}
        lengths = self.sequences.lengths
        if batches is None:
            batches = self.plan(lengths, list(traits_by_stack.values()))
        if batches:
            run = self.take(np.concatenate(batches))
            count_pass(self.spec, run.sequences, run.contexts)
        total = sum(int(lengths[batch].sum()) for batch in batches)
        with evaluating(model), progress(total, self.verbose, note) as bar:
            for batch in batches:
                run_in_halves(partial(self._run_batch, model, traits_by_stack, begin, visit), batch)
                bar.update(int(lengths[batch].sum()))

    def _run_batch(self, model, traits_by_stack, begin, visit, batch, visited):
        """Run a batch, and note in ``visited`` which blocks were handed over."""
        from sklearn_neurox.extraction._model._forward import input_device, run_hidden

        multiple = max(traits.multiple for traits in traits_by_stack.values())
        inputs, width = self._inputs(
            batch, multiple, input_device(model), "decoder" in traits_by_stack
        )
        blocks = self.blocks

        def hand_over(n, state):
            if n not in visited:
                visit(n, _flatten(blocks[n], state, len(batch), len(batch) * width))
                visited.add(n)

        begin(batch, np.arange(len(batch)) * width)
        run_hidden(model, traits_by_stack, inputs, blocks, hand_over)

    def _inputs(self, batch, multiple, device, has_decoder):
        """Make what the model takes of a batch.

        Parameters
        ----------
        batch : ndarray of int
            Which of the inputs.

        multiple : int
            The fewest tokens the model takes.

        device : torch.device

        has_decoder : bool
            Whether the model is an encoder-decoder whose decoder runs, too.

        Returns
        -------
        inputs : dict of str to Tensor

        width : int
            The tokens of an input, padding included; the decoder reads one more before them.
        """
        from sklearn_neurox.utils._torch import to_tensor

        read = self.sequences if self.contexts is None else self.contexts
        ids, mask, tokens = self._pad(self.sequences, batch, multiple)
        width = ids.shape[1]
        inputs = {}
        if has_decoder:
            start = np.full(len(batch), self.start_id or 0)
            if self.start_id is None:
                start = self.sequences.ids[self.sequences.ptr[1:][batch] - 1]
            inputs["decoder_input_ids"] = np.column_stack([start, ids])
            inputs["decoder_attention_mask"] = np.column_stack([np.ones_like(start), mask])
        if self.contexts is not None:
            ids, mask, tokens = self._pad(self.contexts, batch, multiple)
        inputs |= {"input_ids": ids, "attention_mask": mask}
        if read.types is not None:
            inputs["token_type_ids"] = np.where(mask, read.types[tokens], 0)
        return {name: to_tensor(value, device=device) for name, value in inputs.items()}, width

    def _pad(self, sequences, batch, multiple):
        """Lay some inputs out as a matrix: ids, mask, and the place of each token."""
        lengths = sequences.lengths[batch]
        places = np.arange(max(int(lengths.max()), multiple))
        mask = places < lengths[:, None]
        tokens = np.where(mask, sequences.ptr[:-1][batch][:, None] + places, 0)
        ids = np.where(mask, sequences.ids[tokens], self.pad_id)
        return ids, mask.astype(np.int64), tokens


def neuron_names_of(spec, blocks):
    """Name the neurons of some blocks of a model.

    Parameters
    ----------
    spec : ModelSpec

    blocks : tuple of Block

    Returns
    -------
    names : ndarray of str of shape (n_neurons,)
    """
    widths = widths_of(spec, blocks)
    return np.concatenate([b.neuron_names(n) for b, n in zip(blocks, widths, strict=True)])


def widths_of(spec, blocks):
    """Tell how many neurons each of some blocks has; modules are run to find out.

    Parameters
    ----------
    spec : ModelSpec

    blocks : sequence of Block

    Returns
    -------
    widths : tuple of int
    """
    paths = {}
    for block in blocks:
        if block.n_units is None:
            paths.setdefault(block.stack, []).append(block.path)
    if not paths:
        return tuple(block.n_units for block in blocks)
    from sklearn_neurox.extraction._model._forward import module_widths
    from sklearn_neurox.extraction._model._loading import load_model

    model = load_model(spec)
    found = {stack: module_widths(model, stack, own) for stack, own in paths.items()}
    return tuple(found[b.stack][b.path] if b.n_units is None else b.n_units for b in blocks)


def _flatten(block, state, n_inputs, n_places):
    """Lay the states of a batch out one a place, without that of a decoder's first token."""
    if block.stack == "decoder":
        state = state.reshape(n_inputs, -1, state.shape[-1])[:, 1:]
    if state.shape[:-1].numel() != n_places:
        raise RuntimeError(
            f"The states of {block.name!r} have the shape {tuple(state.shape)}, which is not one "
            f"for each of {n_places} tokens."
        )
    return state.reshape(n_places, state.shape[-1]).float()


@dataclass(frozen=True)
class ArraySource:
    """Activations in memory, all neurons of a token side by side."""

    values: np.ndarray  # (n_tokens, n_neurons)
    ptr: np.ndarray
    names: np.ndarray = field(repr=False)

    @property
    def block_widths(self):
        """How many neurons the one block has."""
        return (self.values.shape[1],)

    def feature_names(self):
        """Name the neurons."""
        return self.names

    def take(self, which):
        """Keep some sequences."""
        places, ptr = ranges(self.ptr[:-1][which], np.diff(self.ptr)[which])
        return replace(self, values=self.values[places], ptr=ptr)

    def run(self, begin, visit):
        """Hand over all values as one batch; see `ModelSource.run`."""
        from sklearn_neurox.utils._torch import to_tensor

        begin(np.arange(len(self.ptr) - 1), self.ptr[:-1])
        visit(0, to_tensor(self.values).float())
