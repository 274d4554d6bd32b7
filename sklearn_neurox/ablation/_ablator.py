# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._constraints import FiniteNumber
from sklearn_neurox.utils._moments import column_means
from sklearn_neurox.utils._names import neuron_indices
from sklearn_neurox.utils._validation import check_matrix, check_weight, row_blocks

_MAX_STORED_ROWS = 1000


class NeuronAblator(BaseNeuronSelector):
    """Remove neurons, or overwrite them with what carries no information about the word.

    Parameters
    ----------
    neurons : array-like of int, of str or of bool, or None, default=None
        The neurons: column indices (negative ones count from the end), feature names, or a mask.
        None ablates nothing, whatever ``keep`` is.

    keep : bool, default=False
        Whether ``neurons`` are the ones to keep, all others being ablated, rather than the ones
        to ablate.

    fill : {"drop", "zero", "mean", "resample"} or float, default="drop"
        What becomes of the ablated columns.

        - ``"drop"``: they are left out. For refitting a probe on what remains.
        - ``"zero"``: they become 0.
        - ``"mean"``: they become their mean over the training rows. The mildest for a probe that
          is not refitted.
        - ``"resample"``: in every row they become those of a randomly drawn training row, all
          from the same row, so that their joint distribution is kept and only their relation to
          the word is broken. At most 1000 training rows are stored to draw from.
        - a number: they become that number.

    random_state : int, RandomState instance or None, default=None
        Fixes the stored rows and the draws of ``fill="resample"``.

    Attributes
    ----------
    ablated_ : ndarray of shape (n_ablated,)
        The ablated columns, ascending. ``get_support()`` is True for all others, under every
        ``fill``.

    fill_rows_ : ndarray of shape (n_rows, n_ablated)
        What the ablated columns are filled with: one row, or under ``"resample"`` those to draw
        from. None under ``"drop"``.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during fit, where X has string names.

    See Also
    --------
    ablation_curve : Measures what neurons are worth by ablating the others.
    sklearn_neurox.selection.LayerSelector : Keep whole layers.

    Notes
    -----
    A fill acts where the ablator stands. After a scaler that centres, zero *is* the mean; before
    it, zero may lie far outside what the neuron ever does, and the probe then sees an outlier.
    The mean comes to the same on both sides.

    Under ``"resample"`` the draws belong to the positions of the rows: the same call gives the
    same bits, but a row may be filled differently when others come before it.

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
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "NeuronAblator":
        """Find the neurons, and learn what to fill them with.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The activations.

        y : Ignored
            Present for the conventions of scikit-learn.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much every row counts in the mean, and how likely it is to be drawn under
            ``fill="resample"``.

        Returns
        -------
        self : NeuronAblator

        Raises
        ------
        ValueError
            For an index out of range, an unknown name, a neuron given twice, or a mask of another
            length, or a weight that is negative.
        """
        X = check_matrix(self, X, reset=True)
        weight = check_weight(sample_weight, X)
        chosen = np.zeros(X.shape[1], dtype=bool)
        chosen[
            neuron_indices(
                self.neurons,
                names=getattr(self, "feature_names_in_", None),
                n_features=X.shape[1],
                caller=type(self).__name__,
            )
        ] = True
        invert = self.keep and self.neurons is not None
        self.ablated_ = np.flatnonzero(chosen != invert)
        random_state = check_random_state(self.random_state)
        self.fill_rows_ = self._learn_fill_rows(X, weight, random_state)
        self._draw_seed = int(random_state.randint(np.iinfo(np.int32).max))
        return self

    def _learn_fill_rows(self, X, weight, random_state):
        if self.fill == "drop":
            return None
        if self.fill == "resample":
            return X[np.ix_(_rows_to_store(len(X), weight, random_state), self.ablated_)]
        if self.fill == "mean":
            return column_means(X, weight)[np.newaxis, self.ablated_]
        value = 0.0 if self.fill == "zero" else float(self.fill)
        if abs(value) > float(np.finfo(X.dtype).max):
            raise ValueError(
                f"The 'fill' parameter of {type(self).__name__} is {value}, which is too large "
                f"for the dtype of X, {X.dtype}. Use a smaller number, or a wider dtype."
            )
        return np.full((1, len(self.ablated_)), value)

    def _get_support_mask(self):
        check_is_fitted(self)
        mask = np.ones(self.n_features_in_, dtype=bool)
        mask[self.ablated_] = False
        return mask

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Ablate the neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The activations.

        Returns
        -------
        X_ablated : ndarray of shape (n_samples, n_features or n_features - n_ablated)
            A copy, in the dtype of X.
        """
        check_is_fitted(self)
        if self.fill_rows_ is None:
            return super().transform(X)
        X = check_matrix(self, X, reset=False)
        return self._overwrite(X)

    def _overwrite(self, X, places=slice(None)):
        """Copy a matrix, with the ablated columns at some places among them overwritten.

        Beside the copy it takes no more memory than a few rows.
        """
        columns, filled = self.ablated_[places], np.array(X)
        if len(self.fill_rows_) == 1:
            is_filled, row = np.zeros(X.shape[1], dtype=bool), np.zeros(X.shape[1], dtype=X.dtype)
            is_filled[columns], row[columns] = True, self.fill_rows_[0, places]
            np.copyto(filled, row, where=is_filled)
            return filled
        draws = np.random.RandomState(self._draw_seed).randint(len(self.fill_rows_), size=len(X))
        for block in row_blocks(X):
            filled[block, columns] = self.fill_rows_[draws[block]][:, places]
        return filled

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Put the dropped columns back, as zeros.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            What ``transform`` gave.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features_in_)
            X itself where the ablated columns were filled: what they held is lost.
        """
        check_is_fitted(self)
        return super().inverse_transform(X) if self.fill_rows_ is None else check_array(X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Name the columns that ``transform`` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X; None takes ``feature_names_in_``, or ``x0``, ``x1``, ...

        Returns
        -------
        feature_names_out : ndarray of str
            All names where the ablated columns are filled, the survivors' where they are dropped.
        """
        check_is_fitted(self)
        if self.fill_rows_ is None:
            return super().get_feature_names_out(input_features)
        return _check_feature_names_in(self, input_features)


def _rows_to_store(n_rows, weight, random_state):
    """Choose the rows to draw from: each at most once, or as often as its weight asks for."""
    if weight is None:
        n_stored = min(_MAX_STORED_ROWS, n_rows)
        return np.sort(random_state.choice(n_rows, n_stored, replace=False))
    # Even steps through the weights, from a random start, miss no share by more than a row.
    up_to = np.cumsum(weight) / weight.sum()
    steps = (random_state.uniform() + np.arange(_MAX_STORED_ROWS)) / _MAX_STORED_ROWS
    # Rounding must not step behind the last row that counts.
    return np.searchsorted(up_to, steps, side="right").clip(max=np.flatnonzero(weight)[-1])
