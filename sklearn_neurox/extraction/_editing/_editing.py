# SPDX-License-Identifier: BSD-3-Clause
"""Change the states of a live model while a context is open."""

import contextlib
import threading

from sklearn_neurox.extraction._editing._generation import watching_generation
from sklearn_neurox.extraction._editing._positions import arranged
from sklearn_neurox.extraction._editing._readings import Readings
from sklearn_neurox.extraction._editing._sites import hidden_sites, site_of
from sklearn_neurox.extraction._model._eager import uncompiled
from sklearn_neurox.extraction._model._first_look import traits_of
from sklearn_neurox.extraction._model._forward import base_of
from sklearn_neurox.extraction._model._hooks import first_of, note_edit
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._warn_user import warn_user


@contextlib.contextmanager
def editing(model, changes, positions=None):
    """Change the states of a model whenever it runs, until the context exits.

    Everything downstream is computed from the changed states, for all threads and callers. Contexts
    can be nested: the inner one changes what the outer one returned.

    Parameters
    ----------
    model : PreTrainedModel or TorchModel
        With or without a head.

    changes : dict of Block to callable
        Each is called with states, a tensor of shape (..., n_units), and their slots, and returns
        other states of the same shape. It must not modify its arguments, which the model may use
        elsewhere. With ``positions``, it gets only the chosen tokens, of shape (n_tokens, n_units),
        and ``slots`` of shape (n_tokens,), as numbered by the positions; without, all tokens and
        None.

    positions : Positions or None, default=None
        At which tokens; None changes all.

    Yields
    ------
    model : PreTrainedModel or TorchModel

    Raises
    ------
    ValueError
        If one of the blocks is not computed by a single module; and on exit, if the model ran but
        read none of the chosen tokens.

    Warns
    -----
    UserWarning
        On exit, if the model as a whole ran but a module whose state was to be changed did not, or
        if the model did not run at all.
    """
    module = model.module if isinstance(model, TorchModel) else model
    _look_before(model)
    readings = None if positions is None else Readings(module)
    edits = [_Edit(model, block, change, positions, readings) for block, change in changes.items()]
    started, ran = set(), set()
    with contextlib.ExitStack() as stack:
        if positions is not None:
            stack.enter_context(watching_generation(module))
            stack.enter_context(readings.following(_readers(model, module, edits)))
        for edit in edits:
            for handle in edit.install():
                stack.callback(handle.remove)
        watch = module.register_forward_hook(lambda *_: ran.add(True))
        stack.callback(watch.remove)
        for one in {module, *(edit.base for edit in edits)}:
            watch = one.register_forward_pre_hook(lambda *_: started.add(True))
            stack.callback(watch.remove)
        stack.enter_context(uncompiled(module))
        yield model
    if positions is not None:
        positions.finish(has_run=any(edit.has_acted for edit in edits))
    idle = [edit.block.name for edit in edits if not edit.has_acted]
    if ran and idle:
        warn_user(
            f"The model ran, but not the modules that compute {idle[0]!r} ({len(idle)} such "
            "blocks), so their neurons were not changed.",
        )
    elif not started and not any(edit.has_acted for edit in edits):
        warn_user(
            "The model did not run while its neurons were changed, so nothing was read with the "
            "change. Activations run the model only when SubwordAggregator pools them, which must "
            "happen before the context exits. An extractor runs this model only if it has the "
            "same parameters: pass the extractor itself to ablate_model.",
        )


def _readers(model, module, edits):
    """List the modules whose inputs are the tokens that edited states belong to, by stack."""
    bases = {edit.block.stack: edit.base for edit in edits}
    # Some models run the parts of their stack themselves, but then read the same tokens.
    if None in bases and bases[None] is not module:
        yield None, module
    if "decoder" in bases:  # which may be recognized by what the encoder reads, too
        bases.setdefault("encoder", base_of(model, "encoder"))
    yield from bases.items()


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

    def __init__(self, model, block, change, positions, readings):
        self.block, self.change = block, change
        self.positions, self.readings = positions, readings
        self.traits = None if positions is None else traits_of(model, block.stack)
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
        return self.change(state, None) if self.positions is None else self._change_some(state)

    def _change_some(self, state):
        """Return a copy of a state in which the chosen tokens are changed."""
        reading = self.readings.current(self.block.stack)
        if reading is None:
            raise ValueError(
                f"The tokens of {self.block.name!r} are not known, because its module was called "
                "outside its model. Call the model as a whole, or use positions='all'."
            )
        slots = arranged(reading.slots(self.positions), state, self.traits, self.site)
        chosen = slots >= 0
        if not chosen.any():
            return state
        changed = state.clone()
        changed[chosen] = self.change(state[chosen], slots[chosen])
        return changed


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
