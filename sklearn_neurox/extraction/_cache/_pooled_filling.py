# SPDX-License-Identifier: BSD-3-Clause
"""Compute the rows that a cache of pooled rows lacks, a portion of the texts at a time.

The portions are a pure function of the request, and each becomes a shard. So an interrupted request
resumes with the missing portions and ends with the same bits as an uninterrupted one.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.extraction._cache._entries import Entries
from sklearn_neurox.extraction._cache._facts import facts_of
from sklearn_neurox.extraction._cache._filling import (
    look_at_stacks,
    merge_zeros,
    n_workers,
    own_spec,
)
from sklearn_neurox.extraction._cache._identity import identify
from sklearn_neurox.extraction._cache._obstacles import Watch
from sklearn_neurox.extraction._cache._row_digests import row_keys
from sklearn_neurox.extraction._cache._shard_header import KEY_BYTES
from sklearn_neurox.extraction._model._loading import load_model
from sklearn_neurox.extraction._run._progress import progress
from sklearn_neurox.utils._autocast import warn_about_autocast
from sklearn_neurox.utils._ragged import pointers

# Enough batches to sort texts by their lengths, few enough to lose little by an interruption.
_MAX_BATCHES = 16
_MAX_BYTES = 256 << 20


def fill(rows):
    """Compute and store missing rows, pooled with all strategies of the cache.

    Returns the number of texts that the model read. Raises a ModelChangedError if the model changes
    meanwhile; what it read before is stored.
    """
    request, store = rows.texts.request, rows.texts.request.store
    watch = Watch(request.spec, partial(identify, request, load=True))
    fingerprint = watch.identify_model()
    rows.texts.check_tokenizer()
    index = store.index(fingerprint)
    lists, read = _find_lacking(rows, index)
    if not len(read):
        return 0
    warn_about_autocast(request.spec.name)
    source, everything = _read_blocks(rows, lists, index), rows.source.source.every_layer()
    stacks = everything.stacks
    traits_by_stack = dict(zip(stacks, look_at_stacks(everything, request), strict=True))
    facts = facts_of(request, rows.source.tokenized, everything, traits_by_stack)
    store.make_room(fingerprint, _count_bytes(lists, source, store))
    zeros = {}
    write = partial(store.write, fingerprint, facts=facts, zeros=zeros)
    tasks = [
        _Portion(
            replace(source.take(inputs), verbose=0),
            rows.source.inputs[inputs],
            [part for own in lists if len((part := own.take(inputs)).digests)],
        )
        for inputs in _plan(rows, read, source)
    ]
    _run(tasks, write, watch, request, sum(task.n_tokens for task in tasks))
    store.warn_about_zeros(zeros)
    return len(np.unique(_number_texts(rows.source.inputs)[read]))


def measure(rows):
    """Count the texts and tokens that `fill` would read, and the bytes it would store."""
    request, store = rows.texts.request, rows.texts.request.store
    fingerprint = identify(request)  # None if the model is not on this machine yet
    index = None if fingerprint is None else store.index(fingerprint)
    lists, read = _find_lacking(rows, index)
    n_texts = len(np.unique(_number_texts(rows.source.inputs)[read]))
    n_tokens = int(rows.source.source.sequences.lengths[read].sum())
    return n_texts, n_tokens, _count_bytes(lists, _read_blocks(rows, lists, index), store)


@dataclass(frozen=True)
class _Lacking:
    """Rows that are to be stored, pooled with one strategy."""

    parts: object  # Parts, which number these rows from 0
    digests: np.ndarray  # (n_rows, KEY_BYTES)

    def take(self, inputs):
        """Return the rows in the given inputs, which number the inputs from 0."""
        rows = np.unique(self.parts.row[np.isin(self.parts.sequence, inputs)])
        parts = self.parts.take(inputs).of_rows(rows, renumber=True)
        return _Lacking(parts, self.digests[rows])


def _find_lacking(rows, index):
    """Return the missing rows of each strategy, each only once, and the inputs that they are in."""
    names, seen, lists = [block.name for block in rows.blocks], set(), []
    for strategy, parts in rows.parts.items():
        digests = rows.digests[strategy]
        keys = row_keys(digests)
        missing = np.ones(len(keys), dtype=bool)
        if index is not None:
            missing = index.missing(keys, names).any(axis=0)
        for row in np.flatnonzero(missing).tolist():
            missing[row] = keys[row] not in seen
            seen.add(keys[row])
        chosen = parts.of_rows(np.unique(parts.row)[missing], renumber=True)
        lists.append(_Lacking(chosen, digests[missing]))
    return lists, np.unique(np.concatenate([own.parts.sequence for own in lists]))


def _read_blocks(rows, lists, index):
    """Return a source with the blocks to store: those that any of the missing rows lacks."""
    source = rows.source.source
    if rows.texts.request.store.layers == "all":
        source = source.every_layer()
    if index is None:
        return source
    keys = [key for own in lists for key in row_keys(own.digests)]
    lacking = index.missing(keys, source.block_names).any(axis=1)
    blocks = [block for block, lacks in zip(source.blocks, lacking, strict=True) if lacks]
    return replace(source, blocks=tuple(blocks))


def _count_bytes(lists, source, store):
    return sum(len(own.digests) for own in lists) * sum(source.block_widths) * store.itemsize


def _number_texts(inputs):
    """Return a number for the text of each input."""
    texts = np.ascontiguousarray(inputs[:, :KEY_BYTES]).view(f"V{KEY_BYTES}").ravel()
    return np.unique(texts, return_inverse=True)[1]


def _plan(rows, read, source):
    """Divide the inputs to read into portions of whole texts of similar length.

    After an interruption, the portions are those of the interrupted request. If these do not
    explain what is missing, the missing inputs get portions of their own.
    """
    used = np.unique(np.concatenate([parts.sequence for parts in rows.parts.values()]))
    portions = _divide(rows, used, source)
    missing = [np.isin(portion, read) for portion in portions]
    if not all(own.all() or not own.any() for own in missing):
        return _divide(rows, read, source)
    return [portion for portion, own in zip(portions, missing, strict=True) if own.any()]


def _divide(rows, inputs, source):
    text = _number_texts(rows.source.inputs)
    tokens = np.bincount(text[inputs], source.sequences.lengths[inputs], minlength=len(text))
    n_rows = np.zeros(len(text))
    for parts in rows.parts.values():
        n_rows += np.bincount(text[parts.sequence], minlength=len(text))
    n_bytes = n_rows * sum(source.block_widths) * 4
    inputs = inputs[np.lexsort((text[inputs], tokens[text[inputs]]))]
    portions, start, n_tokens, size = [], 0, 0, 0
    starts = np.flatnonzero(np.diff(text[inputs], prepend=-1)).tolist()
    for place in starts:
        own = text[inputs[place]]
        n_tokens, size = n_tokens + tokens[own], size + n_bytes[own]
        too_many = n_tokens > _MAX_BATCHES * source.max_batch_tokens or size > _MAX_BYTES
        if too_many and place > start:
            portions.append(np.sort(inputs[start:place]))
            start, n_tokens, size = place, tokens[own], n_bytes[own]
    return [*portions, np.sort(inputs[start:])]


@dataclass(frozen=True)
class _Portion:
    """Some texts, with the rows in them that are to be stored together."""

    source: object  # ModelSource
    inputs: np.ndarray  # the key of each input
    lists: list  # of _Lacking

    @property
    def n_tokens(self):
        """The number of tokens to read."""
        return int(self.source.sequences.lengths.sum())

    def store(self, write, watch):
        """Compute the rows and write them."""
        from sklearn_neurox.extraction._model._forward import evaluating

        with evaluating(load_model(self.source.spec)):
            watch.look()
            pooled = self._pool()
            watch.look_closely()
        edges = pointers(self.source.block_widths).tolist()
        states = {
            name: pooled[:, edges[i] : edges[i + 1]]
            for i, name in enumerate(self.source.block_names)
        }
        write(self._entries(), states)
        return self.n_tokens

    def store_elsewhere(self, write, watch):
        """Do as `store`, in a worker process."""
        spec = own_spec(self.source.spec)
        own = replace(self, source=replace(self.source, spec=spec))
        return own.store(write, watch.begin_again(spec)), write.keywords["zeros"]

    def _pool(self):
        """Pool the rows of all strategies in one pass, into one matrix."""
        from sklearn_neurox.extraction._run._device_copies import DeviceCopies
        from sklearn_neurox.extraction._run._torch_pooling import TorchPooler

        source, ends = self.source, pointers([len(own.digests) for own in self.lists])
        pooled = np.empty((ends[-1], sum(source.block_widths)), dtype=np.float32)

        with DeviceCopies() as copies:
            poolers = [
                TorchPooler(own.parts, source.block_widths, pooled[a:b], copies)
                for own, a, b in zip(self.lists, ends[:-1], ends[1:], strict=True)
            ]

            def begin(batch, base):
                for pooler in poolers:
                    pooler.begin(batch, base)

            def visit(block, states):
                for pooler in poolers:
                    pooler.visit(block, states)

            source.run(begin, visit)
            copies.wait()
        for pooler in poolers:
            pooler.finish()
        return pooled

    def _entries(self):
        """Return one entry per row, with the digest of its text in place of that of a plan."""
        digests = np.concatenate([own.digests for own in self.lists])
        first = [
            own.parts.sequence[np.searchsorted(own.parts.row, np.arange(len(own.digests)))]
            for own in self.lists
        ]
        one = np.ones(len(digests), dtype=np.int64)
        nothing = np.empty(0, dtype=np.int64)
        return Entries(
            key=digests,
            request=self.inputs[np.concatenate(first), :KEY_BYTES],
            window=0 * one,
            n_windows=one,
            limit=0 * one,
            length=one,
            n_tokens=0 * one,
            role=nothing,
            start=nothing,
            end=nothing,
            flags=nothing.astype(np.uint8),
        )


def _run(tasks, write, watch, request, n_tokens):
    with progress(n_tokens, request.verbose, "rows to the cache") as bar:
        if n_workers(request) == 1:
            for task in tasks:
                bar.update(task.store(write, watch))
            return
        run = Parallel(n_jobs=request.n_jobs, return_as="generator_unordered")
        for n_done, zeros in run(delayed(task.store_elsewhere)(write, watch) for task in tasks):
            merge_zeros(write.keywords["zeros"], zeros)
            bar.update(n_done)
