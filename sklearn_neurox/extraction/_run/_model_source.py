# SPDX-License-Identifier: BSD-3-Clause
import contextlib
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from sklearn_neurox.extraction._model._available_blocks import was_rebuilt
from sklearn_neurox.extraction._model._block_widths import join_neuron_names, widths_of
from sklearn_neurox.extraction._model._blocks import choose_blocks
from sklearn_neurox.extraction._model._config import hidden_layers
from sklearn_neurox.extraction._model._loading import files_of
from sklearn_neurox.extraction._model._obstacle import find_obstacle
from sklearn_neurox.extraction._run._batching import plan_batches, run_in_halves
from sklearn_neurox.extraction._run._repeated_reads import count_pass
from sklearn_neurox.extraction._text._sink_rows import report_sinks
from sklearn_neurox.extraction._text._targets import tokenize_contexts
from sklearn_neurox.extraction._text._windows import Sequences
from sklearn_neurox.utils._autocast import warn_about_autocast
from sklearn_neurox.utils._underflow import DEAD, Underflow, warn_about_zeros


@dataclass(frozen=True)
class ModelSource:
    """A model, and the inputs that it will read when the activations are pooled."""

    spec: object  # ModelSpec
    sequences: Sequences  # the inputs that the rows point into
    contexts: Sequences | None  # the encoder's inputs, if the decoder reads a text of its own
    available: tuple  # all blocks of the requested components
    blocks: tuple  # the chosen blocks, in the order of the matrix
    pad_id: int
    start_id: int | None  # a decoder's first token; if None, the last token of its text
    max_batch_tokens: int
    verbose: int
    files: tuple | None = None  # those the texts were tokenized with, see `files_of`

    def __getstate__(self):
        # Files look different elsewhere, and pickles hold no resolved paths.
        return vars(self) | {"files": None}

    def __setstate__(self, state):
        vars(self).update(state)

    @cached_property
    def block_names(self):
        """The names of the blocks, such as ``"hidden.3"``."""
        return tuple([block.name for block in self.blocks])

    @cached_property
    def block_widths(self):
        """The number of neurons per block; modules must run once to reveal theirs."""
        return widths_of(self.spec, self.blocks)

    @cached_property
    def feature_names(self):
        """The names of the neurons."""
        return join_neuron_names(self.blocks, self.block_widths)

    @property
    def stacks(self):
        """The stacks that must run: a decoder needs its encoder."""
        stacks = dict.fromkeys(block.stack for block in self.blocks)
        return ("encoder", "decoder") if "decoder" in stacks else tuple(stacks)

    def every_layer(self):
        """Return a source with all layers of the requested components, for a cache to store."""
        return replace(self, blocks=choose_blocks(self.available, None, model=self.spec.name))

    def pool(self, parts, out):
        """Run the model and pool its activations into the rows of a matrix."""
        from sklearn_neurox.extraction._run._device_copies import DeviceCopies
        from sklearn_neurox.extraction._run._torch_pooling import TorchPooler

        with DeviceCopies() as copies:
            pooler = TorchPooler(parts, self.block_widths, out, copies)
            self.run(pooler.begin, pooler.visit)
            copies.wait()
        pooler.finish()
        report_sinks(parts, out.shape[0], self.sinks())

    def sinks(self):
        """Return the names of the blocks in which the first token of an input is a sink."""
        from sklearn_neurox.extraction._model._first_look import traits_of
        from sklearn_neurox.extraction._model._loading import load_model
        from sklearn_neurox.extraction._model._sinks import is_sink

        model = load_model(self.spec)
        layers = {stack: traits_of(model, stack).sinks for stack in self.stacks}
        return tuple([block.name for block in self.blocks if is_sink(block, layers[block.stack])])

    def take(self, which):
        """Return a source with only the given inputs."""
        contexts = None if self.contexts is None else self.contexts.take(which)
        return replace(self, sequences=self.sequences.take(which), contexts=contexts)

    def plan(self, lengths, traits_by_stack):
        """Group inputs into batches by their lengths, where 0 leaves an input out."""
        supports_padding = all(traits.supports_padding for traits in traits_by_stack)
        batch_dependent = any(traits.batch_dependent for traits in traits_by_stack)
        alone = batch_dependent
        if self.contexts is not None:
            # Texts of equal length may have contexts of different lengths, which need padding.
            alone = batch_dependent or not supports_padding
            lengths = np.where(lengths > 0, np.maximum(lengths, self.contexts.lengths), 0)
        return plan_batches(lengths, 1 if alone else self.max_batch_tokens, pad=supports_padding)

    def run(self, begin, visit, *, batches=None, note=""):
        """Run the model over all inputs, batch by batch.

        Parameters
        ----------
        begin : callable
            Called before each batch with the batch's inputs (ndarray) and the place of the first
            token of each in the flattened batch. If a batch runs out of memory, called again with
            each half; blocks that were already visited are not visited again.

        visit : callable
            Called with (number of the block, tensor of shape (n_places, n_units)) for each block.

        batches : list of ndarray or None, default=None
            The batches, if they are planned already.

        note : str, default=""
            Additional text for the progress bar.
        """
        from sklearn_neurox.extraction._model._first_look import traits_of
        from sklearn_neurox.extraction._model._forward import evaluating, input_device
        from sklearn_neurox.extraction._model._loading import load_model
        from sklearn_neurox.extraction._run._progress import progress

        self._check_files()
        warn_about_autocast(self.spec.name)
        model = load_model(self.spec)
        traits_by_stack = {stack: traits_of(model, stack) for stack in self.stacks}
        self._check_unchanged(traits_by_stack)
        lengths = self.sequences.lengths
        if batches is None:
            batches = self.plan(lengths, list(traits_by_stack.values()))
        if batches:
            run = self.take(np.concatenate(batches))
            self.count(run)
        total = sum(int(lengths[batch].sum()) for batch in batches)
        device = input_device(model)
        types = self.reads_types(model)
        zeros = {}
        run_batch = partial(
            self._run_batch, model, device, types, traits_by_stack, begin, visit, zeros
        )
        scope = self.computing(model)
        with evaluating(model), scope, progress(total, self.verbose, note) as bar:
            for batch in batches:
                run_in_halves(run_batch, batch)
                bar.update(int(lengths[batch].sum()))
        self._warn_about_zeros(zeros)

    def _warn_about_zeros(self, zeros):
        """Warn if a model of double precision has neurons that are zero in single precision."""
        found = [
            (underflow, lambda unit, block=self.blocks[n]: f"{block.name}.{unit}")
            for n, underflow in sorted(zeros.items())
        ]
        advice = f"{DEAD} rescale the weights of the layer."
        warn_about_zeros(found, "float32", f"{self.spec.name} in float64", advice)

    def computing(self, model):
        """Return a context in which the model computes what is read."""
        return contextlib.nullcontext()

    def count(self, run):
        """Count the inputs that are about to be read, for the advice to use a cache."""
        # No cache keeps what a changed model computes.
        if find_obstacle(self.spec) is None:
            count_pass(self.spec, run.sequences, run.contexts)

    def _check_files(self):
        """Raise an error if the model's files are not those that the rows were transformed with."""
        if self.files is not None and files_of(self.spec) != self.files:
            raise ValueError(
                f"The files of {self.spec.name} have changed, or are no longer at this path, since "
                "the rows were transformed, so their tokens may not be those of the model. "
                "Transform the rows again."
            )

    def _check_unchanged(self, traits_by_stack):
        """Raise an error if the model lost or got layers since the rows were transformed."""
        for stack, traits in traits_by_stack.items():
            own = [b for b in self.available if b.stack == stack and b.component == "hidden"]
            if own and own[-1].layer != traits.n_layers and self._was_changed(stack, own[-1]):
                raise ValueError(
                    f"{self.spec.name} had {own[-1].layer} layers when the rows were transformed, "
                    f"and has {traits.n_layers} now. Transform the rows again."
                )

    def _was_changed(self, stack, last):
        """Return whether a live model or its config was changed; some always have other states."""
        if not self.spec.is_live:
            return False
        stated = hidden_layers(self.spec.model.config, stack)[-1]
        return stated != last.layer or was_rebuilt(self.spec, stack)

    def reads_types(self, model):
        """Return whether the model is to be given the token types of its tokenizer."""
        from sklearn_neurox.extraction._model._token_types import reads_token_types

        read = self.sequences if self.contexts is None else self.contexts
        return reads_token_types(model, self.stacks[0], read.types)

    def _run_batch(
        self, model, device, types, traits_by_stack, begin, visit, zeros, batch, visited
    ):
        """Run a batch, and add each block to ``visited`` once it has been handed over."""
        from sklearn_neurox.extraction._model._forward import run_hidden

        multiple = max([traits.multiple for traits in traits_by_stack.values()])
        has_decoder = "decoder" in traits_by_stack
        inputs, width = self.make_inputs(batch, multiple, device, has_decoder, types)

        def is_token():
            return (np.arange(width) < self.sequences.lengths[batch][:, None]).ravel()

        def hand_over(n, state):
            if n not in visited:
                _look_for_zeros(zeros, n, state)
                visit(n, self.checked(model, self.blocks[n], state, len(batch), width, is_token))
                visited.add(n)

        begin(batch, np.arange(len(batch)) * width)
        run_hidden(model, traits_by_stack, inputs, self.blocks, hand_over)

    def checked(self, model, block, state, n_inputs, width, is_token):
        """Return the states of a batch as one row per place, after a check that they are finite."""
        from sklearn_neurox.extraction._run._finite import check_finite

        flat = _flatten(block, state, n_inputs, n_inputs * width)
        module = getattr(model, "module", model)
        check_finite(flat, is_token, block.name, module, state.dtype)
        return flat

    def make_inputs(self, batch, multiple, device, has_decoder, with_types):
        """Make the arguments of the model for one batch, and count the tokens per padded input.

        ``multiple`` is the minimum number of tokens that the model takes. A decoder reads one extra
        token before the others. ``with_types`` is what `reads_types` returns.
        """
        from sklearn_neurox.utils._torch import send_behind

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
        if with_types:
            inputs["token_type_ids"] = np.where(mask, read.types[tokens], 0)
        return {name: send_behind(value, device) for name, value in inputs.items()}, width

    def _pad(self, sequences, batch, multiple):
        """Pad inputs to one length; return their ids, their mask and the place of each token."""
        first = sequences.ptr[:-1][batch]
        lengths = sequences.ptr[1:][batch] - first
        places = np.arange(max(int(lengths.max()), multiple))
        mask = places < lengths[:, None]
        tokens = np.where(mask, first[:, None] + places, 0)
        ids = np.where(mask, sequences.ids[tokens], self.pad_id)
        return ids, mask.astype(np.int64), tokens


def model_source(request, tokenized, contexts, sequences, first_sequence, kind=ModelSource):
    """Make the source of tokenized texts, which `make_sequences` has laid out as inputs.

    ``contexts`` are the texts that the encoder reads, if only the decoder reads the texts; ``kind``
    is the class of the source.
    """
    if contexts is not None:
        contexts = tokenize_contexts(request, contexts, first_sequence, len(sequences))
    available, blocks = request.blocks
    return kind(
        spec=request.spec,
        sequences=sequences,
        contexts=contexts,
        available=available,
        blocks=blocks,
        pad_id=tokenized.pad_id,
        start_id=tokenized.start_id,
        max_batch_tokens=request.max_batch_tokens,
        verbose=request.verbose,
        files=tokenized.files,
    )


def _look_for_zeros(zeros, n, state):
    """Find the neurons of double precision of a block that are zero in single precision."""
    from sklearn_neurox.utils._torch import to_numpy

    if str(state.dtype) == "torch.float64" and state.ndim < 4:  # not attention weights
        before = to_numpy(state.reshape(-1, state.shape[-1]))
        with np.errstate(over="ignore"):
            after = before.astype(np.float32)
        zeros.setdefault(n, Underflow(before.shape[1])).look(before, after)


def _flatten(block, state, n_inputs, n_places):
    """Flatten the states of a batch to one row per place, without a decoder's first token."""
    if block.stack == "decoder":
        state = state.reshape(n_inputs, -1, state.shape[-1])[:, 1:]
    is_flat = state.ndim == 2 and len(state) == n_places
    if not is_flat and state.shape[:-1] != (n_inputs, n_places // n_inputs):
        raise ValueError(
            f"ActivationExtractor cannot read {block.name!r}: its states have the shape "
            f"{tuple(state.shape)}, which is not one state for each token of {n_inputs} texts of "
            f"{n_places // n_inputs} tokens. Read other components."
        )
    return state.reshape(n_places, state.shape[-1]).float()
