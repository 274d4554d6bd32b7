# SPDX-License-Identifier: BSD-3-Clause
"""Redundant layers and neurons (Dalvi et al. 2020, tables 1 and 2)."""

import time

import numpy as np
import pandas as pd

from benchmarks._papers._treebank import Treebank, linear_probe, share
from sklearn_neurox import CorrelationClusterSelector, LayerSelector, MinimalNeuronSelector

_DELTA = 0.01
# So that the table takes minutes: each fifth sentence.
_EVERY = 5
_SIZES = [0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7]


def make(*, quick):
    """Return one row per task."""
    rows = []
    for label in ("upos",) if quick else ("upos", "Number", "xpos"):
        data = Treebank.read(quick=quick, label=label, every=1 if quick else _EVERY)
        data = data.with_common_labels(label)
        rows.append(_row(data, label, quick))
    return {f"loss of accuracy per step of at most {_DELTA:.0%}": pd.DataFrame(rows)}


def _row(data, label, quick):
    started = time.perf_counter()
    H, y = data.activations(layers=[0, 2, 4] if quick else None), data.labels(label)
    train, test = data.split
    # The steps choose on a part of the training sentences; the test words are never seen.
    X, own = H.iloc[train], y[train]
    held_out = pd.factorize(data.groups[train])[0] % 5 == 0
    inner = [(np.flatnonzero(~held_out), np.flatnonzero(held_out))]
    steps = {
        "layers": LayerSelector("auto", estimator=linear_probe(), delta=_DELTA, cv=inner),
        "clusters": CorrelationClusterSelector(0.3),
        "minimal": MinimalNeuronSelector(
            linear_probe(tol=1e-5), delta=_DELTA, sizes=_SIZES, cv=inner
        ),
    }
    row = {"task": f"{label}, {len(np.unique(y))} labels, {data.sizes}"}
    found = {"oracle": H.columns}
    columns = H.columns
    for name, step in steps.items():
        step.set_output(transform="pandas")
        columns = step.fit_transform(X[columns], own).columns
        found[name] = columns
    for name, columns in found.items():
        probe = linear_probe().fit(X[columns], own)
        right = probe.predict(H[columns].iloc[test]) == y[test]
        row[f"{name}: accuracy"] = share(right, data.groups[test])
        row[f"{name}: neurons"] = f"{len(columns):,} ({len(columns) / H.shape[1]:.1%})"
    row["layers kept"] = f"0 to {steps['layers'].layers_[-1]}"
    row["seconds"] = round(time.perf_counter() - started)
    return row
