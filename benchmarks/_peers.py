# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX 1.0.9, called in an environment of its own; every function tells the seconds it took."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from benchmarks._peer_environment import peer_python

_WORKER = Path(__file__).with_name("_neurox_worker.py")


def neurox_train(
    X: ArrayLike,
    y: ArrayLike,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
) -> dict:
    """Train NeuroX's logistic-regression probe.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Made float32, which NeuroX asks for.

    y : array-like of shape (n_samples,)
        Labels of any kind.

    l1, l2 : float, default=0
        NeuroX's ``lambda_l1`` and ``lambda_l2``, with its default; its second penalty is the norm
        itself, not its square.

    epochs, batch_size : int, default=10, 32
        NeuroX's defaults.

    seed : int, default=0
        NeuroX has none; torch is seeded before it draws its start.

    Returns
    -------
    result : dict
        ``coef`` (n_classes, n_features), ``intercept`` (n_classes,), ``classes``, ``seconds``.
    """
    classes, codes = np.unique(np.asarray(y), return_inverse=True)
    result = _train(X, codes.astype(np.int64), "logistic", l1, l2, epochs, batch_size, seed)
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
) -> dict:
    """Train NeuroX's linear-regression probe; see `neurox_train`."""
    y = np.asarray(y, dtype=np.float32)
    return _train(X, y, "linear", l1, l2, epochs, batch_size, seed)


def neurox_order(coef: ArrayLike, *, search_stride: int = 100) -> dict:
    """Order the neurons of a probe's weights: ``order``, ``cutoffs``, ``seconds``."""
    return _call("order", {"coef": _single(coef)}, search_stride=search_stride)


def neurox_top(coef: ArrayLike, mass: float, *, which: str = "top") -> dict:
    """Select the neurons that hold a share of the weight mass.

    ``which`` is "top", "bottom" or "top_hard_threshold". Gives ``overall``, ``class_0``,
    ``class_1``, ..., ``seconds``.
    """
    kind = {"top": "get_top_neurons", "bottom": "get_bottom_neurons"}.get(
        which, "get_top_neurons_hard_threshold"
    )
    return _call("top", {"coef": _single(coef)}, percentage=mass, kind=kind)


def neurox_probeless(X: ArrayLike, y: ArrayLike, *, classes: bool = True) -> dict:
    """Order neurons by the probeless method: ``order``, ``seconds``.

    With ``classes`` also ``class_order`` (n_classes, n_features), rows as sorted labels.
    """
    codes = np.unique(np.asarray(y), return_inverse=True)[1]
    task = "probeless" if classes else "probeless_overall"
    return _call(task, {"X": np.asarray(X), "y": codes})


def neurox_clusters(
    X: ArrayLike, *, threshold: float = 0.5, absolute: bool = True, method: str = "average"
) -> dict:
    """Cluster neurons by correlation: ``labels`` (from 1), ``seconds``."""
    return _call(
        "clusters",
        {"X": np.asarray(X)},
        clustering_threshold=threshold,
        use_abs_correlation=absolute,
        method=method,
    )


def neurox_independent(X: ArrayLike, *, threshold: float = 0.5, seed: int = 0) -> dict:
    """Draw one neuron a correlation cluster: ``neurons``, ``labels``, ``seconds``."""
    return _call("independent", {"X": np.asarray(X)}, clustering_threshold=threshold, seed=seed)


def neurox_extract(model: str, sentences: Sequence[str], *, aggregation: str = "last") -> dict:
    """Extract all layers, sentence by sentence: ``H``, ``n_words``, ``seconds``.

    The words are parted by one space. Loading the model is not in the seconds.
    """
    return _call("extract", {}, model=model, sentences=list(sentences), aggregation=aggregation)


def neurox_write(path: str | os.PathLike, H: ArrayLike, words: pd.DataFrame, **options) -> dict:
    """Write activations of words with NeuroX's writer: ``seconds``.

    ``options`` are ``n_layers`` and those of its ``ActivationsWriter.get_writer``.
    """
    groups = words.groupby("sentence_id", sort=False, observed=True)["word"]
    sentences = groups.agg(list).tolist()
    arrays = {"H": _single(H), "n_words": np.array([len(s) for s in sentences])}
    return _call("write", arrays, path=os.fspath(path), sentences=sentences, **options)


def neurox_read(path: str | os.PathLike, **options) -> dict:
    """Read a file of activations with NeuroX: ``H``, ``n_words``, ``n_layers``, ``seconds``.

    ``options`` are those of its ``load_activations``.
    """
    return _call("read", {}, path=os.fspath(path), **options)


def _train(X, y, kind, l1, l2, epochs, batch_size, seed):
    return _call(
        "train",
        {"X": _single(X), "y": y},
        kind=kind,
        lambda_l1=l1,
        lambda_l2=l2,
        num_epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


def _single(array):
    return np.asarray(array, dtype=np.float32)


def _call(task, arrays, **parameters):
    """Run one task of the worker and return what it saved."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(source, parameters=json.dumps(parameters), **arrays)
        done = subprocess.run(
            [peer_python(), str(_WORKER), task, str(source), str(target)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"NeuroX failed at {task!r}:\n{done.stderr[-2000:]}")
        with np.load(target) as file:
            results = dict(file)
    results["seconds"] = float(results["seconds"])
    return results
