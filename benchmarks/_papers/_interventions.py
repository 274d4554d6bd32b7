# SPDX-License-Identifier: BSD-3-Clause
"""Change the top neurons of rankings inside the model (Antverg and Belinkov 2022, section 5)."""

from contextlib import ExitStack

import numpy as np
import pandas as pd

from benchmarks._papers._treebank import linear_probe, with_interval
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import interval_table
from sklearn_neurox.ranking import GaussianRanker, RandomRanker

# Where the probes read what becomes of a change.
_LAST = 6
_N_DRAWS = 2
_DETAILED = 50
_CHANGES = {
    "ablated": lambda count: {"fill": "zero"},
    "moved by 1": lambda count: {"fill": "translate", "step": 1.0},
    "moved by 8 to .001": lambda count: {
        "fill": "translate",
        "step": np.geomspace(8, 1e-3, 384)[:count],
    },
}
_OUTCOMES = {
    "other Number": "other",
    "other Number, same part of speech": "same part",
    "other words: same part of speech": "bystanders",
}


def interventions(words, carriers, rankers, layer, sizes):
    """Return tables of what probes of the last layer predict after changes.

    Parameters
    ----------
    words, carriers : Treebank
        All words, and those of them that have the attribute.

    rankers : dict
        Rankers by name.

    layer : int
        Where neurons are ranked and changed.

    sizes : list of int
        How many.
    """
    inside = _Inside(words, carriers, layer)
    orders = [(name, 0, inside.order(ranker)) for name, ranker in rankers.items()]
    for draw in range(_N_DRAWS):
        orders.append(("random", draw, inside.order(RandomRanker(random_state=draw))))
    unchanged = inside.outcomes([], {}).assign(change="none", ranking="", k=0)
    # What stays the same is counted from these.
    parts = [unchanged.assign(bystanders=np.nan)]
    for change, options in _CHANGES.items():
        for name, draw, order in orders:
            for size in sizes:
                found = inside.outcomes(order[:size], options(size))
                parts.append(found.assign(change=change, ranking=name, k=size, draw=draw))
        every = inside.outcomes(orders[0][2], options(len(orders[0][2])))
        parts.append(every.assign(change=change, ranking="all", k=len(orders[0][2])))
    outcomes = pd.concat(parts, ignore_index=True)
    tables = {
        f"{change}: {title}": _wide(outcomes[outcomes["change"] == change], column)
        for change, title, column in (
            ("ablated", "own Number", "own"),
            ("moved by 1", "other Number", "other"),
            ("moved by 8 to .001", "other Number", "other"),
        )
    }
    size = min(_DETAILED, max(sizes))
    detailed = outcomes[outcomes["k"].isin([0, size]) | (outcomes["ranking"] == "all")]
    return {**tables, f"all outcomes, {size} or all neurons": _detailed(detailed)}


class _Inside:
    """The held-out sentences, read while neurons of the words with the attribute are changed.

    Two probes of the last layer, fitted on unchanged training sentences, then predict the Number of
    these words and the part of speech of all.
    """

    def __init__(self, words, carriers, layer):
        train, test = carriers.split
        held_out = words.words["text"].isin(carriers.words["text"].iloc[test])
        self.words = words.words[held_out].reset_index(drop=True)
        labels = carriers.words["Number"].unique()
        number = words.words["Number"].where(words.words["Number"].isin(labels))
        self.number = number[held_out].reset_index(drop=True)
        H = _states(words.words[~held_out], [layer, _LAST])
        self.X, last = (H.filter(regex=rf"^hidden.{place}[.]") for place in (layer, _LAST))
        has = number[~held_out].notna().to_numpy()
        self.X, self.y = self.X[has], number[~held_out][has].to_numpy(dtype=str)
        self.groups = words.words["text"][~held_out][has].astype(str).to_numpy()
        self.means = self.X.groupby(self.y).mean()
        self.number_probe = linear_probe().fit(last[has], self.y)
        parts = words.words["upos"][~held_out].to_numpy(dtype=str)
        self.part_probe = linear_probe().fit(last, parts)
        self.before = self.part_probe.predict(_states(self.words, [_LAST]))

    def order(self, ranker):
        """Return the names of the neurons, best first."""
        groups = {"groups": self.groups} if isinstance(ranker, GaussianRanker) else {}
        return ranker.fit(self.X, self.y, **groups).to_frame()["neuron"].tolist()

    def outcomes(self, neurons, options):
        """Return the outcomes of each word, of which a word with the attribute has three."""
        with ExitStack() as stack:
            for label, other in (("Sing", "Plur"), ("Plur", "Sing")) if neurons else ():
                own = {"positions": self.words[self.number == label]}
                if options["fill"] == "translate":
                    own["values"] = (self.means.loc[other] - self.means.loc[label])[neurons]
                stack.enter_context(ablate_model(demo_model_path(), neurons, **options, **own))
            H = _states(self.words, [_LAST])
        is_own = self.number_probe.predict(H) == self.number
        same, carries = self.part_probe.predict(H) == self.before, self.number.notna()
        return pd.DataFrame(
            {
                "group": self.words["text"].astype(str),
                "own": is_own.where(carries),
                "other": (~is_own).where(carries),
                "same part": (~is_own & same).where(carries),
                "bystanders": pd.Series(same).where(~carries),
            }
        )


def _states(words, layers):
    extractor = ActivationExtractor(demo_model_path(), layers=layers)
    aggregator = SubwordAggregator("last").set_output(transform="pandas")
    return aggregator.fit_transform(extractor.fit_transform(words))


def _cells(outcomes, by, column):
    known = outcomes[outcomes[column].notna()].astype({column: float})
    table = interval_table(known, by=by, outcome=column)
    return table.assign(cell=table.apply(with_interval, axis=1))


def _wide(outcomes, column):
    table = _cells(outcomes, ["ranking", "k"], column)
    wide = table.pivot(index="ranking", columns="k", values="cell")
    return wide.reindex(table["ranking"].drop_duplicates()).reset_index()


def _detailed(outcomes):
    by = ["change", "ranking", "k"]
    found = {
        title: _cells(outcomes, by, column).set_index(by)["cell"]
        for title, column in _OUTCOMES.items()
    }
    return pd.concat(found, axis=1).reset_index()
