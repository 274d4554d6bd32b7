# SPDX-License-Identifier: BSD-3-Clause
"""``sklearn-neurox demo``: the main workflow, step by step."""

import time
from pathlib import Path

import numpy as np

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.cli._probing import (
    add_probing_options,
    extract_and_score,
    fit_and_rank,
    make_probe,
    step,
)
from sklearn_neurox.cli._report import check_report_path, write_report
from sklearn_neurox.cli._summary import print_summary
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.extraction import ActivationExtractor

_NEXT_STEPS = """\
Where to go next
  your own treebank   sklearn-neurox demo --data FILE.conllu --label upos
  your own table      docs/tutorial.md begins with a recipe for a table of words and labels
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
    scored = extract_and_score(arguments, extractor, "last", probe)
    ranker, best, baselines = fit_and_rank(scored, probe)
    with step("Ablation: keep some neurons, and fill the others with their mean or retrain"):
        curve = ablation_curve(
            probe,
            scored.H.to_numpy(),
            scored.words["label"].to_numpy(),
            cv=[(scored.train, scored.test)],
            n_draws=5,
            random_state=0,
        )
        print(_ablation_table(curve).to_string())
    with step("A report on each neuron and label"):
        path, label, model = arguments.report, arguments.label, arguments.model
        write_report(path, ranker, scored, label, curve, baselines, model)
    print(f"Done in {time.perf_counter() - started:.0f} s.\n")
    print_summary(
        n_test=len(scored.test),
        baselines=baselines,
        profile=scored.profile,
        best=best,
        curve=curve,
        report=arguments.report,
    )
    print(f"\n{_NEXT_STEPS}", end="")


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
