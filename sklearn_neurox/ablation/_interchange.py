# SPDX-License-Identifier: BSD-3-Clause
"""Read the states of other rows, to insert them at the tokens of rows."""

import numpy as np
import pandas as pd

from sklearn_neurox.extraction import ActivationExtractor


def check_interchange(values, fills, tokens, extractor, *, caller):
    """Check the other rows, and return a function that reads their states.

    Parameters
    ----------
    values : DataFrame with a column ``text``, array-like of str, or of shape (n_rows, n_neurons)
        The other rows; or states, one per row.

    fills : Fills or DirectionFills

    tokens : list of TokensOfRows
        The tokens of the rows at which the model is changed, by stack.

    extractor : ActivationExtractor
        Reads the model.

    caller : str
        The public function, for messages.

    Returns
    -------
    read : callable
        Returns the states of the neurons ``fills.read``, one row for each token of the rows.
    """
    if values is None:
        raise ValueError(
            f"The 'values' parameter of {caller} is None, but fill='interchange' needs the other "
            "rows, as a frame with the columns 'text', 'start' and 'end', or their states."
        )
    if len(tokens) != 1:
        raise ValueError(
            f"{caller} interchanges states of the encoder or of the decoder, not of both at once. "
            "Nest two contexts."
        )
    (own,) = tokens
    n_rows = len(own.rows)
    if not isinstance(values, pd.DataFrame) and _are_texts(values):
        values = pd.DataFrame({"text": list(values)})
    if isinstance(values, pd.DataFrame) and "text" in values.columns:
        return _check_rows(values, fills, own, extractor, caller)
    states = _states(values, fills, n_rows, caller)
    expanded = np.repeat(states, np.diff(own.ptr), axis=0)
    return lambda: expanded


def _are_texts(values):
    return np.ndim(values) == 1 and any(isinstance(value, str) for value in values)


def _states(values, fills, n_rows, caller):
    names = fills.read
    if isinstance(values, pd.DataFrame):
        lacking = [name for name in names if name not in values.columns]
        if lacking:
            raise ValueError(
                f"The 'values' parameter of {caller} is a DataFrame that lacks the neuron "
                f"{lacking[0]!r} ({len(lacking)} in total). It must hold states, with neurons as "
                "columns, or rows, with the columns 'text', 'start' and 'end'."
            )
        values = values[list(names)]
    states = np.asarray(values, dtype=np.float64)
    if states.shape != (n_rows, len(names)):
        raise ValueError(
            f"The 'values' parameter of {caller} must hold one state per row of the positions, of "
            f"shape ({n_rows}, {len(names)}). Got shape {states.shape}."
        )
    if not np.isfinite(states).all():
        raise ValueError(f"The 'values' parameter of {caller} has states that are not finite.")
    return states


def _check_rows(values, fills, own, extractor, caller):
    from sklearn_neurox.extraction._editing._row_positions import TokensOfRows

    others = TokensOfRows(extractor._request(), values, stack=own.stack, caller=caller)
    if len(others.rows) != len(own.rows):
        raise ValueError(
            f"The 'values' parameter of {caller} has {len(others.rows)} rows, but the positions "
            f"have {len(own.rows)}. They are paired one by one."
        )
    counts, other_counts = np.diff(own.ptr), np.diff(others.ptr)
    wrong = np.flatnonzero(counts != other_counts)
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"{own.rows.name(row).capitalize()} of the positions given to {caller}, "
            f"{own.rows.spelled_by(row)!r}, has another number of tokens ({counts[row]}) than its "
            f"counterpart in 'values', {others.rows.spelled_by(row)!r} ({other_counts[row]}; "
            f"{len(wrong)} such rows), so its states cannot be paired. Choose rows of equally many "
            "tokens, or pass one state per row, such as the mean over its tokens, which all tokens "
            "then get."
        )
    blocks = fills.blocks
    layers = sorted({block.layer for block in blocks if block.has_layers})
    reader = ActivationExtractor(
        **extractor.get_params()
        | {
            "component": list(dict.fromkeys(block.component for block in blocks)),
            "layers": layers or None,
            "stack": own.stack,
            "missing": "error",
        }
    )

    def read():
        rows = others.as_token_rows(values)
        states = reader.transform(rows).pool("last")
        columns = pd.Index(reader.get_feature_names_out()).get_indexer(fills.read)
        return np.asarray(states[:, columns], dtype=np.float64)

    return read
