# SPDX-License-Identifier: BSD-3-Clause
"""Find all blocks of the requested components of a model, without running it."""

from fnmatch import fnmatchcase

from sklearn_neurox.extraction._model import _config
from sklearn_neurox.extraction._model._blocks import MODULE, WEIGHT_PARTS, Block
from sklearn_neurox.extraction._model._loading import (
    build_skeleton,
    load_model,
    load_skeleton,
)

_LAYERED = ("hidden", "mlp", "attention")


def list_blocks(spec, config, components, stacks):
    """List all blocks of some components, by stack and then by component.

    Raises a ValueError if the model does not have one of the components.
    """
    found = []
    for stack in stacks:
        if not spec.is_torch_model and not set(components).isdisjoint(_LAYERED):
            _check_layers(spec, config, stack)
        for component in components:
            if component == "hidden" and not spec.is_torch_model:
                # The config is enough; this needs neither torch nor the modules.
                *inner, last = _config.hidden_layers(config, stack)
                width = _config.n_units(config, stack)
                found += [Block(stack, component, layer, width) for layer in inner]
                width = _config.n_units(config, stack, is_last=True)
                found.append(Block(stack, component, last, width))
            elif component in WEIGHT_PARTS:
                found += _weights(spec, component, stack)
            else:
                found += _blocks_of_modules(spec, config, component, stack)
    _check_modules_found(spec, components, stacks, found)
    return tuple(dict.fromkeys(found))  # two globs may match one module


def _weights(spec, component, stack):
    from sklearn_neurox.extraction._model._attention_sites import find_attention

    return find_attention(load_model(spec), component, stack, name=spec.name)


def _check_layers(spec, config, stack):
    """Raise an error if the config describes a stack whose layers are not known, or are others."""
    if not _config.n_blocks(config, stack):
        raise ValueError(
            f"ActivationExtractor cannot read the layers of {spec.name}: its config "
            f"({config.model_type}) does not state the number of layers of one stack that reads "
            "text. Load the model yourself and pass the part that reads text, such as "
            "model.text_model, or name modules with component='module:<glob>'."
        )
    if not spec.is_live:
        return
    from sklearn_neurox.extraction._model._first_look import traits_of

    stated = _config.hidden_layers(config, stack)[-1]
    n_layers = traits_of(spec.model, stack).n_layers
    # Some architectures return other states than their layers', which is said when they are read.
    if stated != n_layers and was_rebuilt(spec, stack):
        raise ValueError(
            f"ActivationExtractor cannot read the layers of {spec.name}: its config states "
            f"{stated} layers, but the model returns the states of {n_layers}, so layers were "
            "removed or added. Tell the config, too: model.config.num_hidden_layers = "
            f"{n_layers} (or its name in this config)."
        )


def was_rebuilt(spec, stack):
    """Return whether a live model has other modules than its config describes."""
    from sklearn_neurox.extraction._model._forward import base_of

    present, described = (
        {name for name, _ in base_of(model, stack).named_modules()}
        for model in (spec.model, build_skeleton(spec))
    )
    return present != described


def _blocks_of_modules(spec, config, component, stack):
    from sklearn_neurox.extraction._model._forward import base_of
    from sklearn_neurox.extraction._model._projections import find_embedding, find_projections

    base = base_of(load_skeleton(spec), stack)
    if component.startswith(MODULE):
        return _matching(base, component, stack)
    if spec.is_torch_model:
        raise ValueError(
            f"ActivationExtractor cannot find component={component!r} in {spec.name}, which is "
            "not a transformers model. Name modules instead, with component='module:<glob>'. It "
            f"has {_some_modules(base)}."
        )
    if component == "embedding":
        return [find_embedding(base, stack, model=spec.name)]
    return find_projections(base, config, component, stack, model=spec.name)


def _matching(base, component, stack):
    glob = component.removeprefix(MODULE)
    prefix = f"{stack}." if stack else ""
    return [
        Block(stack, f"{MODULE}{prefix}{path}", path=path)
        for path, _ in base.named_modules()
        if path and fnmatchcase(prefix + path, glob)
    ]


def _check_modules_found(spec, components, stacks, found):
    from sklearn_neurox.extraction._model._forward import base_of

    paths = [block.component for block in found if block.is_module]
    for component in components:
        if component.startswith(MODULE) and not any(fnmatchcase(p, component) for p in paths):
            skeleton = load_skeleton(spec)
            there = [name for s in stacks for name in _some_modules(base_of(skeleton, s), s)]
            raise ValueError(
                f"The 'component' parameter of ActivationExtractor contains {component!r}, but no "
                f"module path of {spec.name} matches it. The modules are {there}."
            )


def _some_modules(base, stack=None):
    """List module paths, merging those that differ only in numbers into one pattern."""
    prefix, seen = f"{stack}." if stack else "", {}
    for path, _ in base.named_modules():
        if path:
            pattern = ".".join("*" if part.isdigit() else part for part in path.split("."))
            seen.setdefault(prefix + pattern)
    return list(seen)[:40]
