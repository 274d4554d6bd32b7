# SPDX-License-Identifier: BSD-3-Clause
import os
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_neurox.ablation._fills import FILL_CONSTRAINTS, check_fills
from sklearn_neurox.extraction import ActivationExtractor, TorchModel
from sklearn_neurox.extraction._editing._neurons import find_neurons
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
        "neurons": ["array-like"],
        **FILL_CONSTRAINTS,
    },
    prefer_skip_nested_validation=True,
)
def ablate_model(
    model: "str | os.PathLike | PreTrainedModel | TorchModel | ActivationExtractor",
    neurons: ArrayLike,
    *,
    fill: str | float = "zero",
    values: float | ArrayLike | None = None,
    step: float | ArrayLike = 1.0,
) -> AbstractContextManager:
    """Change neurons inside a model while it runs, until the context is left.

    The neurons are changed where the model makes them, at every token, and all that comes after
    is computed from what they became: later layers, other tokens, the model's predictions. The
    weights are not touched, and once the context is left, the model gives the same bits as before.

    Parameters
    ----------
    model : str, path, PreTrainedModel, TorchModel or ActivationExtractor
        A live model, with or without a head. A name or folder stands for the model that
        `ActivationExtractor` loads for it and shares with everyone in this process, and an
        extractor for the one that it reads.

    neurons : array-like of str, of shape (n_neurons,)
        The names, as extraction and rankers give them: ``"hidden.3.127"``, ``"mlp.3.127"``,
        ``"attention.3.h5.17"``, ``"decoder.hidden.3.127"``, ``"module:<path>.17"``. A
        ``prefix__`` is skipped.

    fill : {"zero", "mean", "scale", "translate"} or float, default="zero"
        What becomes of a neuron's activation h.

        - ``"zero"``: 0.
        - ``"mean"``: its ``values``, the mean over some words.
        - ``"scale"``: h times its ``values``.
        - ``"translate"``: h plus ``step`` times its ``values``, the difference of two class
          means: a word of the one class comes to look like one of the other.
        - a number: that number.

    values : float, array-like of shape (n_neurons,), Series or None, default=None
        What the fill needs, in units of the activations (for ``"scale"``, a plain factor): one
        number for all, one for each neuron in their order, or a Series with the names of the
        neurons as its index, which may have others too. The mean of a DataFrame of activations
        is such a Series.

    step : float or array-like of shape (n_neurons,), default=1.0
        Of ``"translate"``: how far along the way each neuron goes, in the order of ``neurons``; 1
        moves the mean of the one class onto that of the other.

    Returns
    -------
    context : context manager
        Gives the live model on entering. Leaving it, be it by an exception, removes all hooks.

    Raises
    ------
    ValueError
        On calling, for neurons that the model does not have, generated names (``"x0"``), a neuron
        named twice, and values that do not fit; on entering, for a hidden state that no one module
        makes.

    Warns
    -----
    UserWarning
        On leaving, if the model ran but a part of it where neurons were to be changed did not.

    See Also
    --------
    causal_effect : Measures what a language model loses.
    NeuronAblator : Changes columns of a matrix, which nothing is computed from.

    Notes
    -----
    ``hidden.0`` is changed as it enters the first block, ``hidden.k`` as it leaves block k, and the
    last hidden layer after the final norm, where there is one, before any head. ``mlp`` is changed
    as it enters the down projection, and ``attention`` as it enters the output projection.

    Whoever runs the model meanwhile, in whatever thread, gets changed states; extraction, too: the
    activations of a changed neuron are what it became. No cache of activations is read or written
    meanwhile. Contexts can be nested, and the inner one acts on what the outer one left.

    Antverg and Belinkov [1]_ translate with steps that fall with the rank of the neuron:
    ``step=np.geomspace(8, 1e-3, n_neurons)``, where neurons are in the order of a ranking, and
    ``values`` is the mean of the class wanted minus that of the class at hand.

    References
    ----------
    .. [1] O. Antverg, Y. Belinkov, "On the Pitfalls of Analyzing Individual Neurons in Language
       Models", ICLR 2022.

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
    extractor = model if isinstance(model, ActivationExtractor) else ActivationExtractor(model)
    spec = extractor._spec()
    found = find_neurons(spec, neurons, caller="ablate_model")
    fills = check_fills(fill, values, step, found, caller="ablate_model")
    return _ablated(spec, fills, found)


@contextmanager
def _ablated(spec, fills, neurons):
    from sklearn_neurox.extraction._editing._editing import editing

    with kept_loaded(spec) as model:
        with editing(model, fills.changes(neurons, np.arange(len(neurons)))):
            yield model
