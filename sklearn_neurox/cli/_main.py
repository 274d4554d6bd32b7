# SPDX-License-Identifier: BSD-3-Clause
import argparse
import re
import sys
import warnings

from sklearn_neurox._version import __version__
from sklearn_neurox.cli._arcs import add_arcs
from sklearn_neurox.cli._demo import add_demo
from sklearn_neurox.cli._extract import add_extract
from sklearn_neurox.cli._report import add_report

_DESCRIPTION = "Find, rank, select and ablate neurons of transformer language models."


def main(argv: list[str] | None = None) -> int:
    """Run the command line interface.

    Parameters
    ----------
    argv : list of str or None, default=None
        The arguments; None uses those of the process.

    Returns
    -------
    status : int
        0 on success; 1 if the input is invalid, after printing what is wrong; 130 if interrupted.
        The process exits with 2 if the arguments cannot be parsed.
    """
    arguments = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _show_as_note
            arguments.run(arguments)
    except (ValueError, ArithmeticError, ImportError, OSError) as error:
        print(f"sklearn-neurox: {_in_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sklearn-neurox: interrupted", file=sys.stderr)
        return 130
    return 0


def _in_one_line(error):
    """Return the message of an error on one line, without the error number of the system."""
    return re.sub(r"\[Errno \d+\] ", "", " ".join(str(error).split()))


def _show_as_note(message, *_):
    """Print a warning without the line of code that it comes from."""
    print(f"note: {message}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser that prints an error in one line, without the list of all options."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}. For help: {self.prog} --help\n")


def _parser():
    parser = _Parser(prog="sklearn-neurox", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    add_demo(commands)
    add_extract(commands)
    add_report(commands)
    add_arcs(commands)
    return parser
