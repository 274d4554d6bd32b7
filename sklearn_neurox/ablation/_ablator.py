# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix, issparse
from sklearn.base import _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._constraints import FiniteNumber
from sklearn_neurox.utils._half_precision import cast_and_find_lost
from sklearn_neurox.utils._moments import column_means
from sklearn_neurox.utils._names import seen_neuron_indices
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._validation import check_weight

_MAX_STORED_ROWS = 1000
# A fill other than zero may make a sparse matrix this many times larger.
_MOST_GROWTH = 4


class NeuronAblator(BaseNeuronSelector):
    """Remove neurons, or overwrite them with values that carry no information about the word.

    Parameters
    ----------
    neurons : array-like of int, of str or of bool, or None, default=None
        The neurons: column indices (negative ones count from the end), feature names, or a mask.
        None ablates nothing, regardless of ``keep``.

    keep : bool, default=False
        If True, ``neurons`` are the neurons to keep, and all others are ablated. If False, they are
        the neurons to ablate.

    fill : {"drop", "zero", "mean", "resample"} or float, default="drop"
        What happens to the ablated columns:

        - ``"drop"``: they are removed. Use it to refit a probe on the remaining columns.
        - ``"zero"``: they are set to 0.
        - ``"mean"``: they are set to their mean over the training rows. This is the mildest fill
          for a probe that is not refitted.
        - ``"resample"``: in each row, they are all replaced by the values of one randomly drawn
          training row. This preserves their joint distribution and breaks only their relation to
          the word. At most 1000 training rows are stored to draw from.
        - a number: they are set to that number.

    random_state : int, RandomState instance or None, default=None
        Controls which rows are stored and which are drawn under ``fill="resample"``.

    Attributes
    ----------
    ablated_ : ndarray of shape (n_ablated,)
        The ablated columns, in ascending order. ``get_support()`` is True for all others, whatever
        the ``fill``.

    fill_rows_ : ndarray of shape (n_rows, n_ablated)
        The values that the ablated columns are filled with: one row, or under ``"resample"`` the
        rows to draw from. None under ``"drop"``.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during fit, if X has string names.

    See Also
    --------
    ablation_curve : Score a probe on subsets of its neurons, ablating the others.
    sklearn_neurox.selection.LayerSelector : Keep whole layers.

    Notes
    -----
    A fill acts at the ablator's place in the pipeline. After a scaler that centers, zero *is* the
    mean; before it, zero may lie far outside the neuron's usual range, and the probe then sees an
    outlier. The mean has the same effect in both places.

    Under ``"resample"`` the draws depend on the positions of the rows: the same call gives the same
    bits, but a row may be filled differently when other rows precede it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.ablation import NeuronAblator
    >>> X = np.array([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]])
    >>> NeuronAblator([1]).fit_transform(X)
    array([[1., 3.],
           [5., 7.]])
    >>> NeuronAblator([1], keep=True, fill="mean").fit_transform(X)
    array([[3., 2., 5.],
           [3., 6., 5.]])
    """

    _set_by_fit = "fill_rows_"

    _parameter_constraints: dict = {
        "neurons": ["array-like", None],
        "keep": ["boolean"],
        "fill": [StrOptions({"drop", "zero", "mean", "resample"}), FiniteNumber()],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        neurons: ArrayLike | None = None,
        *,
        keep: bool = False,
        fill: str | float = "drop",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.neurons = neurons
        self.keep = keep
        self.fill = fill
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> "NeuronAblator":
        """Find the neurons to ablate and learn the values to fill them with.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The activations.

        y : Ignored
            Present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much each row counts in the mean, and how likely it is to be drawn under
            ``fill="resample"``.

        Returns
        -------
        self : NeuronAblator

        Raises
        ------
        ValueError
            If an index is out of range, a name is unknown, a neuron is given twice, a mask has the
            wrong length, or a weight is negative.
        """
        activations = self._check(X, reset=True, beside={"sample_weight": sample_weight})
        weight = check_weight(sample_weight, activations)
        columns, chosen = np.arange(activations.shape[1]), seen_neuron_indices(self, self.neurons)
        invert = self.keep and self.neurons is not None
        self.ablated_ = np.flatnonzero(np.isin(columns, chosen, invert=invert))
        random_state = check_random_state(self.random_state)
        self.fill_rows_ = self._learn_fill_rows(activations, weight, random_state)
        self._draw_seed = int(random_state.randint(np.iinfo(np.int32).max))
        return self

    def _learn_fill_rows(self, X, weight, random_state):
        if self.fill == "drop":
            return None
        if self.fill == "resample":
            return X[np.ix_(_rows_to_store(X.shape[0], weight, random_state), self.ablated_)]
        if self.fill == "mean":
            return column_means(X, weight)[np.newaxis, self.ablated_]
        value = 0.0 if self.fill == "zero" else float(self.fill)
        if abs(value) > float(np.finfo(X.dtype).max):
            raise ValueError(
                f"The 'fill' parameter of {type(self).__name__} is {value}, which is too large "
                f"for the dtype of X, {X.dtype}. Use a smaller number or a wider dtype."
            )
        return np.full((1, len(self.ablated_)), value)

    def _get_support_mask(self):
        check_is_fitted(self)
        return np.isin(np.arange(self.n_features_in_), self.ablated_, invert=True)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Ablate the neurons.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The activations.

        Returns
        -------
        X_ablated : ndarray or CSR matrix of shape (n_samples, n_features or n_features - n_ablated)
            A copy, with the dtype of X.

        Raises
        ------
        OverflowError
            If the dtype of X, such as float16, cannot hold a value that is filled in.
        """
        check_is_fitted(self)
        if self.fill_rows_ is None:
            return super().transform(X)
        X = self._check(X, reset=False)
        self._check_fills(X)
        return self._overwrite_sparse(X) if issparse(X) else self._overwrite(X)

    def _check_fills(self, X):
        """Raise an OverflowError if the dtype of X, such as float16, cannot hold the fills."""
        fills = self.fill_rows_.data if issparse(self.fill_rows_) else self.fill_rows_
        _, lost = cast_and_find_lost(np.asarray(fills), X.dtype)
        if lost is not None:
            raise OverflowError(
                f"{type(self).__name__} fills neurons with {fills[lost][0]:.6g}, which {X.dtype}, "
                "the dtype of this X, cannot hold. Convert this X to the dtype of the X passed to "
                "fit."
            )

    def _overwrite(self, X, places=slice(None)):
        """Copy X with the ablated columns, or only those at ``places`` among them, overwritten.

        Apart from the copy, this needs memory for only a few rows.
        """
        columns, filled, fills = self.ablated_[places], np.array(X), self.fill_rows_
        fills = fills.toarray() if issparse(fills) else fills
        if len(fills) == 1:
            is_filled, row = np.zeros(X.shape[1], dtype=bool), np.zeros(X.shape[1], dtype=X.dtype)
            is_filled[columns], row[columns] = True, fills[0, places]
            np.copyto(filled, row, where=is_filled)
            return filled
        draws = self._draws(X)
        for block in row_blocks(X):
            filled[block, columns] = fills[draws[block]][:, places]
        return filled

    def _overwrite_sparse(self, X, places=slice(None)):
        """Do as `_overwrite` with a CSR matrix, if that leaves it sparse."""
        columns = self.ablated_[places]
        self._check_growth(X, places, caller=type(self).__name__)
        kept = np.ones(X.shape[1], dtype=X.dtype)
        kept[columns] = 0
        filled = X.copy()
        filled.data *= kept[X.indices]
        filled.eliminate_zeros()
        fills = csr_matrix(self.fill_rows_[:, places]).astype(X.dtype)
        # Columns of the fills at their places in X.
        into = csr_matrix(
            (np.ones(len(columns), X.dtype), (np.arange(len(columns)), columns)),
            shape=(len(columns), X.shape[1]),
        )
        return filled + type(X)(fills @ into)[self._draws(X)]

    def _check_growth(self, X, places=slice(None), *, caller):
        """Raise an error if the fills would store many values in a CSR matrix."""
        fills = csr_matrix(self.fill_rows_[:, places])
        n_new, n_old = int(np.diff(fills.indptr)[self._draws(X)].sum()), X.nnz
        if n_new > _MOST_GROWTH * (n_old + X.shape[0]):
            raise ValueError(
                f"{caller}(fill={self.fill!r}) would store {n_new} values in a sparse matrix that "
                f"has {n_old}. Use fill='zero' or 'resample', drop the neurons, ablate fewer of "
                "them, or pass a dense matrix."
            )

    def _draws(self, X):
        """Draw the row of the fills for each row."""
        n_fills = self.fill_rows_.shape[0]
        if n_fills == 1:
            return np.zeros(X.shape[0], dtype=np.intp)
        return np.random.RandomState(self._draw_seed).randint(n_fills, size=X.shape[0])

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Put the dropped columns back, as zeros.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            The output of ``transform``.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features_in_)
            X itself if the ablated columns were filled, as their original values are lost.
        """
        check_is_fitted(self)
        if self.fill_rows_ is None:
            return super().inverse_transform(X)
        return check_array(X, accept_sparse="csr")

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the columns that ``transform`` outputs.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X; None uses ``feature_names_in_``, or else ``x0``, ``x1``, ...

        Returns
        -------
        feature_names_out : ndarray of str
            All names if the ablated columns are filled; the remaining ones if they are dropped.
        """
        check_is_fitted(self)
        if self.fill_rows_ is None:
            return super().get_feature_names_out(input_features)
        return _check_feature_names_in(self, input_features)


def _rows_to_store(n_rows, weight, random_state):
    """Choose the rows to draw from: each at most once, or in proportion to its weight."""
    if weight is None:
        n_stored = min(_MAX_STORED_ROWS, n_rows)
        return np.sort(random_state.choice(n_rows, n_stored, replace=False))
    # Systematic sampling: the count of each row matches its weight to within one draw.
    up_to = np.cumsum(weight) / weight.sum()
    steps = (random_state.uniform() + np.arange(_MAX_STORED_ROWS)) / _MAX_STORED_ROWS
    # Rounding must not step past the last row with a positive weight.
    return np.searchsorted(up_to, steps, side="right").clip(max=np.flatnonzero(weight)[-1])
