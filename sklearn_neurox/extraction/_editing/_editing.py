# SPDX-License-Identifier: BSD-3-Clause
"""Change the states of a live model while a context is open."""

import contextlib
import threading

from sklearn_neurox.extraction._editing._sites import hidden_sites, site_of
from sklearn_neurox.extraction._model._eager import uncompiled
from sklearn_neurox.extraction._model._first_look import traits_of
from sklearn_neurox.extraction._model._forward import base_of
from sklearn_neurox.extraction._model._hooks import first_of, note_edit
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._warn_user import warn_user


@contextlib.contextmanager
def editing(model, changes):
    """Change the states of a model whenever it runs, until the context exits.

    Everything downstream is computed from the changed states, for all threads and callers. Contexts
    can be nested: the inner one changes what the outer one returned.

    Parameters
    ----------
    model : PreTrainedModel or TorchModel
        With or without a head.

    changes : dict of Block to callable
        Each is called with the state, a tensor of shape (..., n_units), and returns another of the
        same shape. It must not modify its argument, which the model may use elsewhere.

    Yields
    ------
    model : PreTrainedModel or TorchModel

    Raises
    ------
    ValueError
        If one of the blocks is not computed by a single module.

    Warns
    -----
    UserWarning
        On exit, if the model as a whole ran but a module whose state was to be changed did not.
    """
    module = model.module if isinstance(model, TorchModel) else model
    _look_before(model)
    edits = [_Edit(model, block, change) for block, change in changes.items()]
    ran = set()
    with contextlib.ExitStack() as stack:
        for edit in edits:
            for handle in edit.install():
                stack.callback(handle.remove)
        watch = module.register_forward_hook(lambda *_: ran.add(True))
        stack.callback(watch.remove)
        stack.enter_context(uncompiled(module))
        yield model
    idle = [edit.block.name for edit in edits if not edit.has_acted]
    if ran and idle:
        warn_user(
            f"The model ran, but not the modules that compute {idle[0]!r} ({len(idle)} such "
            "blocks), so their neurons were not changed.",
        )


def _look_before(model):
    """Examine the unmodified model, so that the results are cached before hooks change it."""
    if isinstance(model, TorchModel):
        return
    stacks = ("encoder", "decoder") if model.config.is_encoder_decoder else (None,)
    for stack in stacks:
        for one in (model, model.base_model):
            traits_of(one, stack)
        hidden_sites(model, stack)


class _Edit:
    """A change at one site of a model."""

    def __init__(self, model, block, change):
        self.block, self.change = block, change
        self.base = base_of(model, block.stack)
        self.site = site_of(model, block)
        self.has_acted = False
        # The number of the module's next call, for each thread that runs the model.
        self.calls = threading.local()

    def install(self):
        """Register the hooks, yielding each handle at once so that it is always removed."""
        module = self.base.get_submodule(self.site.path)
        note_edit(module)
        if self.site.call is not None:
            yield self.base.register_forward_pre_hook(_Restart(self))
        if self.site.side == "output":
            handle = module.register_forward_hook(_AfterModule(self), prepend=True)
            hooks = module._forward_hooks
        else:
            handle = module.register_forward_pre_hook(
                _BeforeModule(self), with_kwargs=True, prepend=True
            )
            hooks = module._forward_pre_hooks
        yield handle
        _let_inner_come_last(hooks, handle.id)

    def __call__(self, state):
        if self.site.call is not None:
            call = getattr(self.calls, "n", 0)
            self.calls.n = call + 1
            if call != self.site.call:
                return state
        self.has_acted = True
        return self.change(state)


def _let_inner_come_last(hooks, newest):
    """Order the edits of one module as they were opened, before all other hooks.

    Prepending puts them before all others, such as transformers' own recording of hidden states,
    which must see the changed states. But it reverses the order of nested edits.
    """
    earlier = [k for k, hook in hooks.items() if isinstance(hook, _Hook) and k != newest]
    for key in reversed(earlier):
        hooks.move_to_end(key, last=False)


class _Hook:
    # A class, not a closure, so that our hooks can be recognized.
    def __init__(self, edit):
        self.edit = edit


class _Restart(_Hook):
    def __call__(self, *_):
        self.edit.calls.n = 0


class _AfterModule(_Hook):
    def __call__(self, module, args, output):
        return _with_first(output, self.edit(first_of(output)))


class _BeforeModule(_Hook):
    # torch omits the kwargs if the hook is removed while another thread is calling it.
    def __call__(self, module, args, kwargs=None):
        if args:
            args = (self.edit(args[0]), *args[1:])
        elif kwargs:
            kwargs = {**kwargs, "hidden_states": self.edit(kwargs["hidden_states"])}
        return args if kwargs is None else (args, kwargs)


def _with_first(output, state):
    """Return the outputs of a module with the first one replaced."""
    if isinstance(output, dict):
        first = next(iter(output))
        return type(output)(**{**output, first: state})
    if isinstance(output, (tuple, list)) and output:
        rest = (state, *output[1:])
        return type(output)(*rest) if hasattr(output, "_fields") else type(output)(rest)
    return state
