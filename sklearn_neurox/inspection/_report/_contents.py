# SPDX-License-Identifier: BSD-3-Clause
"""What a report holds, as the data of its page."""

import numpy as np
import pandas as pd

from sklearn_neurox._version import __version__
from sklearn_neurox.inspection._report._distributions import N_FINE_BINS, N_HEIGHTS, REACH
from sklearn_neurox.inspection._report._gathering import FULL_COLOR, WINDOW
from sklearn_neurox.inspection._report._packing import (
    pack,
    pack_frame,
    pack_indices,
    pack_scaled,
)
from sklearn_neurox.utils._blocks import neuron_blocks
from sklearn_neurox.utils._names import parse_neuron_names

_GROUPS = ["probe", "ranking", "which", "fraction", "n_neurons", "retrained", "fill"]


def pack_gathered(gathered):
    """Pack what `gather` returns.

    Parameters
    ----------
    gathered : dict

    Returns
    -------
    data : dict
        ``words``, ``texts`` and ``arrays``.
    """
    exact = {name: pack(gathered[name], "float32") for name in ("mean", "deviation", "range")}
    scaled = {
        name: pack_scaled(gathered[name])
        for name in ("class_mean", "top_word_mean", "context_value")
    }
    whole = {
        name: pack_indices(gathered[name])
        for name in (
            "shares",
            "quantiles",
            "type_count",
            "top_word",
            "context",
            "text_first",
            "span_start",
            "span_end",
        )
    }
    values = {"window_values": pack(gathered["window_values"], "int8")}
    return {
        "words": gathered["types"],
        "texts": gathered["texts"],
        "arrays": {**exact, **scaled, **whole, **values},
    }


def pack_ranking(ranking):
    """Pack ranks, scores and weights.

    Parameters
    ----------
    ranking : Ranking

    Returns
    -------
    arrays : dict
    """
    arrays = {"rank": pack_indices(ranking.ranks)}
    if ranking.scores is not None:
        arrays["score"] = pack(ranking.scores, "float32")
    if ranking.class_scores is not None:
        arrays["class_score"] = pack(ranking.class_scores, "float32")
        arrays["class_rank"] = pack_indices(ranking.class_ranks)
    if ranking.weights is not None:
        arrays["weight"] = pack(ranking.weights, "float32")
    return arrays


def describe_neurons(names):
    """Read the layers of neurons off their names.

    Parameters
    ----------
    names : array-like of str

    Returns
    -------
    data : dict
        ``neurons`` and ``layers``, such as ``"hidden.3"``.

    layer_of : dict
        The packed number of the layer of every neuron; -1 where its name does not tell.
    """
    layers = np.full(len(names), None)
    known = parse_neuron_names(names)["layer"].notna().to_numpy()
    if known.any():
        told = np.asarray(names)[known]
        blocks = neuron_blocks(told, len(told), n_layers=None, caller="NeuronReport")
        layers[known] = blocks["name"]
    codes, layers = pd.factorize(layers)
    data = {
        "neurons": [str(name) for name in names],
        "layers": [str(layer) for layer in layers],
    }
    return data, pack(codes, "int16")


def describe_labels(classes, codes, name):
    """Name the labels and count the words of each.

    Parameters
    ----------
    classes : list

    codes : ndarray of int of shape (n_words,)

    name : str or None
        What is labelled.

    Returns
    -------
    data : dict
    """
    return {
        "label": str(name or "label"),
        "classes": [str(label) for label in classes],
        "class_counts": np.bincount(codes, minlength=len(classes)).tolist(),
        "n_words": len(codes),
    }


def pack_tables(ablation, layer_profile):
    """Pack the tables there are; the scores of an ablation over folds, draws and repeats averaged.

    Parameters
    ----------
    ablation : DataFrame or None
        As `sklearn_neurox.ablation.ablation_curve` or ``ablation_table`` returns it. The columns
        ``score``, ``spread`` (standard deviation) and ``n`` follow what tells measurements apart.

    layer_profile : DataFrame or None

    Returns
    -------
    tables : dict
        See `pack_frame`.
    """
    tables = {}
    if ablation is not None:
        tables["ablation"] = pack_frame(_mean_scores(ablation))
    if layer_profile is not None:
        tables["layer_profile"] = pack_frame(layer_profile)
    return tables


def _mean_scores(curve):
    groups = [name for name in _GROUPS if name in curve.columns]
    if not groups or "score" not in curve.columns:
        raise ValueError(
            "The 'ablation' parameter of NeuronReport must be what ablation_curve or "
            f"ablation_table returned, got a frame with the columns {list(curve.columns)}."
        )
    scores = curve.groupby(groups, sort=False, dropna=False)["score"]
    table = scores.agg(score="mean", spread="std", n="count").reset_index()
    for name in table.columns.intersection(["retrained"]):
        table[name] = np.where(table[name], "yes", "no")
    return table


def constants():
    """Give the numbers that the page must know to read the arrays."""
    return {
        "version": __version__,
        "window": WINDOW,
        "full_color": FULL_COLOR,
        "fine_bins": N_FINE_BINS,
        "heights": N_HEIGHTS,
        "reach": REACH,
    }
