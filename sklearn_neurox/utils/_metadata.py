# SPDX-License-Identifier: BSD-3-Clause
"""Groups and weights on their way to estimators that take them."""

from inspect import signature

from sklearn.frozen import FrozenEstimator
from sklearn.utils._metadata_requests import _routing_enabled
from sklearn.utils.metadata_routing import get_routing_for_object


def fit_with_groups(estimator, X, y, groups, sample_weight=None):
    """Fit, with groups if the estimator knows what to do with them, and with weights.

    Parameters
    ----------
    estimator : estimator

    X, y : array-likes

    groups : array-like of shape (n_samples,) or None

    sample_weight : ndarray of shape (n_samples,) or None, default=None
        To leave them out where they are not understood would be to answer another question.

    Returns
    -------
    estimator : estimator
        The same, fitted.

    Raises
    ------
    ValueError
        If there are weights, and the estimator takes none.
    """
    given = {}
    if groups is not None and accepts_metadata(estimator, "groups"):
        given["groups"] = groups
    if sample_weight is not None:
        if not accepts_metadata(estimator, "sample_weight"):
            raise ValueError(
                f"{type(estimator).__name__} takes no sample_weight in fit. Leave the weights out, "
                "or use another estimator; of one that wraps others, such as a Pipeline, call "
                "set_fit_request(sample_weight=True) on those inside, under "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        given["sample_weight"] = sample_weight
    return estimator.fit(X, y, **given)


def accepts_metadata(estimator, metadata, method="fit"):
    """Tell whether a method takes a metadata by name, or routes it to an estimator inside."""
    # A frozen estimator was fitted elsewhere; what it is given now it does not need.
    is_frozen = isinstance(estimator, FrozenEstimator)
    if is_frozen or metadata in signature(getattr(estimator, method)).parameters:
        return True
    if not _routing_enabled() or not hasattr(estimator, "get_metadata_routing"):
        return False
    return bool(get_routing_for_object(estimator).consumes(method, [metadata]))
