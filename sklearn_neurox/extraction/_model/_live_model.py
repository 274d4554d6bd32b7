# SPDX-License-Identifier: BSD-3-Clause
"""An estimator that may hold a live model: shared by clones, left behind by pickles."""

import os

from sklearn.base import _clone_parametrized
from sklearn.utils._pprint import _EstimatorPrettyPrinter

from sklearn_neurox.extraction._model._fingerprint import leave_behind
from sklearn_neurox.extraction._model._loading import DetachedModel, ModelSpec
from sklearn_neurox.extraction._model._torch_model import TorchModel


class LiveModelMixin:
    """Treats the parameters ``model`` and ``tokenizer`` as what may be too large to copy."""

    def __sklearn_clone__(self):
        # A live model is shared: copying its weights for every fold would be absurd.
        bare = self._shallow_copy()
        bare.model = bare.tokenizer = None
        return _clone_parametrized(bare).set_params(model=self.model, tokenizer=self.tokenizer)

    def _shallow_copy(self):
        # copy.copy would go through __getstate__, which leaves a live model behind.
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __getstate__(self):
        state = super().__getstate__()
        if isinstance(self.model, (str, os.PathLike, DetachedModel)):
            return state
        return {**state, "model": leave_behind(self._spec(), with_digests=self.cache is not None)}

    def __repr__(self, **options):
        return super(LiveModelMixin, self._to_show()).__repr__(**options)

    def _to_show(self):
        # A module's own repr is its whole tree, a tokenizer's all its tokens.
        shown = self._shallow_copy()
        for name in ("model", "tokenizer"):
            value = getattr(self, name)
            if not isinstance(value, _SHORT):
                setattr(shown, name, _Named(type(value).__name__))
        return shown

    def _spec(self):
        is_path = isinstance(self.model, (str, os.PathLike))
        tokenizer = self.tokenizer
        return ModelSpec(
            model=os.fspath(self.model) if is_path else self.model,
            tokenizer=os.fspath(tokenizer) if isinstance(tokenizer, os.PathLike) else tokenizer,
            revision=self.revision,
            weights=self.weights,
            seed=int(self.random_state),
            device=self.device,
            trust_remote_code=bool(self.trust_remote_code),
            allow_bin_weights=bool(self.allow_bin_weights),
        )


class _Named:
    """Stands for a live model or tokenizer where one is printed."""

    def __init__(self, class_name):
        self.class_name = class_name

    def __repr__(self):
        return f"<a live {self.class_name}>"


# What has a short repr.
_SHORT = (str, os.PathLike, DetachedModel, TorchModel, _Named, type(None))


def _pprint(printer, estimator, *where):
    printer._pprint_estimator(estimator._to_show(), *where)


# Else scikit-learn would print the tree within a pipeline, and break no line of the others.
_EstimatorPrettyPrinter._dispatch[LiveModelMixin.__repr__] = _pprint
