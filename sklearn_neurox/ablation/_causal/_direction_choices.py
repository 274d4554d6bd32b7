# SPDX-License-Identifier: BSD-3-Clause
"""Which directions to change in each run: each one, all, random ones, or an eraser's."""

from dataclasses import replace

import numpy as np
import pandas as pd

from sklearn_neurox.ablation._causal._choices import Choice, check_which
from sklearn_neurox.ablation._causal._gold_labels import gold_fills
from sklearn_neurox.ablation._directions import as_directions
from sklearn_neurox.ablation._intervention import check_what

_CALLER = "causal_effect"


def is_eraser(what):
    """Return whether ``what`` is a `ConceptEraser`, rather than directions."""
    return hasattr(what, "readouts_")


def choose_directions(spec, source, how, *, which, n_draws, random_state):
    """Choose each direction on its own, or all together, and random ones of the same lengths.

    For the parameters and returns, see `choose_ranked`.
    """
    which = check_which(which, ("each", "all", "random"), ("each", "random"), "directions")
    fills = check_what(spec, source, **how, caller=_CALLER)
    own = []
    if "each" in which or "all" not in which:
        own += [("each", label, np.array([place])) for place, label in enumerate(fills.labels)]
    if "all" in which:
        own.append(("all", "all", np.arange(len(fills))))
    choices = [_choice(kind, fills, places, name) for kind, name, places in own if kind in which]
    if "random" in which:
        directions = as_directions(source, caller=_CALLER, parameter="neurons")
        for draw in range(n_draws):
            drawn = _random_alike(spec, directions, fills, how, random_state)
            choices += [_choice("random", drawn, places, name, draw) for _, name, places in own]
    return fills, choices


def _choice(which, fills, places, name, draw=0):
    blocks = [part for part in fills.parts if np.isin(part.rows, places).any()]
    n_neurons = sum(len(part.names) for part in blocks)
    return Choice(which, len(places), n_neurons, fills, places, name, draw)


def _random_alike(spec, directions, fills, how, random_state):
    """Draw directions of the same lengths in the same blocks, uniformly among all of them."""
    matrix = np.zeros(directions.matrix.shape)
    place_of_name = {name.rpartition("__")[2]: i for i, name in enumerate(directions.names)}
    for part in fills.parts:
        columns = [place_of_name[name] for name in part.names]
        drawn = random_state.normal(size=part.directions.matrix.shape)
        lengths = np.linalg.norm(part.directions.matrix, axis=1, keepdims=True)
        drawn *= lengths / np.linalg.norm(drawn, axis=1, keepdims=True)
        matrix[np.ix_(part.rows, columns)] = drawn
    frame = pd.DataFrame(matrix, columns=directions.names, index=directions.labels)
    return check_what(spec, frame, **how, caller=_CALLER)


def choose_erasure(spec, eraser, how, *, which, n_draws, random_state, gold):
    """Choose an eraser, as many random directions, and an eraser that gives labels back.

    Parameters
    ----------
    gold : GoldLabels or None
        The labels of words, if they are those that the eraser was fitted on.

    spec, eraser, how, which, n_draws, random_state : object
        See `choose_ranked`.

    Returns
    -------
    fills, choices : see `choose_ranked`
    """
    fills = check_what(spec, eraser, **how, caller=_CALLER)
    (part,) = fills.parts
    problem = (
        None
        if gold
        else (
            "the labels y are not those that the eraser was fitted on. Fit the eraser on the same "
            "labels, or on whether they equal 'positive'."
        )
    )
    if gold and part.block.stack == "encoder" and not {"start", "end"} <= set(gold.words.columns):
        problem = (
            "the encoder does not read the targets, whose words have the labels. Add the columns "
            "'start' and 'end': which word of the text has each label."
        )
    default = ("all", "random") if problem else ("all", "random", "gold")
    which = check_which(which, ("all", "random", "gold"), default, "an eraser")
    if "gold" in which and problem:
        raise ValueError(
            f"The 'which' parameter of {_CALLER} contains 'gold', which gives each word its label "
            f"back after the erasure, but {problem}"
        )
    rank, width = part.directions.matrix.shape
    choices = []
    if "all" in which:
        choices.append(Choice("all", rank, width, fills, None))
    for draw in range(n_draws if "random" in which else 0):
        basis = np.linalg.qr(random_state.normal(size=(width, rank)))[0].T
        directions = part.directions._replace(matrix=basis, readouts=basis)
        drawn = replace(fills, parts=(part._replace(directions=directions),))
        choices.append(Choice("random", rank, width, drawn, None, draw=draw))
    if "gold" in which:
        choices.append(Choice("gold", rank, width, gold_fills(spec, eraser, part, gold), None))
    return fills, choices
