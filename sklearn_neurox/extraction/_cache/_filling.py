# SPDX-License-Identifier: BSD-3-Clause
"""Compute what a cache lacks, in one or several processes; each batch becomes a shard.

The plan of the batches is a pure function of the texts and of what was cached before. So an
interrupted request resumes with the missing batches and ends with the same bits as an
uninterrupted one.
"""

import contextlib
import hashlib
import multiprocessing
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.extraction._cache._shard import KEY_BYTES, entry_keys
from sklearn_neurox.extraction._cache._stored_blocks import layout_of, write_layout
from sklearn_neurox.extraction._model._loading import load_model
from sklearn_neurox.extraction._run._progress import progress

# Enough tasks to share the work evenly, few enough to be worth sending.
_TASKS_PER_WORKER = 4


def fill(texts, chosen, blocks, fingerprint=None):
    """Compute and store the missing activations of the chosen texts, in the given blocks at least.

    Returns the number of texts that the model read. ``fingerprint`` is that of the current weights;
    None if the model must be loaded to find out.
    """
    if texts.laid_out is None:
        fingerprint = None  # the weights may change while the texts are tokenized
    tokenized, source, entries = texts.lay_out()
    fingerprint = fingerprint or texts.fingerprint(load=True)
    request, store = texts.request, texts.request.store
    everything = source.every_layer()
    metadata = _metadata(tokenized, everything, store)
    text = np.cumsum(entries.window == 0) - 1
    own = np.flatnonzero(np.isin(text, chosen))
    source = (everything if store.layers == "all" else source).take(own)
    entries, text = entries.take(own), text[own]
    plan = _digest_plan(entries, source)
    entries = replace(entries, request=np.tile(plan, (len(entries), 1)))
    index = store.index(fingerprint)
    keys = entry_keys(entries.key, entries.window)
    missing = _missing(index, keys, blocks)
    if not missing.any():
        return 0
    before = ~_missing(index, keys, blocks, outside=plan.tobytes())
    batches = _to_run(source, missing, before, request)
    n_tokens = sum([int(entries.length[batch].sum()) for batch in batches])
    n_bytes = n_tokens * sum(source.block_widths) * np.dtype(store.dtype).itemsize
    store.make_room(fingerprint, n_bytes)
    write = partial(store.write, fingerprint, metadata=metadata)
    note = f"{n_bytes / 1e9:.2f} GB to the cache"
    _run(source, batches, entries, write, request, n_tokens, note)
    empty = np.flatnonzero(missing & (entries.length == 0))
    if len(empty):
        write(entries.take(empty), {
            name: np.zeros((0, width), dtype=np.float32)
            for name, width in zip(source.block_names, source.block_widths, strict=True)
        })  # fmt: skip
    return len(np.unique(text[np.concatenate([empty, *batches])]))


def _metadata(tokenized, everything, store):
    """Collect what a reader of the shards must know about the model and the tokenizer."""
    name = everything.spec.name
    return {
        "model": Path(name).name if Path(name).is_dir() else name,
        "dtype": store.dtype,
        "limit": None if tokenized.limit == np.iinfo(np.int64).max else int(tokenized.limit),
        "causal": bool(tokenized.causal),
        "tokenizer": tokenized.tokenizer,
        "cls": bool(tokenized.has_cls),
        "layout": write_layout(layout_of(everything)),
    }


def _digest_plan(entries, source):
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    for part in (entries.key, np.asarray(entries.window, dtype="<i8")):
        digest.update(np.ascontiguousarray(part).data)
    digest.update(repr((source.max_batch_tokens, source.block_names)).encode())
    return np.frombuffer(digest.digest(), dtype=np.uint8)


def _missing(index, keys, blocks, **where):
    return np.any([index.locate(keys, block, **where).is_missing for block in blocks], axis=0)


def _to_run(source, missing, before, request):
    """Choose the batches to run.

    After an interruption, these are batches of the interrupted plan. If that plan does not explain
    what is missing, the missing inputs get a plan of their own.
    """
    traits_by_stack = _traits(source, request)
    lengths = source.sequences.lengths
    begun = source.plan(np.where(before, 0, lengths), traits_by_stack)
    left = [batch for batch in begun if missing[batch].any()]
    if all(missing[batch].all() for batch in left):
        return left
    return source.plan(np.where(missing, lengths, 0), traits_by_stack)


def _traits(source, request):
    if _n_workers(request) == 1:
        return _look_at(source.spec, source.stacks)
    # The process that distributes the work need not load the model.
    run = Parallel(n_jobs=request.n_jobs)
    return run([delayed(_look_elsewhere)(source.spec, source.stacks)])[0]


def _look_elsewhere(spec, stacks):
    return _look_at(replace(spec, device=_own_device(spec.device)), stacks)


def _look_at(spec, stacks):
    from sklearn_neurox.extraction._model._first_look import traits_of

    model = load_model(spec)
    return [traits_of(model, stack) for stack in stacks]


def _run(source, batches, entries, write, request, n_tokens, note):
    if not batches:
        return
    workers = _n_workers(request)
    if workers == 1:
        _compute(source, batches, entries, write, note)
        return
    n_tasks = min(len(batches), _TASKS_PER_WORKER * workers)
    tasks = [_task(source, entries, batches[i::n_tasks]) for i in range(n_tasks)]
    run = Parallel(n_jobs=request.n_jobs, return_as="generator_unordered")
    with progress(n_tokens, source.verbose, note) as bar:
        for n_done in run(delayed(_compute_elsewhere)(*task, write) for task in tasks):
            bar.update(n_done)


def _task(source, entries, batches):
    """Take the inputs and entries of some batches."""
    used = np.unique(np.concatenate(batches))
    batches = [np.searchsorted(used, batch) for batch in batches]
    return replace(source.take(used), verbose=0), batches, entries.take(used)


def _compute_elsewhere(source, batches, entries, write):
    spec = replace(source.spec, device=_own_device(source.spec.device))
    _compute(replace(source, spec=spec), batches, entries, write, "")
    return int(source.sequences.lengths.sum())


def _compute(source, batches, entries, write, note):
    writer = _ShardWriter(source, batches, entries, write)
    source.run(writer.begin, writer.visit, batches=batches, note=note)
    writer.flush()


def _n_workers(request):
    """Return the number of processes; a live model stays in this one."""
    return 1 if request.spec.is_live else effective_n_jobs(request.n_jobs)


def _own_device(device):
    """Assign each worker process its own GPU, if there are several."""
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
    if distributed is not None:  # dask: processes share one name, but each worker has its own
        with contextlib.suppress(ValueError):  # not in a worker
            return str(distributed.get_worker().name)
    return multiprocessing.current_process().name


class _ShardWriter:
    """Collects the blocks of a batch and writes them as one shard.

    A batch that did not fit into memory comes in pieces, in the same order.
    """

    def __init__(self, source, batches, entries, write):
        self.names, self.entries, self.write = source.block_names, entries, write
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
        self.write(self.entries.take(self.batch), states, note=note)
        self.batch, self.states, self.n_pieces = None, {}, 0
