# SPDX-License-Identifier: BSD-3-Clause
"""Compute what a cache lacks: whole batches of a plan, each written as one shard, by one or many.

A request is a set of texts. Its plan is a pure function of them and of what other requests had
stored before, so a request that was interrupted goes on with the batches that are not there yet,
and ends with the bits it would have had.
"""

import contextlib
import hashlib
import multiprocessing
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sklearn_neurox.extraction._cache._entries import Entries
from sklearn_neurox.extraction._cache._shard import KEY_BYTES
from sklearn_neurox.extraction._cache._shard_index import entry_keys, sweep
from sklearn_neurox.extraction._cache._stored_blocks import layout_of, write_layout
from sklearn_neurox.extraction._model._loading import load_model
from sklearn_neurox.extraction._run._progress import progress
from sklearn_neurox.extraction._run._reading import read_texts
from sklearn_neurox.extraction._text._alignment import Alignment
from sklearn_neurox.extraction._text._windows import make_sequences
from sklearn_neurox.utils._half_precision import narrowed

# Batches a worker gets at a time: enough to be worth sending, few enough to share out evenly.
_TASKS_PER_WORKER = 4


def freshly_read(texts):
    """Tokenize all texts of a request.

    Parameters
    ----------
    texts : CachedTexts

    Returns
    -------
    source : ModelSource
        The model inputs of all texts, in the order of the texts.

    entries : Entries
        One an input.
    """
    if texts.fresh is None:
        reading = read_texts(texts.extractor, texts.texts, texts.pairs, texts.contexts)
        write_missing(texts, reading)
    return texts.fresh[:2]


def write_missing(texts, reading):
    """Keep texts that have been tokenized, so that filling the cache need not do it again.

    Parameters
    ----------
    texts : CachedTexts

    reading : Reading
        Of all the texts.
    """
    nothing = Alignment(np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64))
    sequences, _, first_sequence = make_sequences(
        reading.encodings, nothing, reading.limit, causal=reading.causal
    )
    source = reading.source(sequences, first_sequence)
    entries = Entries.of_encodings(reading.encodings, texts.keys, first_sequence, sequences.lengths)
    texts.fresh = source, entries, _facts(texts, reading, source.every_layer())


def _facts(texts, reading, everything):
    name = everything.spec.name
    return {
        "model": Path(name).name if Path(name).is_dir() else name,
        "dtype": texts.cache.dtype,
        "limit": None if reading.limit == np.iinfo(np.int64).max else int(reading.limit),
        "causal": bool(reading.causal),
        "tokenizer": reading.tokenizer,
        "cls": bool(reading.has_cls),
        "layout": write_layout(layout_of(everything)),
    }


def fill(texts, chosen, blocks):
    """Compute and keep the states of texts, as far as they are not there.

    Parameters
    ----------
    texts : CachedTexts

    chosen : ndarray of int
        The texts.

    blocks : list of str
        The blocks that must be there; which are kept beside them is the cache's choice.

    Returns
    -------
    n_texts : int
        How many of them the model read.
    """
    source, entries = freshly_read(texts)
    metadata = texts.fresh[2]
    folder = texts.fingerprint(load=True)
    text = np.cumsum(entries.window == 0) - 1
    own = np.flatnonzero(np.isin(text, chosen))
    source, entries, text = source.take(own), entries.take(own), text[own]
    if texts.cache.layers == "all":
        source = source.every_layer()
    request = _request(entries, source, blocks)
    entries = replace(entries, request=np.tile(request, (len(entries), 1)))
    index = texts.cache._index(folder)
    missing = _missing(index, entries, blocks)
    sink = _Sink(texts.cache, folder, metadata)
    if not missing.any():
        return 0
    sweep(texts.cache.folder / folder)
    empty = entries.length == 0
    batches = _to_run(source, missing, _before(index, entries, blocks, request), texts)
    n_bytes = _size(source, batches, sink)
    texts.cache._check_space(n_bytes)
    _run(source, batches, entries, sink, texts.extractor, f"{n_bytes / 1e9:.2f} GB to the cache")
    if (empty & missing).any():
        sink.write(entries.take(np.flatnonzero(empty & missing)), {
            name: np.zeros((0, width), dtype=np.float32)
            for name, width in zip(source.block_names, source.block_widths, strict=True)
        })  # fmt: skip
    return len(np.unique(text[np.concatenate([np.flatnonzero(empty & missing), *batches])]))


def _request(entries, source, blocks):
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    for part in (entries.key, np.asarray(entries.window, dtype="<i8")):
        digest.update(np.ascontiguousarray(part).data)
    digest.update(repr((source.max_batch_tokens, source.block_names)).encode())
    return np.frombuffer(digest.digest(), dtype=np.uint8)


def _missing(index, entries, blocks, **where):
    keys = entry_keys(entries.key, entries.window)
    return np.any([index.locate(keys, block, **where).is_missing for block in blocks], axis=0)


def _before(index, entries, blocks, request):
    return ~_missing(index, entries, blocks, outside=request.tobytes())


def _to_run(source, missing, before, texts):
    """Choose the batches to run.

    After an interruption these are whole batches of the plan the request began with. Where that
    does not explain what is there, the missing inputs have a plan of their own.
    """
    traits_by_stack = _traits(source, texts.extractor)
    lengths = source.sequences.lengths
    begun = source.plan(np.where(before, 0, lengths), traits_by_stack)
    left = [batch for batch in begun if missing[batch].any()]
    if all(missing[batch].all() for batch in left):
        return left
    return source.plan(np.where(missing, lengths, 0), traits_by_stack)


def _traits(source, extractor):
    if _n_workers(extractor) == 1:
        return _look_at(source.spec, source.stacks)
    # The process that shares out the work needs no model of its own.
    return _parallel(extractor)([_delayed(_look_elsewhere)(source.spec, source.stacks)])[0]


def _look_elsewhere(spec, stacks):
    return _look_at(replace(spec, device=_own_device(spec.device)), stacks)


def _look_at(spec, stacks):
    from sklearn_neurox.extraction._model._forward import traits_of

    model = load_model(spec)
    return [traits_of(model, stack) for stack in stacks]


def _size(source, batches, sink):
    tokens = sum(int(source.sequences.lengths[batch].sum()) for batch in batches)
    return tokens * sum(source.block_widths) * np.dtype(sink.cache.dtype).itemsize


def _run(source, batches, entries, sink, extractor, note):
    if not batches:
        return
    workers = _n_workers(extractor)
    if workers == 1:
        _compute(source, batches, entries, sink, note)
        return
    n_tasks = min(len(batches), _TASKS_PER_WORKER * workers)
    tasks = [_task(source, entries, batches[i::n_tasks]) for i in range(n_tasks)]
    total = sum(int(source.sequences.lengths[batch].sum()) for batch in batches)
    run = _parallel(extractor, return_as="generator_unordered")
    with progress(total, source.verbose, note) as bar:
        for n_tokens in run(_delayed(_compute_elsewhere)(*task, sink) for task in tasks):
            bar.update(n_tokens)


def _task(source, entries, batches):
    """Cut out what some batches need."""
    used = np.unique(np.concatenate(batches))
    batches = [np.searchsorted(used, batch) for batch in batches]
    return replace(source.take(used), verbose=0), batches, entries.take(used)


def _compute_elsewhere(source, batches, entries, sink):
    spec = replace(source.spec, device=_own_device(source.spec.device))
    _compute(replace(source, spec=spec), batches, entries, sink, "")
    return int(source.sequences.lengths.sum())


def _compute(source, batches, entries, sink, note):
    writer = _ShardWriter(source, batches, entries, sink)
    source.run(writer.begin, writer.visit, batches=batches, note=note)
    writer.flush()


def _n_workers(extractor):
    """Count the processes that share the work; a live model stays in this one."""
    if extractor._spec().is_live:
        return 1
    from joblib import effective_n_jobs

    return effective_n_jobs(extractor.n_jobs)


def _parallel(extractor, **options):
    from sklearn.utils.parallel import Parallel

    return Parallel(n_jobs=extractor.n_jobs, **options)


def _delayed(function):
    from sklearn.utils.parallel import delayed

    return delayed(function)


def _own_device(device):
    """Give each worker process a GPU of its own, where there are several to choose from."""
    if device not in (None, "auto", "cuda"):
        return device
    import torch

    n_devices = torch.cuda.device_count()
    if n_devices < 2:
        return device
    number = re.search(r"(\d+)$", _process_name())
    return f"cuda:{int(number[1]) % n_devices if number else 0}"


def _process_name():
    distributed = sys.modules.get("distributed")
    if distributed is not None:  # whose processes all have one name, and whose workers their own
        with contextlib.suppress(ValueError):  # this is none
            return str(distributed.get_worker().name)
    return multiprocessing.current_process().name


@dataclass(frozen=True)
class _Sink:
    """Where shards go."""

    cache: object  # ActivationCache
    folder: str
    metadata: dict

    def write(self, entries, states, note=""):
        dtype = np.dtype(self.cache.dtype)
        states = {
            name: narrowed(values, dtype, lambda unit, name=name: f"The neuron {name}.{unit}")
            for name, values in states.items()
        }
        self.cache._write(self.folder, entries, states, metadata=self.metadata, note=note)


class _ShardWriter:
    """Collects the layers of a batch and writes them as one shard.

    A batch that was too large for the memory comes in pieces, in the same order.
    """

    def __init__(self, source, batches, entries, sink):
        self.names, self.entries, self.sink = source.block_names, entries, sink
        self.batches = iter(batches)
        self.batch, self.states, self.n_pieces = None, {}, 0

    def begin(self, piece, base):
        if self.batch is None or self._is_complete():
            self.flush()
            self.batch = next(self.batches)
        self.n_pieces += 1
        lengths = self.entries.length[piece]
        self.places = np.repeat(base - np.cumsum(lengths) + lengths, lengths)
        self.places += np.arange(len(self.places))

    def visit(self, block, states):
        from sklearn_neurox.utils._torch import to_numpy

        self.states.setdefault(block, []).append(to_numpy(states)[self.places])

    def _is_complete(self):
        n_tokens = int(self.entries.length[self.batch].sum())
        return len(self.states) == len(self.names) and all(
            sum(map(len, pieces)) == n_tokens for pieces in self.states.values()
        )

    def flush(self):
        if self.batch is None:
            return
        states = {
            self.names[block]: np.concatenate(self.states[block]) for block in sorted(self.states)
        }
        note = "not in one piece, which was too large for the memory" * (self.n_pieces > 1)
        self.sink.write(self.entries.take(self.batch), states, note)
        self.batch, self.states, self.n_pieces = None, {}, 0
