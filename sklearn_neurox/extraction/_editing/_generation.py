# SPDX-License-Identifier: BSD-3-Clause
"""Notice that a model generates text, and where its prompt ends."""

import contextlib
import functools
import threading
import weakref
from contextvars import ContextVar

_current: ContextVar = ContextVar("sklearn_neurox_generation", default=())
_n_watchers: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class Generation:
    """One call of ``model.generate``, as far as a stack that generates reads its inputs."""

    def __init__(self, model, args, kwargs):
        self.model = weakref.ref(model)
        prompt = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
        is_ids = getattr(prompt, "ndim", 0) == 2 and not model.config.is_encoder_decoder
        # Otherwise, the first pass reads the whole prompt.
        self.width = int(prompt.shape[1]) if is_ids and prompt.shape[1] else None
        self.n_read = 0  # how many tokens were read, for caches that do not tell

    def prompt_width(self, reading):
        """Return how many places the prompt has, padding included."""
        if self.width is None:
            self.width = reading.past + reading.shape[1]
        return self.width


def generation_of(model):
    """Return the call of a model's ``generate`` that is running in this thread, or None."""
    calls = [call for call in _current.get() if call.model() is model]
    return calls[-1] if calls else None


def can_generate(model):
    """Return whether a model has a working ``generate``."""
    return callable(getattr(model, "generate", None)) and bool(
        getattr(model, "can_generate", lambda: True)()
    )


@contextlib.contextmanager
def watching_generation(model):
    """Notice calls of ``model.generate`` within the context.

    The last context to exit, of whichever thread, restores the method.
    """
    if not can_generate(model):
        yield
        return
    with _lock:
        n_watchers = _n_watchers.get(model, 0)
        if not n_watchers:
            model.generate = _Watched(model, vars(model).get("generate"))
        _n_watchers[model] = n_watchers + 1
    try:
        yield
    finally:
        with _lock:
            _n_watchers[model] -= 1
            if not _n_watchers[model]:
                del _n_watchers[model]
                _restore(model)


def _restore(model):
    watched = vars(model).get("generate")
    if not isinstance(watched, _Watched):  # somebody replaced it meanwhile
        return
    if watched.own is None:
        del model.generate
    else:
        model.generate = watched.own


class _Watched:
    """The method ``generate`` of a model, which leaves a note while it runs."""

    def __init__(self, model, own):
        self.own, self._model = own, weakref.ref(model)
        functools.update_wrapper(self, own or type(model).generate)

    def __call__(self, *args, **kwargs):
        model = self._model()
        method = self.own or functools.partial(type(model).generate, model)
        token = _current.set((*_current.get(), Generation(model, args, kwargs)))
        try:
            return method(*args, **kwargs)
        finally:
            _current.reset(token)
