# SPDX-License-Identifier: BSD-3-Clause
"""``sklearn-neurox report``: write an HTML page about the neurons that distinguish labels."""

from pathlib import Path

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.cli._probing import (
    add_probing_options,
    extract_and_score,
    fit_and_rank,
    make_probe,
    step,
)
from sklearn_neurox.cli._reading import add_reading_options, make_extractor
from sklearn_neurox.cli._summary import print_summary
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.inspection import NeuronReport
from sklearn_neurox.utils._output_files import check_writable


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
        type=int,
        metavar="N",
        help="show words and sentences only for the N best neurons, for a smaller page "
        "(default: all, or 1000 of more than 10,000)",
    )
    parser.set_defaults(run=_report)


def _report(arguments):
    check_report_path(arguments.output, "OUT.html")
    probe = make_probe(arguments)
    extractor = make_extractor(
        arguments, arguments.model or demo_model_path(), cache=arguments.cache
    )
    scored = extract_and_score(arguments, extractor, arguments.aggregation, probe)
    ranker, best, baselines = fit_and_rank(scored, probe)
    curve = None
    if not arguments.no_ablation:
        with step("Ablation"):
            curve = ablation_curve(
                probe,
                scored.H.to_numpy(),
                scored.words["label"].to_numpy(),
                cv=[(scored.train, scored.test)],
                n_draws=3,
                random_state=0,
            )
            print(f"{len(curve)} measurements")
    with step("Report"):
        n_detailed = arguments.n_detailed
        output, label = arguments.output, arguments.label
        write_report(output, ranker, scored, label, curve, baselines, arguments.model, n_detailed)
    print_summary(
        n_test=len(scored.test),
        baselines=baselines,
        profile=scored.profile,
        best=best,
        curve=curve,
        report=output,
    )


def check_report_path(path, name):
    """Raise an error naming the argument if the report cannot be written to ``path``."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{name} {path} must end with .html.")
    try:
        check_writable(path, "The report")
    except OSError as error:
        raise ValueError(f"{name}: {error}") from error


def write_report(path, ranker, scored, label, curve, baselines, model, n_detailed=None):
    """Write the report, and print its path and size."""
    report = NeuronReport(
        ranker,
        scored.H,
        scored.words["label"].rename(label),
        scored.words,
        model=model or "all-MiniLM-L6-v2 (the demo model)",
        title=f"Neurons for {label}",
        ablation=curve,
        layer_profile=scored.profile,
        baselines=baselines,
        n_detailed=n_detailed,
    )
    report.write_html(path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
