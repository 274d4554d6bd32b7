# SPDX-License-Identifier: BSD-3-Clause
"""Directions in the space of neurons, from whatever holds them: frames, probes and erasers.

A direction is a vector over named neurons. This is what interventions along directions take, in a
matrix or inside a model, so that none of them needs to know where a direction comes from.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.utils._containers import to_pandas


class Directions(NamedTuple):
    """Directions over neurons.

    ``matrix`` has one direction per row and one neuron per column, in the order of ``names``;
    ``labels`` names its rows. An eraser also has ``readouts``, of the same shape, and a ``center``:
    it moves a row x by ``-(x - center) @ readouts.T @ matrix``. For others, both are None.
    """

    names: np.ndarray
    matrix: np.ndarray
    labels: list
    readouts: np.ndarray | None = None
    center: np.ndarray | None = None


def as_directions(source, *, caller, parameter="direction"):
    """Read directions from a Series, a DataFrame, a fitted linear probe or a fitted eraser.

    Parameters
    ----------
    source : Series, DataFrame or estimator
        A Series with neurons as its index is one direction; a DataFrame has neurons as columns and
        one direction per row, named by its index. A probe has ``coef_``, of which every row is a
        direction, named by its class; a `ConceptEraser` has ``directions_``. Estimators must have
        been fitted on columns with names.

    caller, parameter : str
        The function and its parameter, for messages.

    Returns
    -------
    directions : Directions

    Raises
    ------
    TypeError
        If the source is none of these.

    ValueError
        If neurons have no names or repeated ones, the width of a direction is not the number of
        names, or a direction is zero or not finite.
    """
    source = to_pandas(source)
    where = f"The '{parameter}' parameter of {caller}"
    if isinstance(source, pd.Series):
        source = source.to_frame(0 if source.name is None else source.name).T
    if isinstance(source, pd.DataFrame):
        directions = _of_frame(source, where)
    elif isinstance(source, type):
        raise TypeError(f"{where} is the class {source.__name__}. Pass a fitted instance.")
    elif hasattr(source, "fit"):
        directions = _of_estimator(source, where)
    elif isinstance(source, str):
        raise TypeError(
            f"{where} is {source!r:.60}, not a direction. For the direction of a single neuron, "
            f"pass a Series: pd.Series({{{source!r:.60}: 1.0}})."
        )
    else:
        raise TypeError(
            f"{where} must be a Series or DataFrame over neurons, a fitted linear probe or a "
            f"fitted ConceptEraser. Got {type(source).__name__}, whose values do not say which "
            "neurons they belong to: pd.Series(values, index=names) does."
        )
    _check(directions, where)
    return directions


def _of_frame(frame, where):
    if any(
        np.issubdtype(getattr(kind, "type", object), np.complexfloating) for kind in frame.dtypes
    ):
        raise ValueError(f"{where} has complex numbers. Directions must be real.")
    try:
        matrix = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} has values that are not numbers: {error}") from error
    return Directions(frame.columns.to_numpy(dtype=object), matrix, frame.index.tolist())


def _of_estimator(estimator, where):
    kind = type(estimator).__name__
    if hasattr(estimator, "steps"):
        raise ValueError(
            f"{where} is a {kind}, whose last step may have seen columns that its other steps "
            "changed, such as scaled ones, so its coefficients are not directions of the neurons. "
            "Fit the probe on the activations; the elastic-net probes scale inside, with "
            "standardize=True."
        )
    check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        raise ValueError(f"{where} is a {kind}. Pass its best_estimator_.")
    is_eraser = hasattr(estimator, "directions_") and hasattr(estimator, "readouts_")
    if not is_eraser and not hasattr(estimator, "coef_"):
        raise ValueError(
            f"{where} is a {kind}, which has neither coef_, as linear probes do, nor directions_, "
            "as ConceptEraser does."
        )
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        raise ValueError(
            f"{where} is a {kind} that was fitted on columns without names, so its directions have "
            "no neurons. Fit it on a DataFrame: call set_output(transform='pandas') on the "
            "transformer that makes the matrix."
        )
    names = np.asarray(names, dtype=object)
    if is_eraser:
        matrix = estimator.directions_
        return Directions(
            names, matrix, list(range(len(matrix))), estimator.readouts_, estimator.mean_
        )
    coef = estimator.coef_
    coef = coef.toarray() if hasattr(coef, "toarray") else coef
    matrix = np.atleast_2d(np.asarray(coef, dtype=np.float64))
    return Directions(names, matrix, _labels(estimator, len(matrix)))


def _labels(probe, n_rows):
    """Name the rows of coefficients by their classes; with two classes, the row of the second."""
    classes = getattr(probe, "classes_", None)
    classes = [] if classes is None else np.asarray(classes).tolist()
    if n_rows == 1 and len(classes) == 2:
        return classes[1:]
    return classes if len(classes) == n_rows else list(range(n_rows))


def _check(directions, where):
    names, matrix, labels = directions.names, directions.matrix, directions.labels
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise ValueError(
            f"{where} has directions of shape {matrix.shape}, but names {len(names)} neurons. A "
            "direction needs one number per neuron."
        )
    # An eraser that found nothing to erase has no direction, but neurons.
    if not len(names) or (not len(matrix) and directions.readouts is None):
        raise ValueError(f"{where} has no direction: its shape is {matrix.shape}.")
    nameless = [name for name in names if not isinstance(name, str)]
    if nameless:
        raise ValueError(
            f"{where} must have names of neurons, such as 'hidden.3.127', but has {nameless[0]!r}. "
            "The index of a Series, or the columns of a DataFrame, must be neurons."
        )
    repeated = pd.Index(names)[pd.Index(names).duplicated()]
    if len(repeated):
        raise ValueError(f"{where} has the neuron {repeated[0]!r} more than once.")
    wrong = ~np.isfinite(matrix)
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        raise ValueError(
            f"{where} is {matrix[row, column]} at the neuron {names[column]!r} (direction "
            f"{labels[row]!r}). Directions must be finite."
        )
    zero = ~matrix.any(axis=1)
    if zero.any():
        raise ValueError(f"{where} has a direction of length zero: {labels[int(zero.argmax())]!r}.")


def align_directions(directions, names, *, caller, parameter="direction", of="the neurons"):
    """Bring directions into the order of the neurons ``names``, which must be the same neurons.

    ``of`` says what these neurons are, such as "block hidden.3", for the message.
    """
    names = np.asarray(names, dtype=object)
    places = pd.Index(directions.names).get_indexer(names)
    if len(names) == len(directions.names) and (places >= 0).all():
        parts = (directions.matrix, directions.readouts, directions.center)
        matrix, readouts, center = (None if part is None else part[..., places] for part in parts)
        return Directions(names, matrix, directions.labels, readouts, center)
    unknown = directions.names[~np.isin(directions.names, names)]
    first = f"; it has {unknown[0]!r}, which is not among them" if len(unknown) else ""
    lacking = names[places < 0]
    if len(lacking) and not len(unknown):
        first = f"; it lacks {lacking[0]!r}"
    raise ValueError(
        f"The '{parameter}' parameter of {caller} has directions over {len(directions.names)} "
        f"neurons, but {of} has {len(names)}{first}. Take the direction from the same layer."
    )
