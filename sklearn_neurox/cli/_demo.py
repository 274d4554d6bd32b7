# SPDX-License-Identifier: BSD-3-Clause
"""``sklearn-neurox demo``: the main workflow, step by step."""

import time
from pathlib import Path

import numpy as np
from sklearn.frozen import FrozenEstimator

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.cli._probing import add_probing_options, extract_and_score, make_probe, step
from sklearn_neurox.cli._report import check_report_path, write_report
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.ranking import LCARanker

_NEXT_STEPS = """\
Where to go next
  your own treebank   sklearn-neurox demo --data FILE.conllu --label upos
  your own model      sklearn-neurox demo --model NAME_OR_FOLDER
  in Python           from sklearn_neurox import ActivationExtractor, SubwordAggregator, LCARanker
                      help(ActivationExtractor) has an example, as do all classes
"""
# A name that the user's own files will not have.
_REPORT = "sklearn-neurox-demo.html"


def add_demo(commands):
    """Add the ``demo`` command."""
    demo = commands.add_parser(
        "demo", help="show the main workflow, from text to ablated neurons, and time each step"
    )
    demo.add_argument(
        "--data", metavar="FILE.conllu", help="a treebank (default: generated sentences)"
    )
    add_probing_options(demo.add_argument)
    demo.add_argument(
        "--report",
        metavar="OUT.html",
        type=Path,
        default=Path(_REPORT),
        help="where to write the HTML report about the neurons; an existing file is replaced "
        "(default: %(default)s in the current folder)",
    )
    demo.set_defaults(run=_demo)


def _demo(arguments):
    started = time.perf_counter()
    probe = make_probe(arguments)
    check_report_path(arguments.report, "--report")
    extractor = ActivationExtractor(arguments.model or demo_model_path(), verbose=1)
    words, H, train, test, layers = extract_and_score(arguments, extractor, "last", probe)
    y = words["label"].to_numpy()
    with step("A probe on all layers, and its best neurons"):
        probe.fit(H.iloc[train], y[train])
        ranker = LCARanker(FrozenEstimator(probe)).fit(H.iloc[train], y[train])
        best = ranker.to_frame()
        print(f"accuracy {probe.score(H.iloc[test], y[test]):.3f}; the ten best neurons:")
        print(_best_table(best, ranker.classes_).to_string(index=False))
    with step("Ablation: keep some neurons, and fill the others with their mean or retrain"):
        curve = ablation_curve(
            probe, H.to_numpy(), y, cv=[(train, test)], n_draws=5, random_state=0
        )
        print(_ablation_table(curve).to_string())
    with step("A report on each neuron and label"):
        write_report(arguments.report, ranker, H, words, arguments.label, curve, layers)
        print("Open it in a browser; no network is needed.")
    print(f"Done in {time.perf_counter() - started:.0f} s.\n\n{_NEXT_STEPS}", end="")


def _best_table(ranking, classes):
    best = ranking.head(10)
    if len(classes) == 2:
        # Two classes share one row of weights.
        return best[["rank", "neuron", "score"]]
    by_class = best[[f"score_{label}" for label in classes]].to_numpy()
    return best[["rank", "neuron", "score"]].assign(
        matters_most_for=classes[by_class.argmax(axis=1)]
    )


def _ablation_table(curve):
    curve = curve.assign(
        kept=(100 * curve["fraction"]).round().astype(int).astype(str) + "%",
        mode=np.where(curve["retrained"], "retrained", "filled"),
    )
    scores = curve.groupby(["mode", "which", "kept"])["score"]
    table = scores.agg(_with_spread).unstack("mode", fill_value="")
    return table.reindex(["all", "top", "random", "bottom"], level=0)


def _with_spread(scores):
    spread = f" ± {scores.std():.3f}" if len(scores) > 1 else ""
    return f"{scores.mean():.3f}{spread}"
