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
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.extraction._cache._facts import facts_of
from sklearn_neurox.extraction._cache._identity import identify
from sklearn_neurox.extraction._cache._obstacles import Watch
from sklearn_neurox.extraction._cache._shard_header import KEY_BYTES
from sklearn_neurox.extraction._model._loading import load_model
from sklearn_neurox.extraction._run._progress import progress
from sklearn_neurox.utils._autocast import warn_about_autocast

# Enough tasks to share the work evenly, few enough to be worth sending.
_TASKS_PER_WORKER = 4


def fill(texts, chosen, blocks):
    """Compute and store the missing activations of the chosen texts, in the given blocks at least.

    Returns the number of texts that the model read. Raises a ModelChangedError if the model changes
    meanwhile; what it read before is stored.
    """
    tokenized, source, entries = texts.lay_out()
    request, store = texts.request, texts.request.store
    watch = Watch(request.spec, partial(identify, request, load=True))
    fingerprint = watch.identify_model()
    texts.check_tokenizer()
    everything = source.every_layer()
    text = np.cumsum(entries.window == 0) - 1
    own = np.flatnonzero(np.isin(text, chosen))
    source = (everything if store.layers == "all" else source).take(own)
    entries, text = entries.take(own), text[own]
    plan = _digest_plan(entries, source)
    entries = replace(entries, request=np.tile(plan, (len(entries), 1)))
    jobs = _plan_jobs(source, entries, store.index(fingerprint), blocks, plan, request)
    if not jobs:
        return 0
    warn_about_autocast(request.spec.name)
    facts = facts_of(request, tokenized, everything, jobs[0].traits_by_stack)
    n_tokens = [sum(int(entries.length[batch].sum()) for batch in job.batches) for job in jobs]
    itemsize = store.itemsize
    n_bytes = sum(
        n * sum(job.source.block_widths) * itemsize for n, job in zip(n_tokens, jobs, strict=True)
    )
    store.make_room(fingerprint, n_bytes)
    zeros = {}
    write = partial(store.write, fingerprint, facts=facts, zeros=zeros)
    note = f"{n_bytes / 1e9:.2f} GB to the cache"
    _run(jobs, entries, write, watch, request, sum(n_tokens), note)
    for job in jobs:
        job.write_empty(entries, write)
    store.warn_about_zeros(zeros)
    read = np.concatenate([part for job in jobs for part in (job.empty, *job.batches)])
    return len(np.unique(text[read]))


def measure(texts, chosen, blocks):
    """Count the texts and tokens that `fill` would read, and the bytes it would store."""
    _, source, entries = texts.lay_out()
    request, store = texts.request, texts.request.store
    source = source.every_layer() if store.layers == "all" else source
    text = np.cumsum(entries.window == 0) - 1
    own = np.flatnonzero(np.isin(text, chosen))
    entries, text = entries.take(own), text[own]
    lacking = np.ones((len(source.blocks), len(own)), dtype=bool)
    missing = np.ones(len(own), dtype=bool)
    fingerprint = identify(request)
    if fingerprint is not None:  # otherwise the model is not on this machine yet
        index, keys = store.index(fingerprint), entries.keys()
        lacking = index.missing(keys, source.block_names)
        missing = index.missing(keys, blocks).any(axis=0)
    n_values = lacking.T @ np.array(source.block_widths, dtype=np.int64)
    lengths = entries.length[missing]
    n_bytes = int((n_values[missing] * lengths).sum()) * store.itemsize
    return len(np.unique(text[missing])), int(lengths.sum()), n_bytes


@dataclass(frozen=True)
class _Job:
    """Inputs that lack the same blocks."""

    source: object  # a ModelSource with these blocks
    batches: list
    traits_by_stack: dict
    empty: np.ndarray  # inputs without tokens, which the model need not read

    def write_empty(self, entries, write):
        """Store the inputs without tokens."""
        if len(self.empty):
            names, widths = self.source.block_names, self.source.block_widths
            nothing = [np.zeros((0, width), dtype=np.float32) for width in widths]
            write(entries.take(self.empty), dict(zip(names, nothing, strict=True)))


def _digest_plan(entries, source):
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    numbers = np.stack([entries.window, entries.limit]).astype("<i8")
    for part in (entries.key, numbers):
        digest.update(np.ascontiguousarray(part).data)
    digest.update(repr((source.max_batch_tokens, source.block_names)).encode())
    return np.frombuffer(digest.digest(), dtype=np.uint8)


def _plan_jobs(source, entries, index, blocks, plan, request):
    """Plan which blocks of which inputs to compute, in which batches.

    After an interruption, the batches are those of the interrupted plan. If that plan does not
    explain what is missing, the missing inputs get a plan of their own.
    """
    keys, names = entries.keys(), source.block_names
    missing = index.missing(keys, blocks).any(axis=0)
    if not missing.any():
        return []
    # What was missing when the plan began: its own shards do not count.
    lacking = index.missing(keys, names, outside=plan.tobytes())
    begun = lacking[[names.index(block) for block in blocks]].any(axis=0)
    traits = look_at_stacks(source, request)
    traits_by_stack = dict(zip(source.stacks, traits, strict=True))
    lengths = entries.length
    jobs = []
    for lacked in np.unique(lacking[:, begun], axis=1).T:
        own = begun & (lacking == lacked[:, None]).all(axis=0)
        chosen = tuple(block for block, lacks in zip(source.blocks, lacked, strict=True) if lacks)
        part = replace(source, blocks=chosen)
        batches = part.plan(np.where(own, lengths, 0), traits)
        batches = [batch for batch in batches if missing[batch].any()]
        if not all(missing[batch].all() for batch in batches):
            batches = part.plan(np.where(own & missing, lengths, 0), traits)
        empty = np.flatnonzero(own & missing & (lengths == 0))
        if batches or len(empty):
            jobs.append(_Job(part, batches, traits_by_stack, empty))
    return jobs


def look_at_stacks(source, request):
    """Return the traits of each stack that a source reads."""
    if n_workers(request) == 1:
        return _look_at(source.spec, source.stacks)
    # The process that distributes the work need not load the model.
    run = Parallel(n_jobs=request.n_jobs)
    return run([delayed(_look_elsewhere)(source.spec, source.stacks)])[0]


def _look_elsewhere(spec, stacks):
    return _look_at(own_spec(spec), stacks)


def _look_at(spec, stacks):
    from sklearn_neurox.extraction._model._first_look import traits_of

    model = load_model(spec)
    return [traits_of(model, stack) for stack in stacks]


def _run(jobs, entries, write, watch, request, n_tokens, note):
    jobs = [job for job in jobs if job.batches]
    workers = n_workers(request)
    if workers == 1:
        for job in jobs:
            _compute(job.source, job.batches, entries, write, watch, note)
        return
    tasks = []
    for job in jobs:
        n_tasks = min(len(job.batches), _TASKS_PER_WORKER * workers)
        tasks += [_task(job.source, entries, job.batches[i::n_tasks]) for i in range(n_tasks)]
    run = Parallel(n_jobs=request.n_jobs, return_as="generator_unordered")
    with progress(n_tokens, jobs[0].source.verbose if jobs else 0, note) as bar:
        for n_done, zeros in run(
            delayed(_compute_elsewhere)(*task, write, watch) for task in tasks
        ):
            merge_zeros(write.keywords["zeros"], zeros)
            bar.update(n_done)


def _task(source, entries, batches):
    """Take the inputs and entries of some batches."""
    used = np.unique(np.concatenate(batches))
    batches = [np.searchsorted(used, batch) for batch in batches]
    return replace(source.take(used), verbose=0), batches, entries.take(used)


def _compute_elsewhere(source, batches, entries, write, watch):
    spec = own_spec(source.spec)
    _compute(replace(source, spec=spec), batches, entries, write, watch.begin_again(spec), "")
    return int(source.sequences.lengths.sum()), write.keywords["zeros"]


def merge_zeros(zeros, others):
    """Add what another process has found to the `Underflow` of each block."""
    for block, other in others.items():
        zeros.setdefault(block, other).merge(other)


def _compute(source, batches, entries, write, watch, note):
    from sklearn_neurox.extraction._model._forward import evaluating

    writer = _ShardWriter(source, batches, entries, write, watch)
    with evaluating(load_model(source.spec)):
        watch.look()  # before the first batch; before the others, `flush` does
        source.run(writer.begin, writer.visit, batches=batches, note=note)
        writer.flush()


def n_workers(request):
    """Return the number of processes; a live model stays in this one."""
    return 1 if request.spec.is_live else effective_n_jobs(request.n_jobs)


def own_spec(spec):
    """Return the spec for a worker process, unless the model is spread over devices anyway."""
    if spec.device_map is not None:
        return spec
    return replace(spec, device=_own_device(spec.device))


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

    def __init__(self, source, batches, entries, write, watch):
        self.names, self.entries, self.write = source.block_names, entries, write
        self.watch = watch
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
        self.watch.look_closely()
        note = "not in one piece, which was too large for the memory" * (self.n_pieces > 1)
        self.write(self.entries.take(self.batch), states, note=note)
        self.batch, self.states, self.n_pieces = None, {}, 0
