# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._run._combining import as_combinations
from sklearn_neurox.extraction._set_output import OwnSetOutputMixin
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._names import pair_names


class SubwordAggregator(DocLinkMixin, OwnSetOutputMixin, TransformerMixin, BaseEstimator):
    """Pool the subword activations of each row into one vector.

    `transform` is the step that runs the model: it fills the matrix batch by batch, layer by layer.

    Parameters
    ----------
    strategy : {"first", "last", "mean", "max", "cls"}, default="last"
        The vector that represents the row.

        - ``"last"``: the last subword, as in the NeuroX papers. In a model that reads from left to
          right, it has seen the whole word.
        - ``"first"``: the first subword, as is usual in token classification.
        - ``"mean"``: the mean over subwords.
        - ``"max"``: the elementwise maximum over subwords.
        - ``"cls"``: the special token that represents the whole text, such as ``[CLS]``; only for
          rows that are whole texts.

    dtype : {"float32", "float16"}, default="float32"
        The dtype of the matrix. float16 takes half the memory and keeps about three digits. A
        value beyond its range of 65504 raises an error that names the neuron. If all values of a
        neuron are below 3e-8, they become 0, and a warning names the neuron.

    memmap : str, path or None, default=None
        A ``.npy`` file to which `transform` writes its matrix, for a matrix larger than memory.
        `transform` then returns an array that is mapped from the file; writing to the array does
        not change the file. The next `transform` replaces the file, without changing the matrices
        returned before. Worker processes get a copy of the array, as it is when they are called;
        ``np.load(file, mmap_mode="r")`` opens a matrix that they can share without a copy. None
        keeps the matrix in memory.

    pair : {"concat", "difference", "product"} or list of these, default="concat"
        How the vectors of both spans are combined in rows that are pairs, as made by
        `~sklearn_neurox.words.pair_frame`. Other rows do not use it.

        - ``"concat"``: both, one after the other, as in edge probing [1]_. Columns are named
          ``"first.hidden.3.7"`` and ``"other.hidden.3.7"``.
        - ``"difference"``: the first minus the other (``"difference.hidden.3.7"``).
        - ``"product"``: the elementwise product (``"product.hidden.3.7"``).

        The columns of several combinations follow one another in the order of the list.

    sparse_output : {"auto"} or bool, default="auto"
        Whether `transform` returns a CSR matrix, which needs ``dtype="float32"``, no ``memmap`` and
        the default output container. ``"auto"`` returns one if and only if a
        `SparseAutoencoderEncoder` precedes this transformer.

    Attributes
    ----------
    feature_names_ : ndarray of str of shape (n_neurons,)
        Names of the neurons, such as ``"hidden.3.127"``, or ``"first.hidden.3.127"`` for pairs.

    n_features_out_ : int
        The number of neurons.

    See Also
    --------
    ActivationExtractor : Extracts the activations.
    SparseAutoencoderEncoder : Encodes the activations of every token as sparse features.
    Activations : The input of this transformer.

    Notes
    -----
    Attention weights are reduced to words in their own way, whatever ``strategy`` and ``pair`` are;
    see the ``component`` of `ActivationExtractor`.

    Each distinct span of pairs is pooled once, into a float32 matrix of shape (n_spans, n_neurons)
    that is in memory beside the result. The vector of a span does not depend on its partner: it is
    the same as that of a row of its own, also in a text that is read in windows.

    References
    ----------
    .. [1] I. Tenney et al., "What do you learn from context? Probing for sentence structure in
       contextualized word representations", ICLR 2019.

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
        "pair": [StrOptions({"concat", "difference", "product"}), list, tuple],
        "sparse_output": [StrOptions({"auto"}), "boolean"],
    }

    def __init__(
        self,
        strategy: str = "last",
        *,
        dtype: str = "float32",
        memmap: str | os.PathLike | None = None,
        pair: str | Sequence[str] = "concat",
        sparse_output: str | bool = "auto",
    ):
        self.strategy = strategy
        self.dtype = dtype
        self.memmap = memmap
        self.pair = pair
        self.sparse_output = sparse_output

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Activations, y: None = None) -> "SubwordAggregator":
        """Learn the names of the neurons.

        Parameters
        ----------
        X : Activations of shape (n_samples,)
            Returned by `ActivationExtractor.transform`.

        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        self.feature_names_ = self._names(_checked(X))
        self.n_features_out_ = len(self.feature_names_)
        return self

    def transform(self, X: Activations) -> np.ndarray | pd.DataFrame | csr_matrix | csr_array:
        """Compute the activations and pool them into one row per sample.

        Parameters
        ----------
        X : Activations of shape (n_samples,)
            With the same neurons as in `fit`.

        Returns
        -------
        H : ndarray of shape (n_samples, n_neurons), dtype=float32 or float16
            Or a CSR matrix of float32, as set by ``sparse_output``; or a DataFrame, if set with
            `set_output`, with the index of the frame of words.

        Raises
        ------
        ValueError
            If the neurons differ from those in `fit`, or if other parameters or the output
            container contradict ``sparse_output``.

        OverflowError
            If a value is beyond the range of float16 or, in pairs, of float32.
        """
        check_is_fitted(self)
        names = self._names(_checked(X))
        if not np.array_equal(names, self.feature_names_):
            raise ValueError(
                f"SubwordAggregator was fitted on {len(self.feature_names_)} neurons "
                f"({self.feature_names_[0]!r} to {self.feature_names_[-1]!r}), but X has "
                f"{len(names)} ({names[0]!r} to {names[-1]!r}). Fit it again."
            )
        container = _get_output_config("transform", self)["dense"]
        sparse = X.is_sparse if self.sparse_output == "auto" else bool(self.sparse_output)
        if sparse and container != "default":
            raise ValueError(
                f"SubwordAggregator cannot put a CSR matrix into a {container} container. Set "
                "sparse_output=False, which makes the matrix dense, or set_output("
                "transform='default')."
            )
        H = X.pool(
            self.strategy, dtype=self.dtype, memmap=self.memmap, sparse=sparse, pair=self.pair
        )
        if container == "default":
            return H
        adapter = ADAPTERS_MANAGER.adapters[container]
        return adapter.create_container(H, X.index_like(), columns=names)

    def _made_from(self, names):
        """Return whether the columns seen in `fit` come from neurons of these names."""
        names = np.asarray(names, dtype=object)
        of_pairs = pair_names(names, as_combinations(self.pair))
        return any(np.array_equal(own, self.feature_names_) for own in (names, of_pairs))

    def _names(self, X):
        combinations, names = as_combinations(self.pair), X.get_feature_names()
        return pair_names(names, combinations) if X.are_pairs else names

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the neurons.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            If given, must equal the names of the neurons seen in `fit`.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_neurons,)
        """
        check_is_fitted(self)
        if input_features is not None and not self._made_from(input_features):
            raise ValueError("input_features is not equal to the names of the neurons seen in fit")
        return self.feature_names_.copy()


def _checked(X):
    if not isinstance(X, Activations):
        raise TypeError(
            f"SubwordAggregator pools Activations, got {type(X).__name__}. Put an "
            "ActivationExtractor before it, or wrap stored arrays with Activations.from_arrays."
        )
    return X
