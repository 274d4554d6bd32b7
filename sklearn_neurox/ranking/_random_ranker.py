# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from sklearn_neurox.ranking._base import BaseRanker


class RandomRanker(BaseRanker):
    """Rank neurons at random, as a baseline that any other ranking must beat.

    Parameters
    ----------
    n_neurons : int, float or None, default=None
        Number of neurons that ``transform`` keeps: an int, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best-ranked or the worst-ranked neurons.

    random_state : int, RandomState instance or None, default=None
        Seed of the permutation, which otherwise depends only on the number of columns. Pass an int
        for reproducible results.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        A random permutation of ``n_features_in_`` equally spaced numbers in (0, 1].

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first.

    ranks_ : ndarray of shape (n_features_in_,)
        Rank of each column; 1 is the best.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    sklearn_neurox.ablation.ablation_curve : Compare a ranking with random ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.ranking import RandomRanker
    >>> ranker = RandomRanker(n_neurons=2, random_state=0).fit(np.zeros((3, 5)))
    >>> sorted(ranker.order_.tolist())
    [0, 1, 2, 3, 4]
    >>> ranker.transform(np.zeros((3, 5))).shape
    (3, 2)
    """

    _parameter_constraints: dict = {
        **BaseRanker._parameter_constraints,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        n_neurons: int | float | None = None,
        which: str = "top",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(n_neurons=n_neurons, which=which)
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "RandomRanker":
        """Draw a random ranking.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations; only the number of columns is used.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : RandomRanker
        """
        self._check_fit_input(X)
        permutation = check_random_state(self.random_state).permutation(self.n_features_in_)
        self._set_ranking((permutation + 1) / self.n_features_in_)
        return self
