# SPDX-License-Identifier: BSD-3-Clause
"""The types that skops must trust to load an estimator of this package."""

import importlib
import inspect
import pkgutil

from sklearn.base import BaseEstimator

import sklearn_neurox


def _trusted():
    names = set()
    for info in pkgutil.iter_modules(sklearn_neurox.__path__, "sklearn_neurox."):
        if not info.ispkg or info.name in ("sklearn_neurox.cli", "sklearn_neurox.io"):
            continue
        package = importlib.import_module(info.name)
        names |= {
            f"{thing.__module__}.{thing.__qualname__}"
            for thing in map(package.__dict__.get, getattr(package, "__all__", ()))
            if inspect.isclass(thing) and issubclass(thing, BaseEstimator)
        }
    return sorted(names)


SKOPS_TRUSTED: list[str] = _trusted()
"""Names of the types that ``skops.io.load`` must trust, besides those of scikit-learn."""
