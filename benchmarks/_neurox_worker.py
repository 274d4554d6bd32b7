# SPDX-License-Identifier: BSD-3-Clause
"""Call a peer in the interpreter of `peer_python`: ``worker.py TASK IN.npz OUT.npz``.

``worker.py serve`` reads such calls from standard input, one per line with tab-separated fields,
and answers each with "done". Arrays and parameters are passed through npz files, because NeuroX
prints to standard output. Times are wall-clock seconds of the call alone, without imports and
input reading; the parameter ``timeout`` limits the same time. If a call exceeds it, the worker
exits with the status TIMED_OUT.
"""

import builtins
import contextlib
import json
import os
import signal
import sys
import time

import numpy as np

TIMED_OUT = 75
_limit = None


def main():
    if sys.argv[1:] != ["serve"]:
        _do(*sys.argv[1:])
        return
    for line in sys.stdin:
        _do(*line.rstrip("\n").split("\t"))
        print("done", flush=True)


def _do(task, source, target):
    global _limit
    with np.load(source) as file:
        arrays = dict(file)
    parameters = json.loads(str(arrays.pop("parameters")))
    _limit = parameters.pop("timeout")
    _restore_names()
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            results = _TASKS[task](**arrays, **parameters)
    except TimeoutError:
        sys.exit(TIMED_OUT)
    np.savez(target, **results)


def _restore_names():
    """Restore the names that NumPy 1.24 removed and NeuroX 1.0.9 still uses."""
    for name in ("int", "float", "object"):
        if name not in vars(np):
            setattr(np, name, getattr(builtins, name))


def _timed(call, *args, **kwargs):
    signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, _limit or 0)
    try:
        start = time.perf_counter()
        result = call(*args, **kwargs)
        return result, np.float64(time.perf_counter() - start)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _stop(*_):
    raise TimeoutError


def _train(X, y, *, kind, seed, trace, **parameters):
    import torch
    from neurox.interpretation import linear_probe

    train = getattr(linear_probe, f"train_{kind}_regression_probe")
    # Warm up on two samples: an optimizer's first step imports half of torch, about 2 s.
    train(np.eye(2, dtype=np.float32), np.arange(2, dtype=y.dtype), num_epochs=1)
    torch.manual_seed(seed)
    with _watched(linear_probe) as epochs:
        try:
            probe, seconds = _timed(train, X, y, **parameters)
        except TimeoutError:
            if not trace or not epochs:
                raise
            probe = None
    if not trace:
        coef, intercept = _weights(probe)
        return {"coef": coef, "intercept": intercept, "seconds": seconds}
    ends, coefs, intercepts = (np.array(column) for column in zip(*epochs, strict=True))
    return {
        "coef": coefs[-1],
        "intercept": intercepts[-1],
        "seconds": ends[-1] if probe is None else seconds,
        "epoch_seconds": ends,
        "epoch_coef": coefs,
        "epoch_intercept": intercepts,
    }


@contextlib.contextmanager
def _watched(linear_probe):
    """Record seconds, weights and intercepts at the end of each epoch, at negligible cost."""
    epochs, probes, start = [], [], []
    make, batches = linear_probe.LinearProbe.__init__, linear_probe.utils.batch_generator

    def watched_make(probe, *args, **kwargs):
        start.append(time.perf_counter())
        probes.append(probe)
        make(probe, *args, **kwargs)

    def watched_batches(*args, **kwargs):
        yield from batches(*args, **kwargs)
        # NeuroX is asking for another batch, so it has finished the last step.
        coef, intercept = _weights(probes[-1])
        epochs.append((time.perf_counter() - start[-1], coef.copy(), intercept.copy()))

    linear_probe.LinearProbe.__init__ = watched_make
    linear_probe.utils.batch_generator = watched_batches
    try:
        yield epochs
    finally:
        linear_probe.LinearProbe.__init__ = make
        linear_probe.utils.batch_generator = batches


def _weights(probe):
    return tuple(p.detach().cpu().numpy() for p in (probe.linear.weight, probe.linear.bias))


def _probe_of(coef):
    import torch
    from neurox.interpretation.linear_probe import LinearProbe

    probe = LinearProbe(coef.shape[1], coef.shape[0])
    with torch.no_grad():
        probe.linear.weight.copy_(torch.from_numpy(coef))
    return probe, {i: i for i in range(len(coef))}


def _order(coef, **parameters):
    from neurox.interpretation.linear_probe import get_neuron_ordering

    (order, cutoffs), seconds = _timed(get_neuron_ordering, *_probe_of(coef), **parameters)
    return {"order": np.array(order), "cutoffs": np.array(cutoffs), "seconds": seconds}


def _top(coef, *, percentage, kind):
    from neurox.interpretation import linear_probe

    probe, classes = _probe_of(coef)
    select = getattr(linear_probe, kind)
    (overall, by_class), seconds = _timed(select, probe, percentage, classes)
    named = {f"class_{i}": np.array(neurons) for i, neurons in by_class.items()}
    return {"overall": np.array(overall), **named, "seconds": seconds}


def _probeless(X, y):
    from neurox.interpretation.probeless import get_neuron_ordering_for_all_tags

    tags = {i: str(i) for i in range(int(y.max()) + 1)}
    (order, by_tag), seconds = _timed(get_neuron_ordering_for_all_tags, X, y, tags)
    class_order = np.array([by_tag[str(i)] for i in tags])
    return {"order": np.array(order), "class_order": class_order, "seconds": seconds}


def _probeless_overall(X, y):
    from neurox.interpretation.probeless import get_neuron_ordering

    order, seconds = _timed(get_neuron_ordering, X, y)
    return {"order": np.array(order), "seconds": seconds}


def _clusters(X, **parameters):
    from neurox.interpretation.clustering import create_correlation_clusters

    labels, seconds = _timed(create_correlation_clusters, X, **parameters)
    return {"labels": labels, "seconds": seconds}


def _independent(X, *, seed, **parameters):
    from neurox.interpretation.clustering import extract_independent_neurons

    np.random.seed(seed)
    (neurons, labels), seconds = _timed(extract_independent_neurons, X, **parameters)
    return {"neurons": np.array(neurons), "labels": labels, "seconds": seconds}


def _extract(*, model, sentences, aggregation):
    from neurox.data.extraction import transformers_extractor as extractor

    network, tokenizer = extractor.get_model_and_tokenizer(model)
    counts = {}

    def loop():
        return [
            extractor.extract_sentence_representations(
                text, network, tokenizer, aggregation=aggregation, tokenization_counts=counts
            )[0]
            for text in sentences
        ]

    states, seconds = _timed(loop)
    rows = np.concatenate([s.transpose(1, 0, 2).reshape(s.shape[1], -1) for s in states])
    counts = np.array([s.shape[1] for s in states])
    return {"H": rows.astype(np.float32), "n_words": counts, "seconds": seconds}


def _write(H, n_words, *, path, sentences, n_layers, **parameters):
    from neurox.data.writer import ActivationsWriter

    ends = np.cumsum(n_words)
    blocks = H.reshape(len(H), n_layers, -1).transpose(1, 0, 2)

    def loop():
        writer = ActivationsWriter.get_writer(path, **parameters)
        for i, (words, end) in enumerate(zip(sentences, ends, strict=True)):
            writer.write_activations(i, words, blocks[:, end - n_words[i] : end])
        writer.close()

    return {"seconds": _timed(loop)[1]}


def _read(*, path, **parameters):
    from neurox.data.loader import load_activations

    (activations, n_layers), seconds = _timed(load_activations, path, **parameters)
    return {
        "H": np.concatenate([np.asarray(a) for a in activations]),
        "n_words": np.array([len(a) for a in activations]),
        "n_layers": np.array(n_layers),
        "seconds": seconds,
    }


def _cyanure(X, y, *, kind, alpha, l1_ratio, tol):
    from cyanure.estimators import Classifier, Regression

    penalty = {"penalty": "elasticnet", "lambda_1": alpha * l1_ratio}
    penalty["lambda_2"] = alpha * (1 - l1_ratio)
    if not l1_ratio:
        penalty = {"penalty": "l2", "lambda_1": alpha}
    options = {"tol": tol, "max_iter": 500, "random_state": 0, "verbose": False, **penalty}
    if kind == "regression":
        model = Regression(**options)
    else:
        multi_class = "multinomial" if kind == "multinomial" else "auto"
        model = Classifier(loss="logistic", multi_class=multi_class, **options)
    _, seconds = _timed(model.fit, X, y)
    coef = np.asarray(model.coef_).reshape(-1, X.shape[1])
    if coef.shape[0] > 1 and np.shape(model.coef_)[0] == X.shape[1]:
        coef = np.asarray(model.coef_).T
    return {"coef": coef, "intercept": np.ravel(model.intercept_), "seconds": seconds}


_TASKS = {
    "cyanure": _cyanure,
    "train": _train,
    "order": _order,
    "top": _top,
    "probeless": _probeless,
    "probeless_overall": _probeless_overall,
    "clusters": _clusters,
    "independent": _independent,
    "extract": _extract,
    "write": _write,
    "read": _read,
}

if __name__ == "__main__":
    main()
