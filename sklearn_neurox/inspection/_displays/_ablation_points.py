# SPDX-License-Identifier: BSD-3-Clause
"""The points of an ablation curve: means and bands of the measured scores."""

import numpy as np
import pandas as pd

from sklearn_neurox.inspection._displays._frames import (
    check_one_measurement,
    read_booleans,
    read_columns,
    read_numbers,
    summarize,
)


def ablation_points(frame, words, *, band, confidence, caller):
    """Return the points of a curve that the user passes; see `AblationCurveDisplay.from_frame`.

    The columns are ``way``, ``which``, ``fraction``, ``score``, ``low`` and ``high``.
    """
    frame = read_columns(frame, ["which", "fraction", "retrained", "fill", "score"], caller=caller)
    frame = read_numbers(frame, ["fraction", "score"], caller=caller)
    _check_single(frame, caller)
    return _summary(frame, words, caller, {"band": band, "confidence": confidence})


def _check_single(frame, caller):
    for column in ("probe", "ranking"):
        if column not in frame:
            continue
        values = frame[column].unique().tolist()
        shared = {"all", "random"} if column == "ranking" else set()
        if len(set(values) - shared) > 1:
            others = ", together with those named 'all' and 'random'" if shared else ""
            raise ValueError(
                f"{caller} draws one {column}, but the column {column!r} has "
                f"{sorted(set(values) - shared)}. Keep the rows of one {column}{others}."
            )


def _summary(frame, words, caller, options):
    """Reduce the scores to a mean and a band per point, and add the score on all neurons."""
    ablated = frame[frame["which"] != "all"]
    unknown = set(ablated["which"]) - {"top", "random", "bottom"}
    if unknown or ablated.empty:
        raise ValueError(
            f"{caller} draws rows in which 'which' is 'top', 'random' or 'bottom', got "
            f"{sorted(map(str, unknown)) if unknown else 'none of these'}."
        )
    by = ["way", "which", "fraction"]
    frame = _with_way(frame, caller)
    check_one_measurement(frame, by, caller=caller)
    points = summarize(frame, _with_way(words, caller), by, caller=caller, **options)
    everything = points["which"] == "all"
    summary = points[~everything].sort_values(by, ignore_index=True)
    if everything.any():
        ways = pd.DataFrame({"way": summary["way"].unique()})
        baseline = ways.merge(points[everything].drop(columns="way"), how="cross")
        summary = pd.concat([summary, baseline], ignore_index=True)
    return summary


def _with_way(frame, caller):
    if frame is None or not {"retrained", "fill", "which"} <= set(frame.columns):
        return frame
    # The score on all neurons belongs to every way.
    is_all = frame["which"] == "all"
    retrained = read_booleans(frame["retrained"].astype(object).where(~is_all, True), caller=caller)
    way = np.where(retrained, "retrained", "filled: " + frame["fill"].astype(str))
    return frame.assign(way=np.where(is_all, "retrained", way))
