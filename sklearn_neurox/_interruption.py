# SPDX-License-Identifier: BSD-3-Clause
"""End the command quietly if it is interrupted while the package is still being imported.

The imports take seconds, during which the command itself cannot catch an interruption yet.
"""

import sys
from pathlib import Path


def _is_command():
    """Return whether this process is ``sklearn-neurox`` or ``python -m sklearn_neurox``."""
    started = [Path(argument).stem for argument in sys.argv[:1]]
    return started == ["sklearn-neurox"] or sys.orig_argv[1:3] == ["-m", "sklearn_neurox"]


def _show(kind, error, traceback):
    if issubclass(kind, KeyboardInterrupt):
        print("sklearn-neurox: interrupted", file=sys.stderr)  # noqa: T201
    else:
        sys.__excepthook__(kind, error, traceback)


if _is_command():
    sys.excepthook = _show
