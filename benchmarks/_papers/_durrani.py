# SPDX-License-Identifier: BSD-3-Clause
"""Minimal neurons and their selectivity (Durrani et al. 2020, table 2)."""

import pandas as pd

from benchmarks._papers._treebank import Treebank, linear_probe, with_interval
from sklearn_neurox import MinimalNeuronSelector
from sklearn_neurox.evaluation import interval_table, selectivity_score

_DELTA = 0.01
# So that the table takes minutes: each fifth sentence.
_EVERY = 5
_SIZES = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3]
_N_DRAWS = 3


def make(*, quick):
    """Return one row per task."""
    tasks = ("upos",) if quick else ("upos", "Number", "xpos")
    rows = pd.DataFrame([_row(label, quick) for label in tasks])
    return {f"loss of accuracy of at most {_DELTA:.0%}": rows}


def _row(label, quick):
    data = Treebank.read(quick=quick, label=label, every=1 if quick else _EVERY)
    data = data.with_common_labels(label)
    H, y = data.activations(layers=[2] if quick else None), data.labels(label)
    train, _ = data.split
    held_out = pd.factorize(data.groups[train])[0] % 5 == 0
    inner = [((~held_out).nonzero()[0], held_out.nonzero()[0])]
    selector = MinimalNeuronSelector(
        linear_probe(tol=1e-5), delta=_DELTA, sizes=_SIZES, cv=inner
    ).fit(H.iloc[train], y[train])
    kept = selector.get_support()
    row = {
        "task": f"{label}, {len(set(y))} labels, {data.sizes}",
        "all neurons": H.shape[1],
        "minimal neurons": f"{kept.sum()} ({kept.mean():.1%})",
    }
    for name, X in {"all": H, "minimal": H.loc[:, kept]}.items():
        _, of_words = selectivity_score(
            linear_probe(),
            X,
            y,
            types=data.words["word"],
            n_draws=_N_DRAWS,
            groups=data.groups,
            cv=[data.split],
            return_words=True,
        )
        for title, column in {"accuracy": "task", "selectivity": "outcome"}.items():
            found = interval_table(of_words, outcome=column).iloc[0]
            row[f"{name}: {title}"] = with_interval(found)
    return row
