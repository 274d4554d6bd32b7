# SPDX-License-Identifier: BSD-3-Clause
"""The tables that displays draw: their columns, types and summaries."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd

from sklearn_neurox.evaluation._interval_table import interval_table
from sklearn_neurox.utils._containers import read_frame

BANDS = ["std", "range", "interval"]
# Rows that differ in these columns are repeated measurements of one point.
_REPEATED = ("repeat", "fold", "draw", "split", "seed", "run")


def read_columns(frame, columns, *, caller, name="frame"):
    """Return the user's frame as a DataFrame; raise an error if it lacks columns or has no rows."""
    frame = read_frame(frame, caller=caller, name=name)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        what = "the frame" if name == "frame" else f"its {name!r} parameter"
        raise ValueError(
            f"{caller} reads the columns {columns}, but {what} lacks {missing}. It has "
            f"{list(frame.columns)}."
        )
    if frame.empty:
        raise ValueError(f"{caller} got a frame without rows, so there is nothing to draw.")
    return frame


def read_numbers(frame, columns, *, caller):
    """Return the frame with these columns as float64; missing values become NaN."""
    numbers = {}
    for column in columns:
        values = frame[column]
        parsed = pd.to_numeric(values, errors="coerce").astype("object")
        parsed = parsed.where(parsed.notna(), np.nan).astype(np.float64)
        _refuse_row(
            parsed.isna() & values.notna() & (values.astype(str).str.strip() != ""),
            values,
            f"{caller} needs numbers in the column {column!r}",
        )
        _refuse_row(np.isinf(parsed), values, f"{caller} draws finite numbers in {column!r}")
        numbers[column] = parsed
    return frame.assign(**numbers)


def read_booleans(values, *, caller):
    """Return a column of booleans, which may be text if it was read from a file."""
    known = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
    parsed = values.astype(str).str.strip().str.lower().map(known)
    _refuse_row(
        parsed.isna(), values, f"{caller} needs True or False in the column {values.name!r}"
    )
    return parsed.astype(bool)


def _refuse_row(wrong, values, need):
    wrong = np.asarray(wrong, dtype=bool)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{need}, but row {row} has {values.iloc[row]!r} ({int(wrong.sum())} such rows)."
        )


def check_unique(frame, columns, *, caller):
    """Raise an error that names the first combination of values that is repeated."""
    need = f"{caller} needs one row per value of {columns}"
    _refuse_repeated(frame, columns, need, "Aggregate the frame first.")


def _refuse_repeated(frame, columns, need, remedy):
    repeated = frame.duplicated(columns)
    if repeated.any():
        first = frame.loc[repeated, columns].iloc[0].to_dict()
        raise ValueError(
            f"{need}, but {first} is repeated ({int(repeated.sum())} such rows). {remedy}"
        )


def check_one_measurement(frame, by, *, caller):
    """Raise an error if a mean would mix measurements, such as those of two models.

    Such a mix shows as a column of names that is not in `by`, or as repeated rows.
    """
    known = [*by, *_REPEATED, "probe", "ranking", "retrained", "fill", "which"]
    names = frame.select_dtypes(exclude="number").drop(columns=known, errors="ignore")
    for column, values in names.items():
        found = values.dropna().astype(str).unique().tolist()
        if len(found) > 1:
            raise ValueError(
                f"{caller} averages over folds and draws, but the column {column!r} has "
                f"{sorted(found)[:5]}. Keep the rows of one of them."
            )
    keys = [*by, *(column for column in _REPEATED if column in frame)]
    if len(keys) > len(by):
        remedy = (
            "Pass one table at a time. To average over repetitions, number them in a column "
            "'repeat'."
        )
        _refuse_repeated(frame, keys, f"{caller} needs one row per measurement", remedy)


def summarize(frame, words, by, *, band, confidence, caller):
    """Return a mean score and a band for each combination of values of some columns.

    The band "interval" is that of the outcomes of words; the others are the spread of the scores.
    """
    if band == "interval":
        if words is None:
            raise ValueError(
                f"{caller} draws intervals from the outcomes of words. Compute the curve with "
                "return_words=True, and pass the second frame as words=..."
            )
        words = read_columns(words, [*by, "group", "outcome"], caller=caller)
        table = interval_table(words, by, confidence=confidence)
        return table[[*by, "score", "low", "high"]]
    table = frame.groupby(by, sort=False, observed=True)["score"].agg(["mean", "std", "min", "max"])
    # The standard deviation of a single measurement is missing: it has no spread to show.
    low, high = table["min"], table["max"]
    if band == "std":
        low, high = table["mean"] - table["std"], table["mean"] + table["std"]
    points = pd.DataFrame({"score": table["mean"], "low": low, "high": high})
    return points.reset_index()


def band_label(band, confidence):
    """Name a band of `summarize` for a legend."""
    names = {"std": "± 1 standard deviation", "range": "lowest to highest"}
    return names.get(band, f"{100 * confidence:g}% interval")


def confidence_of(frame):
    """Return the confidence level in the ``attrs`` of a frame of `layer_profile`, or None."""
    level = getattr(frame, "attrs", {}).get("confidence")
    return float(level) if isinstance(level, Real) else None


def read_levels(baselines, *, caller):
    """Return the scores of baselines by name, except that of the probe itself."""
    if baselines is None or isinstance(baselines, Mapping):
        scores = dict(baselines or {})
    else:
        table = read_columns(baselines, ["name", "score"], caller=caller, name="baselines")
        scores = dict(zip(table["name"].astype(str), table["score"], strict=True))
    for name, score in scores.items():
        if isinstance(score, bool) or not isinstance(score, Real):
            raise TypeError(
                f"The 'baselines' parameter of {caller} must hold one number for each "
                f"baseline, but that of {name!r} is {score!r:.60}."
            )
        if not np.isfinite(score):
            raise ValueError(
                f"The 'baselines' parameter of {caller} has {score} for {name!r}, which cannot "
                "be drawn. Leave this baseline out."
            )
    return {str(name): float(score) for name, score in scores.items() if name != "probe"}
