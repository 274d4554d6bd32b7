# SPDX-License-Identifier: BSD-3-Clause
"""``sklearn-neurox report``: write an HTML page about the neurons that distinguish labels."""

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
from sklearn_neurox.cli._reading import add_reading_options, count_from, make_extractor
from sklearn_neurox.cli._summary import print_summary
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.inspection import NeuronReport
from sklearn_neurox.utils._files._output_files import check_writable


def add_report(commands):
    """Add the ``report`` command."""
    parser = commands.add_parser(
        "report", help="write an HTML page about the neurons that distinguish labels"
    )
    add = parser.add_argument
    add("data", metavar="DATA.conllu", help="a treebank")
    add(
        "output",
        metavar="OUT.html",
        type=Path,
        help="the HTML page to write; an existing file is replaced",
    )
    add_probing_options(add)
    add_reading_options(add)
    add("--no-ablation", action="store_true", help="skip the ablation, which takes the most time")
    add(
        "--n-detailed",
        type=count_from(0),
        metavar="N",
        help="show words and sentences only for the N best neurons, for a smaller page "
        "(default: all, or 1000 of more than 10,000)",
    )
    parser.set_defaults(run=_report)


def _report(arguments):
    model = arguments.model or demo_model_path()
    report_on(
        arguments,
        make_extractor(arguments, model, cache=arguments.cache),
        arguments.output,
        argument="OUT.html",
        aggregation=arguments.aggregation,
        n_draws=0 if arguments.no_ablation else 3,
        n_detailed=arguments.n_detailed,
    )


def report_on(arguments, extractor, path, *, argument, aggregation, n_draws, n_detailed=None):
    """Run all steps from the words to the report, and print what they find.

    ``argument`` is the name of the argument that gives the ``path`` of the report; ``n_draws`` is
    the number of random choices of neurons in the ablation, or 0 for no ablation.
    """
    started = time.perf_counter()
    _check_report_path(path, argument)
    probe = make_probe(arguments)
    scored = extract_and_score(arguments, extractor, aggregation, probe)
    ranker, best, baselines = fit_and_rank(scored, probe)
    curve = _ablate(probe, scored, n_draws) if n_draws else None
    with step("A report on each neuron and label"):
        report = NeuronReport(
            ranker,
            scored.H,
            scored.words["label"].rename(arguments.label),
            scored.words,
            model=arguments.model or "all-MiniLM-L6-v2 (the demo model)",
            title=f"Neurons for {arguments.label}",
            ablation=curve,
            layer_profile=scored.profile,
            baselines=baselines,
            n_detailed=n_detailed,
        )
        report.write_html(path)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"Done in {time.perf_counter() - started:.0f} s.\n")
    print_summary(
        n_test=len(scored.test),
        baselines=baselines,
        profile=scored.profile,
        best=best,
        curve=curve,
        report=path,
    )


def _check_report_path(path, argument):
    """Raise an error naming the argument if the report cannot be written to ``path``."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{argument} {path} must end with .html.")
    try:
        check_writable(path, "The report")
    except OSError as error:
        raise ValueError(f"{argument}: {error}") from error


def _ablate(probe, scored, n_draws):
    """Compute the ablation curve, and print its mean scores."""
    with step("Ablation: keep some neurons, and fill the others with their mean or retrain"):
        curve = ablation_curve(
            probe,
            scored.H.to_numpy(),
            scored.words["label"].to_numpy(),
            cv=[(scored.train, scored.test)],
            n_draws=n_draws,
            random_state=0,
        )
        named = curve.assign(
            kept=(100 * curve["fraction"]).round().astype(int).astype(str) + "%",
            mode=np.where(curve["retrained"], "retrained", "filled"),
        )
        scores = named.groupby(["mode", "which", "kept"])["score"]
        table = scores.agg(_with_spread).unstack("mode", fill_value="")
        print(table.reindex(["all", "top", "random", "bottom"], level=0).to_string())
    return curve


def _with_spread(scores):
    spread = f" ± {scores.std():.3f}" if len(scores) > 1 else ""
    return f"{scores.mean():.3f}{spread}"
