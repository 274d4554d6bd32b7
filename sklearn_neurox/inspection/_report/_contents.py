# SPDX-License-Identifier: BSD-3-Clause
"""The contents of a report, as the data of its page."""

from collections.abc import Mapping
from datetime import date
from numbers import Real

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from sklearn_neurox._version import __version__
from sklearn_neurox.inspection._displays._frames import (
    check_one_measurement,
    confidence_of,
    read_booleans,
)
from sklearn_neurox.inspection._report._distributions import N_FINE_BINS, N_HEIGHTS, REACH
from sklearn_neurox.inspection._report._gathering import FULL_COLOR, WINDOW
from sklearn_neurox.inspection._report._packing import (
    pack,
    pack_frame,
    pack_indices,
    pack_rounded,
    pack_scaled,
)
from sklearn_neurox.utils._blocks import neuron_blocks
from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._names import parse_neuron_names

_EXACT = ("mean", "deviation", "range", "correlation", "type_target", "span_target")
_SCALED = ("class_mean", "top_word_mean", "context_value")
_WHOLE = (
    *("shares", "quantiles", "type_count", "top_word", "context"),
    *("text_first", "span_start", "span_end", "type_label", "type_share", "span_label"),
)
_RANKS = ("rank", "class_rank")
_AREA_STEPS = 1000
# With more neurons, only those with words and sentences have distributions.
MOST_DRAWN = 10_000
# The settings of a probe that decide how many weights are zero, or how large they are.
_BASELINES = ["name", "score", "std"]
_PENALTIES = ("penalty", "C", "alpha", "l1_ratio")
_GROUPS = ["probe", "ranking", "which", "fraction", "n_neurons", "retrained", "fill"]


def page_data(inputs, ranking, gathered):
    """Return the neurons and words that the page shows, as JSON-compatible data."""
    layers, layer_of = _layers(inputs.names)
    return {
        "words": gathered["types"],
        "n_types": gathered["n_types"],
        "texts": gathered["texts"],
        "arrays": {
            **{name: pack(gathered[name], "float32") for name in _EXACT if name in gathered},
            **{name: pack_scaled(gathered[name]) for name in _SCALED},
            **{name: pack_indices(gathered[name]) for name in _WHOLE if name in gathered},
            "auc": {
                **pack_indices(np.round(_AREA_STEPS * gathered["auc"])),
                "scale": 1 / _AREA_STEPS,
            },
            "window_values": pack(gathered["window_values"], "int8"),
            **{name: _pack_ranking(name, values) for name, values in ranking.items()},
            "layer_of": pack(layer_of, "int16"),
        },
        "neurons": [str(name) for name in inputs.names],
        "layers": [str(layer) for layer in layers],
        "label": inputs.label,
        "classes": [str(label) for label in inputs.classes],
        "class_counts": np.bincount(inputs.codes, minlength=len(inputs.classes)).tolist(),
        "n_words": len(inputs.codes),
        "n_texts": inputs.words["text"].nunique(),
        "unit": inputs.unit,
        "numeric": inputs.targets is not None,
        "penalty": _penalty(inputs.probe),
        "date": date.today().isoformat(),
        "version": __version__,
        "window": WINDOW,
        "full_color": FULL_COLOR,
        "fine_bins": N_FINE_BINS,
        "heights": N_HEIGHTS,
        "reach": REACH,
    }


def _pack_ranking(name, values):
    if name in _RANKS:
        return pack_indices(values)
    is_large = np.ndim(values) == 2 and np.shape(values)[1] > MOST_DRAWN
    return pack_rounded(values) if is_large else pack(values, "float32")


def _penalty(probe):
    """Return the names and values of the settings of a probe's penalty, chosen by it or given."""
    if probe is None:
        return []
    probe = unfrozen(probe)
    given = probe.get_params(deep=False)
    found = []
    for name in _PENALTIES:
        value = getattr(probe, f"{name}_", given.get(name))
        values = np.unique(np.ravel(value)) if isinstance(value, np.ndarray) else [value]
        # scikit-learn marks parameters that no longer have an effect.
        if value is not None and len(values) and value not in ("deprecated", "warn"):
            shown = [v if isinstance(v, str) else f"{v:.4g}" for v in values]
            found.append([name, ", ".join(shown)])
    return found


def unfrozen(estimator):
    """Return the estimator in a `FrozenEstimator`, or any other as it is."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def pack_tables(ablation, layer_profile, baselines):
    """Pack the tables that are not None; average the scores of an ablation over repetitions.

    The columns ``score``, ``spread`` (standard deviation) and ``n`` of an ablation follow those
    that distinguish its settings.
    """
    tables = {}
    if ablation is not None:
        curve = read_frame(ablation, caller="NeuronReport", name="ablation")
        tables["ablation"] = pack_frame(_mean_scores(curve))
    if layer_profile is not None:
        profile = read_frame(layer_profile, caller="NeuronReport", name="layer_profile")
        tables["layer_profile"] = {
            **pack_frame(profile),
            "confidence": confidence_of(layer_profile),
        }
    if baselines is not None:
        if isinstance(baselines, Mapping) and all(isinstance(x, Real) for x in baselines.values()):
            baselines = pd.DataFrame(baselines.items(), columns=["name", "score"])
        table = read_frame(baselines, caller="NeuronReport", name="baselines")
        if not {"name", "score"} <= set(table.columns):
            raise ValueError(
                "The 'baselines' parameter of NeuronReport must be a frame returned by "
                f"baseline_table, got a frame with the columns {list(table.columns)}."
            )
        tables["baselines"] = pack_frame(table[[c for c in _BASELINES if c in table]])
    return tables


def _layers(names):
    """Return the layers, such as "hidden.3", and the number of each neuron's layer, or -1."""
    layers = np.full(len(names), None)
    known = parse_neuron_names(names)["layer"].notna().to_numpy()
    if known.any():
        named = np.asarray(names)[known]
        blocks = neuron_blocks(named, len(named), n_layers=None, caller="NeuronReport")
        layers[known] = blocks["name"]
    layer_of, layers = pd.factorize(layers)
    return layers, layer_of


def _mean_scores(curve):
    groups = [name for name in _GROUPS if name in curve.columns]
    if not groups or "score" not in curve.columns:
        raise ValueError(
            "The 'ablation' parameter of NeuronReport must be a frame returned by ablation_curve "
            f"or ablation_table, got a frame with the columns {list(curve.columns)}."
        )
    check_one_measurement(curve, groups, caller="NeuronReport")
    scores = curve.groupby(groups, sort=False, dropna=False)["score"]
    table = scores.agg(score="mean", spread="std", n="count").reset_index()
    for name in table.columns.intersection(["retrained"]):
        is_retrained = read_booleans(table[name].fillna(False), caller="NeuronReport")
        table[name] = np.where(is_retrained, "yes", "no")
    return table
