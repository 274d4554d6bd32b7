# SPDX-License-Identifier: BSD-3-Clause
import os
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params

from sklearn_neurox.ablation._direction_fills import check_directions
from sklearn_neurox.ablation._directions import as_directions
from sklearn_neurox.ablation._intervention import POSITIONS_CONSTRAINTS, plan_intervention
from sklearn_neurox.extraction import ActivationExtractor, TorchModel
from sklearn_neurox.extraction._model._loading import load_config
from sklearn_neurox.utils._constraints import FiniteNumber
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._names import neuron_names, parse_neuron_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@validate_params(
    {
        "model": [
            str,
            os.PathLike,
            HasMethods(["get_input_embeddings"]),
            TorchModel,
            ActivationExtractor,
        ],
        "direction": "no_validation",  # as_directions says what it may be
        "layer": [Interval(Integral, 0, None, closed="left"), None],
        "strength": [FiniteNumber()],
        "unit": [StrOptions({"norm", "direction"})],
        "positions": POSITIONS_CONSTRAINTS,
    },
    prefer_skip_nested_validation=True,
)
def steer_model(
    model: "str | os.PathLike | PreTrainedModel | TorchModel | ActivationExtractor",
    direction: ArrayLike | pd.DataFrame | BaseEstimator,
    *,
    layer: int | None = None,
    strength: float = 0.1,
    unit: str = "norm",
    positions: str | ArrayLike | pd.DataFrame = "all",
) -> AbstractContextManager:
    """Push a model along a direction while it runs or generates, until the context exits.

    At each chosen token, the state of a layer is moved along the direction, such as the difference
    between two class means, and everything downstream is computed from the moved state. The weights
    are not touched: once the context exits, the model returns the same bits as before.

    Parameters
    ----------
    model : str, path, PreTrainedModel, TorchModel or ActivationExtractor
        A live model; or the name or folder of a model, which is loaded with its language-model
        head, so that it can generate; or an extractor, which stands for the model that it reads.

    direction : Series, DataFrame, fitted probe or array-like of shape (n_units,)
        One direction for each layer to steer: a Series with the neurons as its index; a DataFrame
        of one row, with neurons as columns; a fitted probe of two classes, whose ``coef_`` points
        to ``classes_[1]``; or, with ``layer``, an array. For one class of a probe with several,
        pass ``pd.Series(probe.coef_[k], index=probe.feature_names_in_)``. A direction has all
        neurons of its layer.

    layer : int or None, default=None
        The hidden layer to steer. If the direction has neurons of several layers, only those of
        this one are used. None takes the layers from the names of the neurons.

    strength : float, default=0.1
        How far states are moved; negative numbers push the other way. The unit is ``unit``.

    unit : {"norm", "direction"}, default="norm"
        The unit of ``strength``:

        - ``"norm"``: the Euclidean norm of the state at that layer and token, as it would be
          without steering. A state h becomes ``h + strength * norm(h) * d / norm(d)``, so the
          length of the direction d does not matter, and every token is moved by the same share of
          its own norm.
        - ``"direction"``: the direction itself; h becomes ``h + strength * d``. With a difference
          of class means as d, 1 moves one mean onto the other.

    positions : {"all", "not_first", "generated"}, DataFrame or array-like of str, default="all"
        Which tokens are steered; see `ablate_model`. In many decoders, the first token is an
        attention sink with an enormous norm, which ``"not_first"`` leaves alone.

    Returns
    -------
    context : context manager
        Yields the live model. All hooks are removed on exit, even after an exception.

    Raises
    ------
    ValueError
        When called: if the direction is not one over all neurons of a layer of the model, or lies
        in another layer than ``layer``; if there are several directions for one layer; or if the
        positions are wrong. When the context exits: if the model ran, but read none of the tokens
        to steer.

    TypeError
        If the direction does not say which neurons it belongs to, and ``layer`` is None.

    Warns
    -----
    UserWarning
        When the context exits, if the model did not run, or read only some texts of the positions.

    See Also
    --------
    ablate_model : Remove a direction, change neurons, or insert states of other texts.
    ConceptEraser : Directions of a concept.
    sklearn_neurox.probes.MeanDifferenceProbeClassifier : A probe whose coefficients are the
        difference between class means.

    Notes
    -----
    Steering works under ``model.generate``, with its key-value cache or without, for batches with
    padding on either side, and for beams. Steered states are kept in the cache.

    A name or folder is loaded with its head into a model of its own, which the context yields: run
    that one. An extractor of the same folder reads another model, which is not steered. To read
    steered activations, load the model yourself, and pass it to both.

    With ``unit="norm"``, steering back is not exactly the inverse, since the norm has changed; with
    ``unit="direction"`` it is, up to rounding.

    Adding a difference of means at a layer is activation addition [1]_, [2]_.

    References
    ----------
    .. [1] A. Turner, L. Thiergart, G. Leech, D. Udell, J. J. Vazquez, U. Mini, M. MacDiarmid,
       "Steering Language Models With Activation Engineering", arXiv:2308.10248, 2023.

    .. [2] N. Rimsky, N. Gabrieli, J. Schulz, M. Tong, E. Hubinger, A. Turner, "Steering Llama 2 via
       Contrastive Activation Addition", ACL 2024.

    Examples
    --------
    >>> import torch
    >>> from sklearn_neurox.ablation import steer_model
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> path = make_tiny_model("gpt2", hidden_size=8)
    >>> direction = [1.0, 0, 0, 0, 0, 0, 0, -1.0]
    >>> prompt = torch.tensor([[5, 6, 7]])
    >>> with steer_model(path, direction, layer=1, strength=0.5) as model:
    ...     steered = model(prompt).logits
    >>> bool((steered != model(prompt).logits).any())
    True
    """
    caller = "steer_model"
    extractor = model if isinstance(model, ActivationExtractor) else ActivationExtractor(model)
    spec = extractor._spec()
    fills = _steering(spec, direction, layer, caller)
    fills = replace(fills, step=np.full(len(fills), float(strength)), relative=unit == "norm")
    loaded = _load(spec, caller)
    intervention = plan_intervention(extractor, fills, positions, None, model=loaded, caller=caller)
    return _steered(loaded, intervention)


def _steering(spec, direction, layer, caller):
    """Return the translation along a direction, in the given layer or that of its neurons."""
    direction = to_pandas(direction)
    is_named = isinstance(direction, (pd.Series, pd.DataFrame, type)) or hasattr(direction, "fit")
    if not is_named and layer is not None:
        direction = _named(spec, direction, layer, caller)
    directions = as_directions(direction, caller=caller)
    if directions.readouts is not None:
        raise ValueError(
            f"The 'direction' parameter of {caller} is an eraser, whose directions have no sign. "
            "Pass the difference between two class means, or a probe; or erase with ablate_model."
        )
    names, matrix = directions.names, directions.matrix
    if layer is not None:
        layers = parse_neuron_names(names)["layer"]
        is_there = (layers == layer).fillna(False).to_numpy(dtype=bool)
        if not is_there.any():
            raise ValueError(
                f"The 'direction' parameter of {caller} has no neurons of layer {layer}, but "
                f"{names[0]!r} to {names[-1]!r}. Take the direction from the layer to steer; to "
                "use it in another layer, rename its neurons."
            )
        names, matrix = names[is_there], matrix[:, is_there]
    frame = pd.DataFrame(matrix, columns=names, index=directions.labels)
    fills = check_directions(
        spec, frame, "translate", None, 1.0, caller=caller, parameter="direction"
    )
    for part in fills.parts:
        if len(part.rows) > 1:
            raise ValueError(
                f"The 'direction' parameter of {caller} has {len(part.rows)} directions in "
                f"{part.block.name!r}, {part.directions.labels[:5]}. Choose one, such as "
                "pd.Series(probe.coef_[0], index=probe.feature_names_in_)."
            )
    return fills


def _named(spec, values, layer, caller):
    """Return an array as a Series over the neurons of a hidden layer."""
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(
            f"The 'direction' parameter of {caller} must be one direction, of shape (n_units,). "
            f"Got an array of shape {values.shape}."
        )
    if load_config(spec).is_encoder_decoder:
        raise ValueError(
            f"The 'direction' parameter of {caller} is an array, but {spec.name} has two stacks. "
            f"Name its neurons: pd.Series(values, index=['decoder.hidden.{layer}.0', ...])."
        )
    return pd.Series(values, index=neuron_names([layer], len(values)))


def _load(spec, caller):
    """Return a live model, or load one with its head, so that it can generate."""
    from sklearn_neurox.extraction._editing._language_model import load_language_model

    return spec.model if spec.is_live else load_language_model(spec, caller=caller)


@contextmanager
def _steered(model, intervention):
    with intervention.applied(model):
        yield model
