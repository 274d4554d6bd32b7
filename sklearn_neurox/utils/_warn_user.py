# SPDX-License-Identifier: BSD-3-Clause
"""Warnings that point at the user's own line, whatever lies between."""

import sys
import warnings

# Pipelines, searches and validate_params call this package as the user does.
_BETWEEN = {"sklearn_neurox", "sklearn", "joblib", "contextlib", "imblearn"}


def warn_user(message, category=UserWarning):
    """Warn, as from the innermost line that is not of this package or of scikit-learn.

    A fixed ``stacklevel`` is right for one way to the warning only, and most are reached by
    several: from a function, from the display that draws it, inside a pipeline.

    Parameters
    ----------
    message : str

    category : type, default=UserWarning
    """
    frame, level = sys._getframe(1), 2
    while frame is not None and _is_between(frame):
        frame, level = frame.f_back, level + 1
    # Without such a line, as in a process of workers, the outermost one.
    warnings.warn(message, category, stacklevel=level - (frame is None))


def _is_between(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN
