# SPDX-License-Identifier: BSD-3-Clause
import os
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params

from sklearn_neurox.ablation._fills import FILL_CONSTRAINTS
from sklearn_neurox.ablation._intervention import (
    POSITIONS_CONSTRAINTS,
    WHAT_CONSTRAINTS,
    check_what,
    plan_intervention,
)
from sklearn_neurox.extraction import ActivationExtractor, TorchModel
from sklearn_neurox.extraction._model._loading import kept_loaded

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
        "neurons": WHAT_CONSTRAINTS,
        **FILL_CONSTRAINTS,
        "fill": [*FILL_CONSTRAINTS["fill"], StrOptions({"interchange"})],
        "positions": POSITIONS_CONSTRAINTS,
    },
    prefer_skip_nested_validation=True,
)
def ablate_model(
    model: "str | os.PathLike | PreTrainedModel | TorchModel | ActivationExtractor",
    neurons: ArrayLike | pd.DataFrame | BaseEstimator,
    *,
    fill: str | float = "zero",
    values: float | ArrayLike | pd.DataFrame | None = None,
    step: float | ArrayLike = 1.0,
    positions: str | ArrayLike | pd.DataFrame = "all",
) -> AbstractContextManager:
    """Change a model inside while it runs, until the context exits.

    An intervention is what to change, how and where: neurons, heads or directions; to zero, to the
    mean or to the state of another text; at all tokens or at some. The change is made where the
    model computes the state, and everything downstream is computed from the changed values: later
    layers, other tokens, and the model's predictions. The weights are not touched: once the context
    exits, the model returns the same bits as before.

    Parameters
    ----------
    model : str, path, PreTrainedModel, TorchModel or ActivationExtractor
        A live model, with or without a head; or the name or folder of a model, which
        `ActivationExtractor` loads and shares within this process; or an extractor, which stands
        for the model that it reads, and determines how the texts of ``positions`` are tokenized.

    neurons : str, array-like of str, Series, DataFrame or fitted estimator
        What to change. Neurons by their names, as returned by the extractor and the rankers:
        ``"hidden.3.127"``, ``"mlp.3.127"``, ``"attention.3.h5.17"``, ``"decoder.hidden.3.127"``,
        ``"module:<path>.17"``; a ``prefix__`` is ignored. Among these:

        - heads: ``"attention.3.h5"`` are all neurons of that (query) head;
        - patterns: ``"mlp.4.*"`` are all neurons of a layer, and ``"hidden.*.127"`` one of each
          layer. ``*`` stands for any characters, ``?`` for one, ``[12]`` for one of several.

        Or directions in the space of neurons, and only the coordinates of the states along them
        change: a Series indexed by neurons, a DataFrame with neurons as columns and a direction per
        row, or a fitted linear probe, whose rows of ``coef_`` are the directions. A direction has
        all neurons of one layer and component; directions in several layers may stand in one frame,
        with zeros elsewhere.

        Or a fitted `ConceptEraser`, whose map is applied to the states of the layer whose columns
        it was fitted on.

    fill : {"zero", "mean", "scale", "translate", "interchange"} or float, default="zero"
        What replaces a neuron's activation h:

        - ``"zero"``: 0.
        - ``"mean"``: its entry in ``values``, for example its mean over some words.
        - ``"scale"``: h times its entry in ``values``.
        - ``"translate"``: h plus ``step`` times its entry in ``values``, the difference between two
          class means. This makes words of one class look like words of the other.
        - ``"interchange"``: its activation in other rows, ``values``, paired one by one with the
          rows of ``positions``.
        - a number: that number.

        Along directions, the same is done to the coordinate of a state along the direction of unit
        length, and everything orthogonal to the directions stays: ``"zero"`` projects them out,
        ``"mean"`` sets the coordinates to those of the mean. Only ``"translate"`` adds ``step``
        times the direction itself, and `steer_model` does so in units of the norm of the state.
        An eraser takes no fill.

    values : float, array-like, Series, DataFrame or None, default=None
        The values that ``fill`` needs, in units of the activations (for ``"scale"``, unitless
        factors): one number for all neurons, one per neuron in the order of ``neurons``, or a
        Series indexed by neuron name, which may contain other neurons too. The mean of a DataFrame
        of activations is such a Series. For directions, one number for all, or one per direction;
        for ``"mean"``, also such a Series, which has all neurons of the layer.

        For ``"interchange"``, a frame of other rows, with the columns of ``positions``, as many
        rows, and as many tokens in each, which are paired in order; or texts. The model reads them
        when the context is entered, as it is then. Or states of shape (n_rows, n_neurons), which
        all tokens of a row get: an array in the order of ``neurons``, or a DataFrame with neurons
        as columns.

    step : float or array-like, default=1.0
        For ``fill="translate"``: how far each neuron or each direction moves, in the order of
        ``neurons``; 1 moves the mean of one class onto the mean of the other.

    positions : {"all", "not_first", "generated"}, DataFrame or array-like of str, default="all"
        Where, in terms of the tokens that the model reads:

        - ``"all"``: every token, special tokens included.
        - ``"not_first"``: every token except the first of each input, which in many decoders is an
          attention sink. A special token at the beginning is the first token; padding is not.
        - ``"generated"``: the tokens that ``model.generate`` has added to its prompt, when the
          model reads them. The prompt, and so the first new token, stay as they are.
        - a frame of rows, with the columns ``text``, ``start`` and ``end`` as for the extractor:
          the tokens of these words, wherever the model reads these texts, and no others. Texts
          without spans stand for all their tokens without the special ones. For the decoder of an
          encoder-decoder model, also ``target``, ``target_start`` and ``target_end``: the tokens of
          the target, wherever the encoder reads the text meanwhile.

    Returns
    -------
    context : context manager
        Yields the live model. All hooks are removed on exit, even after an exception.

    Raises
    ------
    ValueError
        When called: if the model does not have one of the neurons or heads, a name is a generated
        column name (``"x0"``), a neuron is named twice, a direction or eraser does not have all
        neurons of a layer, or spans several, or was fitted on standardized columns; if the values
        do not match the neurons; if a row has no token, or not as many as the row it is paired
        with; or if the model generates no text. When the context is entered: if one of the hidden
        states is not computed by a single module. When it exits: if the model ran, but read none of
        the texts of ``positions``, or did not generate.

    Warns
    -----
    UserWarning
        When called: if the indexes of ``positions`` and of states in ``values`` share labels in
        different orders. When the context exits: if the model did not run, or if it ran but a
        module whose neurons were to be changed did not; or if the model read only some texts of
        ``positions``.

    See Also
    --------
    steer_model : Push a model along a direction.
    causal_effect : Measure how ablation changes the predictions of a language model.
    NeuronAblator : Change columns of a matrix, without running a model.

    Notes
    -----
    ``hidden.0`` is changed where it enters the first block, ``hidden.k`` where it leaves block k,
    and the last hidden layer after the final norm, if there is one, and before any head. ``mlp`` is
    changed where it enters the down projection, and ``attention`` where it enters the output
    projection, which mixes the heads.

    Positions hold in every batch, with padding on either side, and under ``model.generate`` with
    its key-value cache or without. Rows are recognized by the tokens of their texts: an input must
    have the same tokens as the extractor makes, special tokens included. Under ``model.generate``,
    the prompt must. In windows of a long text, a word is changed in each window that contains it.

    Changes along directions are computed at least in float32, and rounded to the dtype of the
    model. Directions of one layer need not be orthogonal: those of a probe of several classes are
    projected out together. Inserting the coordinates of other rows is an interchange intervention
    along directions [2]_.

    While the context is open, all code that runs the model, in any thread, gets the changed states.
    This includes extraction, which returns the changed activations; no activation cache is read or
    written in the meantime. Activations are computed when they are pooled, so pool them before the
    context exits. Other processes have their own copies of the model, which are not changed: with
    ``n_jobs`` or ``Pipeline(memory=...)``, an error says so. Contexts can be nested: the inner one
    changes what the outer one returned.

    Antverg and Belinkov [1]_ translate with steps that decrease with the rank of the neuron:
    ``step=np.geomspace(8, 1e-3, n_neurons)``, where the neurons are in the order of a ranking and
    ``values`` is the mean of the target class minus the mean of the current class.

    References
    ----------
    .. [1] O. Antverg, Y. Belinkov, "On the Pitfalls of Analyzing Individual Neurons in Language
       Models", ICLR 2022.

    .. [2] A. Geiger, Z. Wu, C. Potts, T. Icard, N. Goodman, "Finding Alignments Between
       Interpretable Causal Variables and Distributed Neural Representations", CLeaR 2024.

    Examples
    --------
    >>> from sklearn_neurox.ablation import ablate_model
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
    >>> path = make_tiny_model("bert", hidden_size=8)
    >>> extractor = ActivationExtractor(path, layers=[1])
    >>> with ablate_model(path, ["hidden.1.3", "hidden.1.5"]):
    ...     H = SubwordAggregator().fit_transform(extractor.transform(["A cat sleeps"]))
    >>> (H == 0)[0].tolist()
    [False, False, False, True, False, True, False, False]
    """
    caller = "ablate_model"
    extractor = model if isinstance(model, ActivationExtractor) else ActivationExtractor(model)
    spec = extractor._spec()
    fills = check_what(spec, neurons, fill, values, step, caller=caller)
    intervention = plan_intervention(
        extractor,
        fills,
        positions,
        values,
        model=spec.model if spec.is_live else None,
        caller=caller,
    )
    return _ablated(spec, intervention)


@contextmanager
def _ablated(spec, intervention):
    with kept_loaded(spec) as model, intervention.applied(model):
        yield model
