# SPDX-License-Identifier: BSD-3-Clause
"""Rankings, with every probe and inside the model (Antverg and Belinkov 2022)."""

from benchmarks._papers._interventions import interventions
from benchmarks._papers._treebank import Treebank, linear_probe, with_interval
from sklearn_neurox import GaussianProbeClassifier
from sklearn_neurox.ablation import ablation_table
from sklearn_neurox.evaluation import interval_table
from sklearn_neurox.ranking import GaussianRanker, LCARanker, ProbelessRanker

_LAYER = 2
# The paper leaves out values with fewer words.
_MIN_COUNT = 100


def make(*, quick):
    """Return tables of rankings by number of neurons: one per probe, and those inside the model."""
    data = Treebank.read(quick=quick, label="Number")
    counts = data.words["Number"].map(data.words["Number"].value_counts())
    data = Treebank(data.words[counts >= _MIN_COUNT].reset_index(drop=True))
    sizes = [10, 50] if quick else [10, 50, 100, 150]
    rankers = {
        "linear": LCARanker(linear_probe(alpha=1.1e-2, l1_ratio=0.09, tol=1e-5)),
        "Gaussian": GaussianRanker(max_neurons=10 if quick else 150),
        "probeless": ProbelessRanker(),
    }
    _, of_words = ablation_table(
        data.activations(layers=[_LAYER]),
        data.labels("Number"),
        rankings=rankers,
        probes={
            "linear": linear_probe(alpha=1.1e-2, l1_ratio=0.09),
            "Gaussian": GaussianProbeClassifier(),
        },
        fractions=sizes,
        retrain=True,
        n_draws=3,
        groups=data.groups,
        cv=[data.split],
        random_state=0,
        return_words=True,
    )
    by = ["probe", "ranking", "which", "n_neurons"]
    table = interval_table(of_words, by=by)
    table["cell"] = table.apply(with_interval, axis=1)
    table["ranking"] = table["ranking"].where(
        table["which"].isin(["all", "random"]), table["which"] + " of " + table["ranking"]
    )
    labels = data.words["Number"].value_counts()
    title = f"Number ({', '.join(f'{k} {v:,}' for k, v in labels.items())}), layer {_LAYER}, "
    trained = {
        f"{title}{data.sizes}, {probe} probe trained on these neurons": _wide(own)
        for probe, own in table.groupby("probe", sort=False)
    }
    words = Treebank.read(quick=quick)
    if quick:
        sizes, rankers = sizes[:1], {"probeless": rankers["probeless"]}
    changed = interventions(words, data, rankers, _LAYER, sizes)
    return trained | {
        f"{title}read at the last layer, {name}": own for name, own in changed.items()
    }


def _wide(table):
    wide = table.pivot(index="ranking", columns="n_neurons", values="cell")
    order = table["ranking"].drop_duplicates()
    return wide.reindex(order).reset_index()
