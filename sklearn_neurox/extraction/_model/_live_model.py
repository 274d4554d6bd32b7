# SPDX-License-Identifier: BSD-3-Clause
"""Estimators that may hold a live model: clones share it, pickles leave it out."""

import copy
import os

from sklearn.base import _clone_parametrized
from sklearn.utils._pprint import _EstimatorPrettyPrinter

from sklearn_neurox.extraction._model._fingerprint import fingerprint, leave_behind
from sklearn_neurox.extraction._model._loading import DetachedModel, ModelSpec
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._pickling import pickled_for
from sklearn_neurox.utils._warn_user import warn_user


class LiveModelMixin:
    """Handles the parameters ``model`` and ``tokenizer``, which may be too large to copy."""

    def __sklearn_clone__(self):
        # Copying the weights of a live model for every fold would be wasteful.
        bare = self._shallow_copy()
        bare.model = bare.tokenizer = None
        return _clone_parametrized(bare).set_params(model=self.model, tokenizer=self.tokenizer)

    def _shallow_copy(self):
        # copy.copy would call __getstate__, which leaves out a live model.
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __copy__(self):
        return self._shallow_copy()

    def __deepcopy__(self, memo):
        other = self._shallow_copy()
        for name, value in vars(self).items():
            if name not in ("model", "tokenizer"):
                setattr(other, name, copy.deepcopy(value, memo))
        return other

    def __getstate__(self):
        state, purpose = super().__getstate__(), pickled_for()
        is_live = not isinstance(self.model, (str, os.PathLike, DetachedModel))
        if purpose == "hash":
            return self._state_to_hash(state, is_live)
        if purpose == "skops":
            self._check_for_skops(is_live)
        if not is_live:
            return state
        if purpose == "file":
            self._warn_of_loss()
        return {**state, "model": leave_behind(self._spec(), with_digests=self.cache is not None)}

    def _state_to_hash(self, state, is_live):
        """Return what identifies the results for `joblib.Memory`, such as ``Pipeline(memory=)``."""
        if is_live:
            # Even with a cache: Pipeline takes back the fitted steps that memory= stored.
            raise ValueError(
                f"memory= of a Pipeline, or another joblib.Memory, cannot keep the results of "
                f"{type(self).__name__} with {self._spec().name}: it stores them in pickles, which "
                "leave the model out. Set memory=None and use cache= of the extractor, or pass the "
                "path of the model."
            )
        # The files of a model may be other ones next time, under the same name.
        identity = {"model": fingerprint(self._spec(), {}), "tokenizer": None}
        return {**state, **identity, "name": self._spec().name}

    def _check_for_skops(self, is_live):
        held = [self.model] * is_live
        if not isinstance(self.tokenizer, (str, os.PathLike, DetachedModel, type(None))):
            held.append(self.tokenizer)
        if held:
            names = " and ".join(f"a live {type(one).__name__}" for one in held)
            raise TypeError(
                f"skops cannot store {names}, which this {type(self).__name__} holds. Save them "
                "to a folder with save_pretrained, and pass its path before saving the pipeline: "
                "set_params(model='folder', tokenizer=None)."
            )

    def _warn_of_loss(self):
        kept = "new texts" if self.cache is not None else "anything"
        advice = "" if isinstance(self.model, TorchModel) else _SAVE
        warn_user(
            f"The pickle of this {type(self).__name__} leaves out {self._spec().name}. When "
            f"loaded, it cannot read {kept} until you set the model again: "
            f"set_params(model=..., tokenizer=...).{advice}"
        )

    def __repr__(self, **options):
        return super(LiveModelMixin, self._to_show()).__repr__(**options)

    def _to_show(self):
        # The repr of a module is its whole tree, and that of a tokenizer lists all its tokens.
        shown = self._shallow_copy()
        for name in ("model", "tokenizer"):
            value = getattr(self, name)
            if not isinstance(value, _SHORT):
                setattr(shown, name, _Named(type(value).__name__))
        return shown

    def _spec(self):
        is_path = isinstance(self.model, (str, os.PathLike))
        self._check_fingerprint(is_path)
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
            fingerprint=self.fingerprint,
        )

    def _check_fingerprint(self, is_path):
        if self.fingerprint is None:
            return
        if is_path:
            raise ValueError(
                f"The 'fingerprint' parameter of {type(self).__name__} names a loaded model, but "
                f"{os.fspath(self.model)!r} is identified by its files. Use fingerprint=None."
            )
        if not isinstance(self.fingerprint, str) or not self.fingerprint:
            raise ValueError(
                f"The 'fingerprint' parameter of {type(self).__name__} must be a non-empty str or "
                f"None, got {self.fingerprint!r}."
            )


_SAVE = (
    " To save a pipeline that is complete, save the model and its tokenizer with save_pretrained, "
    "and pass the path of the folder."
)


class _Named:
    """Stands in for a live model or tokenizer in the repr."""

    def __init__(self, class_name):
        self.class_name = class_name

    def __repr__(self):
        return f"<a live {self.class_name}>"


# Types with a short repr.
_SHORT = (str, os.PathLike, DetachedModel, TorchModel, _Named, type(None))


def _pprint(printer, estimator, *where):
    printer._pprint_estimator(estimator._to_show(), *where)


# Otherwise, scikit-learn would print the whole module within a pipeline, without line breaks.
_EstimatorPrettyPrinter._dispatch[LiveModelMixin.__repr__] = _pprint
