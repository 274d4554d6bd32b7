# SPDX-License-Identifier: BSD-3-Clause
"""Warnings that point at the user's own line, whatever the call stack."""

import sys
import warnings

# Pipelines, searches and validate_params call this package on behalf of the user.
_BETWEEN = {"sklearn_neurox", "sklearn", "joblib", "contextlib", "imblearn"}


def warn_user(message, category=UserWarning):
    """Warn at the innermost line outside this package and scikit-learn.

    A fixed ``stacklevel`` fits only one call path, and most warnings are reached by several: from
    a function, from the display that draws its result, inside a pipeline.
    """
    frame, level = sys._getframe(1), 2
    while frame is not None and _is_between(frame):
        frame, level = frame.f_back, level + 1
    # Without such a line, as in a worker process, use the outermost one.
    warnings.warn(message, category, stacklevel=level - (frame is None))


def _is_between(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN
