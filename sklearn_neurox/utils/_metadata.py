# SPDX-License-Identifier: BSD-3-Clause
"""Pass groups and weights to the estimators that accept them."""

from inspect import signature

from sklearn import get_config
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metadata_routing import get_routing_for_object


def fit_with_groups(estimator, X, y, groups, sample_weight=None):
    """Fit with groups, if the estimator accepts them, and with weights.

    Raise an error if it does not accept weights, because ignoring them would change the result.
    """
    given = {}
    if groups is not None and accepts_metadata(estimator, "groups"):
        given["groups"] = groups
    if sample_weight is not None:
        if not accepts_metadata(estimator, "sample_weight"):
            raise ValueError(
                f"{type(estimator).__name__} takes no sample_weight in fit. Leave the weights out "
                "or use another estimator. If it wraps others, as a Pipeline does, call "
                "set_fit_request(sample_weight=True) on the inner estimators, with "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        given["sample_weight"] = sample_weight
    return estimator.fit(X, y, **given)


def accepts_metadata(estimator, metadata, method="fit"):
    """Return whether a method accepts the metadata by name or routes it to an inner estimator."""
    # A frozen estimator ignores whatever its `fit` is given.
    is_frozen = isinstance(estimator, FrozenEstimator)
    if is_frozen or metadata in signature(getattr(estimator, method)).parameters:
        return True
    routes = get_config()["enable_metadata_routing"] and hasattr(estimator, "get_metadata_routing")
    return routes and bool(get_routing_for_object(estimator).consumes(method, [metadata]))
