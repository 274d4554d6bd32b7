# SPDX-License-Identifier: BSD-3-Clause
import os

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._set_output import OwnSetOutputMixin


class SubwordAggregator(
    OwnSetOutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Pool the subword activations of each row into one vector.

    This is where the model runs: the matrix is filled batch by batch, layer by layer.

    Parameters
    ----------
    strategy : {"first", "last", "mean", "max", "cls"}, default="last"
        Which vector stands for the row.

        - ``"last"``: the last subword, which in a model that reads from left to right has seen
          the whole word; the choice of the NeuroX papers.
        - ``"first"``: the first subword, the habit of token classification.
        - ``"mean"``: the mean over subwords, computed in one pass.
        - ``"max"``: the elementwise maximum over subwords.
        - ``"cls"``: the special token that stands for the whole text, such as ``[CLS]``; for
          whole texts only.

    dtype : {"float32", "float16"}, default="float32"
        The dtype of the matrix. float16 takes half the memory and keeps about three digits; a
        value beyond its range of 65504 is an error that names the neuron, never saturated.

    memmap : str, path or None, default=None
        A ``.npy`` file that `transform` writes its matrix to, for one larger than the memory. What
        it returns is mapped from the file: writing to it does not change the file. Another
        `transform` replaces the file, which leaves matrices returned before as they are. None
        keeps the matrix in memory.

    Attributes
    ----------
    feature_names_ : ndarray of str of shape (n_neurons,)
        Names of the neurons, such as ``"hidden.3.127"``.

    n_features_out_ : int
        The number of neurons.

    See Also
    --------
    ActivationExtractor : Makes the activations.
    Activations : What it takes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.extraction import Activations, SubwordAggregator
    >>> subwords = Activations.from_arrays([[[1.0], [4.0]], [[7.0]]], feature_names=["hidden.0.0"])
    >>> SubwordAggregator("max").fit_transform(subwords)
    array([[4.],
           [7.]], dtype=float32)
    """

    _parameter_constraints: dict = {
        "strategy": [StrOptions({"first", "last", "mean", "max", "cls"})],
        "dtype": [StrOptions({"float32", "float16"})],
        "memmap": [str, os.PathLike, None],
    }

    def __init__(
        self,
        strategy: str = "last",
        *,
        dtype: str = "float32",
        memmap: str | os.PathLike | None = None,
    ):
        self.strategy = strategy
        self.dtype = dtype
        self.memmap = memmap

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Activations, y: None = None) -> "SubwordAggregator":
        """Learn the names of the neurons.

        Parameters
        ----------
        X : Activations of shape (n_samples,)
            What `ActivationExtractor.transform` returned.

        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        self.feature_names_ = _checked(X).get_feature_names()
        self.n_features_out_ = len(self.feature_names_)
        return self

    def transform(self, X: Activations) -> np.ndarray | pd.DataFrame:
        """Compute the activations, one row a sample.

        Parameters
        ----------
        X : Activations of shape (n_samples,)
            With the neurons seen in `fit`.

        Returns
        -------
        H : ndarray of shape (n_samples, n_neurons), dtype=float32 or float16
            Or a DataFrame, by `set_output`, with the index of the frame of words.

        Raises
        ------
        ValueError
            If the neurons are not those seen in `fit`.

        OverflowError
            If a value is beyond the range of float16.
        """
        check_is_fitted(self)
        names = _checked(X).get_feature_names()
        if not np.array_equal(names, self.feature_names_):
            raise ValueError(
                f"SubwordAggregator was fitted on {len(self.feature_names_)} neurons "
                f"({self.feature_names_[0]!r} to {self.feature_names_[-1]!r}), but X has "
                f"{len(names)} ({names[0]!r} to {names[-1]!r}). Fit it again."
            )
        H = X.pool(self.strategy, dtype=self.dtype, memmap=self.memmap)
        container = _get_output_config("transform", self)["dense"]
        if container == "default":
            return H
        adapter = ADAPTERS_MANAGER.adapters[container]
        return adapter.create_container(H, X.index_like(), columns=names)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Get the names of the neurons.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Must be the names seen in `fit`, if given.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_neurons,)
        """
        check_is_fitted(self)
        if input_features is not None and not np.array_equal(
            np.asarray(input_features, dtype=object), self.feature_names_
        ):
            raise ValueError("input_features is not equal to feature_names_")
        return self.feature_names_.copy()


def _checked(X):
    if not isinstance(X, Activations):
        raise TypeError(
            f"SubwordAggregator pools Activations, got {type(X).__name__}. Put an "
            "ActivationExtractor before it, or wrap stored arrays with Activations.from_arrays."
        )
    return X
