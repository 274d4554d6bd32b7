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
    """Change neurons inside a model while it runs, until the context exits.

    Each neuron is changed where the model computes it, at every token, and everything downstream is
    computed from the changed values: later layers, other tokens, and the model's predictions. The
    weights are not touched: once the context exits, the model returns the same bits as before.

    Parameters
    ----------
    model : str, path, PreTrainedModel, TorchModel or ActivationExtractor
        A live model, with or without a head; or the name or folder of a model, which
        `ActivationExtractor` loads and shares within this process; or an extractor, which stands
        for the model that it reads.

    neurons : array-like of str, of shape (n_neurons,)
        The names of the neurons, as returned by the extractor and the rankers: ``"hidden.3.127"``,
        ``"mlp.3.127"``, ``"attention.3.h5.17"``, ``"decoder.hidden.3.127"``,
        ``"module:<path>.17"``. A ``prefix__`` is ignored.

    fill : {"zero", "mean", "scale", "translate"} or float, default="zero"
        What replaces a neuron's activation h:

        - ``"zero"``: 0.
        - ``"mean"``: its entry in ``values``, for example its mean over some words.
        - ``"scale"``: h times its entry in ``values``.
        - ``"translate"``: h plus ``step`` times its entry in ``values``, the difference between two
          class means. This makes words of one class look like words of the other.
        - a number: that number.

    values : float, array-like of shape (n_neurons,), Series or None, default=None
        The values that ``fill`` needs, in units of the activations (for ``"scale"``, unitless
        factors): one number for all neurons, one per neuron in the order of ``neurons``, or a
        Series indexed by neuron name, which may contain other neurons too. The mean of a DataFrame
        of activations is such a Series.

    step : float or array-like of shape (n_neurons,), default=1.0
        For ``fill="translate"``: how far each neuron moves, in the order of ``neurons``; 1 moves
        the mean of one class onto the mean of the other.

    Returns
    -------
    context : context manager
        Yields the live model. All hooks are removed on exit, even after an exception.

    Raises
    ------
    ValueError
        When called: if the model does not have one of the neurons, a name is a generated column
        name (``"x0"``), a neuron is named twice, or the values do not match the neurons. When the
        context is entered: if one of the hidden states is not computed by a single module.

    Warns
    -----
    UserWarning
        When the context exits, if the model did not run, or if it ran but a module whose neurons
        were to be changed did not.

    See Also
    --------
    causal_effect : Measure how ablation changes the predictions of a language model.
    NeuronAblator : Change columns of a matrix, without running a model.

    Notes
    -----
    ``hidden.0`` is changed where it enters the first block, ``hidden.k`` where it leaves block k,
    and the last hidden layer after the final norm, if there is one, and before any head. ``mlp`` is
    changed where it enters the down projection, and ``attention`` where it enters the output
    projection.

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
    return _ablated(spec, fills.changes(np.arange(len(found))))


@contextmanager
def _ablated(spec, changes):
    from sklearn_neurox.extraction._editing._editing import editing

    with kept_loaded(spec) as model, editing(model, changes):
        yield model
