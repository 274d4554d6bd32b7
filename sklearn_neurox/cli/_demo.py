# SPDX-License-Identifier: BSD-3-Clause
"""``sklearn-neurox demo``: the main workflow, step by step."""

from pathlib import Path

from sklearn_neurox.cli._probing import add_probing_options
from sklearn_neurox.cli._report import report_on
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
    extractor = ActivationExtractor(arguments.model or demo_model_path(), verbose=1)
    report_on(
        arguments, extractor, arguments.report, argument="--report", aggregation="last", n_draws=5
    )
    print(f"\n{_NEXT_STEPS}", end="")
