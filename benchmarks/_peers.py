# SPDX-License-Identifier: BSD-3-Clause
"""Call NeuroX 1.0.9 and cyanure in a separate environment; every result has its ``seconds``.

Functions with a ``timeout`` raise TimeoutError once the call itself has run for that many seconds.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from benchmarks._neurox_worker import TIMED_OUT
from benchmarks._peer_environment import peer_python

_WORKER = Path(__file__).with_name("_neurox_worker.py")
# Allowance for the worker's imports, reading its input and loading a model.
_STARTUP_SECONDS = 60


def neurox_train(
    X: ArrayLike,
    y: ArrayLike,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    trace: bool = False,
    timeout: float | None = None,
) -> dict:
    """Train NeuroX's logistic-regression probe.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The data, converted to float32, which NeuroX requires.

    y : array-like of shape (n_samples,)
        The labels, of any type.

    l1, l2 : float, default=0
        NeuroX's ``lambda_l1`` and ``lambda_l2``. Its second penalty is the norm itself, not the
        square of the norm.

    epochs, batch_size : int, default=10, 32
        The number of epochs and the batch size; the defaults are NeuroX's.

    seed : int, default=0
        The seed of torch, set before NeuroX initializes the weights; NeuroX itself takes no seed.

    trace : bool, default=False
        Whether to also return ``epoch_seconds`` (n_epochs,), ``epoch_coef`` (n_epochs, n_classes,
        n_features) and ``epoch_intercept`` (n_epochs, n_classes): the state after each epoch, from
        which the caller can compute the objective.

    timeout : float or None, default=None
        Seconds after which training is stopped. With ``trace`` the epochs completed by then are
        returned, if there are any.

    Returns
    -------
    result : dict
        ``coef`` (n_classes, n_features), ``intercept`` (n_classes,), ``classes``, ``seconds``
        (of training alone).

    Raises
    ------
    TimeoutError
        If training takes longer than ``timeout`` seconds; with ``trace``, only if no epoch was
        completed.
    """
    classes, codes = np.unique(np.asarray(y), return_inverse=True)
    result = _train(
        X,
        codes.astype(np.int64),
        "logistic",
        timeout,
        lambda_l1=l1,
        lambda_l2=l2,
        num_epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        trace=trace,
    )
    return {**result, "classes": classes}


def neurox_train_regression(
    X: ArrayLike,
    y: ArrayLike,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    trace: bool = False,
    timeout: float | None = None,
) -> dict:
    """Train NeuroX's linear-regression probe; see `neurox_train`."""
    y = np.asarray(y, dtype=np.float32)
    return _train(
        X,
        y,
        "linear",
        timeout,
        lambda_l1=l1,
        lambda_l2=l2,
        num_epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        trace=trace,
    )


def cyanure_fit(
    X: ArrayLike, y: ArrayLike, *, kind: str, alpha: float, l1_ratio: float, tol: float
) -> dict:
    """Fit cyanure's penalized linear model: ``coef``, ``intercept``, ``seconds``.

    ``kind`` is "multinomial", "binary" or "regression"; the objective is that of the probes.
    """
    y = np.asarray(y)
    y = y.astype(np.float32) if kind == "regression" else np.unique(y, return_inverse=True)[1]
    parameters = {"kind": kind, "alpha": alpha, "l1_ratio": l1_ratio, "tol": tol}
    return _call("cyanure", {"X": _single(X), "y": y}, None, **parameters)


def neurox_order(
    coef: ArrayLike, *, search_stride: int = 100, timeout: float | None = None
) -> dict:
    """Order the neurons of a probe's weights: ``order``, ``cutoffs``, ``seconds``."""
    return _call("order", {"coef": _single(coef)}, timeout, search_stride=search_stride)


def neurox_top(
    coef: ArrayLike, mass: float, *, which: str = "top", timeout: float | None = None
) -> dict:
    """Select the neurons that make up a fraction of the weight mass.

    ``which`` is "top", "bottom" or "top_hard_threshold". The result contains ``overall``,
    ``class_0``, ``class_1``, ... and ``seconds``.
    """
    kind = {"top": "get_top_neurons", "bottom": "get_bottom_neurons"}.get(
        which, "get_top_neurons_hard_threshold"
    )
    return _call("top", {"coef": _single(coef)}, timeout, percentage=mass, kind=kind)


def neurox_probeless(
    X: ArrayLike, y: ArrayLike, *, classes: bool = True, timeout: float | None = None
) -> dict:
    """Order neurons by the probeless method: ``order``, ``seconds``.

    With ``classes``, also ``class_order`` (n_classes, n_features), one row per sorted label.
    """
    codes = np.unique(np.asarray(y), return_inverse=True)[1]
    task = "probeless" if classes else "probeless_overall"
    return _call(task, {"X": np.asarray(X), "y": codes}, timeout)


def neurox_clusters(
    X: ArrayLike,
    *,
    threshold: float = 0.5,
    absolute: bool = True,
    method: str = "average",
    timeout: float | None = None,
) -> dict:
    """Cluster neurons by correlation: ``labels`` (from 1), ``seconds``."""
    return _call(
        "clusters",
        {"X": np.asarray(X)},
        timeout,
        clustering_threshold=threshold,
        use_abs_correlation=absolute,
        method=method,
    )


def neurox_independent(
    X: ArrayLike, *, threshold: float = 0.5, seed: int = 0, timeout: float | None = None
) -> dict:
    """Draw one neuron per correlation cluster: ``neurons``, ``labels``, ``seconds``."""
    parameters = {"clustering_threshold": threshold, "seed": seed}
    return _call("independent", {"X": np.asarray(X)}, timeout, **parameters)


def neurox_extract(
    model: str,
    sentences: Sequence[str],
    *,
    aggregation: str = "last",
    timeout: float | None = None,
) -> dict:
    """Extract all layers, sentence by sentence: ``H``, ``n_words``, ``seconds``.

    The words of a sentence are separated by single spaces. The time excludes loading the model.
    """
    parameters = {"sentences": list(sentences), "aggregation": aggregation}
    return _call("extract", {}, timeout, model=model, **parameters)


def neurox_write(path: str | os.PathLike, H: ArrayLike, words: pd.DataFrame, **options) -> dict:
    """Write word activations with NeuroX's writer: ``seconds``.

    ``options`` are ``n_layers`` and the options of NeuroX's ``ActivationsWriter.get_writer``.
    """
    groups = words.groupby("sentence_id", sort=False, observed=True)["word"]
    sentences = groups.agg(list).tolist()
    arrays = {"H": _single(H), "n_words": np.array([len(s) for s in sentences])}
    return _call("write", arrays, None, path=os.fspath(path), sentences=sentences, **options)


def neurox_read(path: str | os.PathLike, **options) -> dict:
    """Read an activation file with NeuroX: ``H``, ``n_words``, ``n_layers``, ``seconds``.

    ``options`` are those of NeuroX's ``load_activations``.
    """
    return _call("read", {}, None, path=os.fspath(path), **options)


def _train(X, y, kind, timeout, **parameters):
    return _call("train", {"X": _single(X), "y": y}, timeout, kind=kind, **parameters)


def _single(array):
    return np.asarray(array, dtype=np.float32)


def _call(task, arrays, timeout, **parameters):
    """Run one task in a worker and return its results."""
    parameters["timeout"] = timeout
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(source, parameters=json.dumps(parameters), **arrays)
        done = _run([peer_python(), str(_WORKER), task, str(source), str(target)], timeout)
        if done is None or done.returncode == TIMED_OUT:
            raise TimeoutError(f"NeuroX was stopped at {task!r} after {timeout:g} s.")
        if done.returncode:
            raise RuntimeError(f"NeuroX failed at {task!r}:\n{done.stderr[-2000:]}")
        with np.load(target) as file:
            results = dict(file)
    results["seconds"] = float(results["seconds"])
    return results


def _run(command, timeout):
    """Run a command, and give up if a long C call keeps it from handling the alarm signal."""
    limit = None if timeout is None else 2 * timeout + _STARTUP_SECONDS
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
