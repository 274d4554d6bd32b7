# SPDX-License-Identifier: BSD-3-Clause
"""What a shard says about the model, so that blocks can be chosen and named without it."""

from dataclasses import astuple, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from sklearn_neurox.extraction._model._blocks import Block, choose_blocks
from sklearn_neurox.extraction._model._config import choose_stacks
from sklearn_neurox.extraction._model._loading import load_config, load_tokenizer
from sklearn_neurox.extraction._model._sinks import is_sink
from sklearn_neurox.extraction._text._checks import limit_tokens

_TYPES = {
    "model": str,
    "dtype": str,
    "tokenizer": str,
    "causal": bool,
    "cls": bool,
    "stacks": dict,
    "pooled": list,
}
_STACKS = frozenset(["", "encoder", "decoder"])
_GLOB = frozenset("*?[")
_NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True)
class StackFacts:
    """What is known of one stack."""

    limit: int  # the most tokens per input
    components: dict  # component, as it was asked for -> tuple of all its Blocks, of any layer
    sinks: frozenset  # layers in which the first token of an input is an attention sink


@dataclass(frozen=True)
class Facts:
    """Properties of the model and the tokenizer, the same in all shards of a folder.

    Only ``stacks`` and ``pooled`` grow, with the components and strategies that were asked for.
    """

    model: str
    dtype: str
    tokenizer: str
    causal: bool
    cls: bool
    stacks: dict  # "encoder", "decoder" or, if the model has a single one, "" -> StackFacts
    pooled: tuple = ()  # the strategies with which rows were pooled; none if tokens are stored

    def join(self, other):
        """Return these facts with the components of another shard as well."""
        stacks = dict(self.stacks)
        for name, theirs in other.stacks.items():
            ours = stacks.get(name, theirs)
            stacks[name] = replace(ours, components={**ours.components, **theirs.components})
        pooled = tuple(dict.fromkeys(self.pooled + other.pooled))
        return replace(self, stacks=stacks, pooled=pooled)

    def choose(self, request):
        """Return the requested blocks and the token limit; None if they are not known."""
        wanted = ("encoder", "decoder") if request.stack == "both" else (request.stack,)
        if request.stack is None:
            wanted = ("",) if "" in self.stacks else ("encoder",)
        if not all(name in self.stacks for name in wanted):
            return None
        found = [
            _find(self.stacks[stack].components, name)
            for stack in wanted
            for name in request.component
        ]
        if None in found or not any(found):
            return None
        available = tuple(dict.fromkeys(block for blocks in found for block in blocks))
        chosen = choose_blocks(available, request.layers, model=request.spec.name)
        return chosen, min(self.stacks[block.stack or ""].limit for block in available)

    def check_widths(self, widths):
        """Raise a ValueError unless blocks, given by name and width, are those described here."""
        described = {
            (block.name, block.n_units)
            for stack in self.stacks.values()
            for blocks in stack.components.values()
            for block in blocks
        }
        if not widths.items() <= described:
            raise ValueError("its blocks are not those that it describes")

    def sinks(self, blocks):
        """Return the names of the blocks in which the first token of an input is a sink."""
        layers = {name: stack.sinks for name, stack in self.stacks.items()}
        return tuple([b.name for b in blocks if is_sink(b, layers[b.stack or ""])])

    def to_json(self):
        """Return these facts as a dict of JSON types."""
        stacks = {
            name: {
                "limit": None if stack.limit == _NO_LIMIT else stack.limit,
                "sinks": sorted(stack.sinks),
                "components": {
                    component: [list(astuple(block)[:5]) for block in blocks]
                    for component, blocks in stack.components.items()
                },
            }
            for name, stack in self.stacks.items()
        }
        return {**self.__dict__, "stacks": stacks, "pooled": list(self.pooled)}

    @classmethod
    def from_json(cls, stored):
        """Restore facts; raise a ValueError, KeyError or TypeError if they are malformed."""
        stored = {"pooled": [], **stored}
        types = {name: type(value) for name, value in stored.items()}
        if types != _TYPES or not all(isinstance(name, str) for name in stored["pooled"]):
            raise ValueError("it does not describe its model")
        stacks = {name: _read_stack(stack) for name, stack in stored["stacks"].items()}
        if not stacks or not stacks.keys() <= _STACKS:
            raise ValueError("it does not describe its model")
        return cls(**{**stored, "stacks": stacks, "pooled": tuple(stored["pooled"])})


def _read_stack(stored):
    limit = _NO_LIMIT if stored["limit"] is None else stored["limit"]
    components = {name: tuple(map(_read_block, own)) for name, own in stored["components"].items()}
    sinks = stored.get("sinks", [])
    if not all(type(number) is int for number in (limit, *sinks)) or not 0 < limit <= _NO_LIMIT:
        raise ValueError("it does not describe its model")
    return StackFacts(limit, components, frozenset(sinks))


def _read_block(stored):
    block = Block(*stored)
    number = (int, type(None))
    kinds = (str, type(None)), str, number, int, number
    if not all(map(isinstance, astuple(block)[:5], kinds)):
        raise ValueError("it does not describe its blocks")
    return block


def _find(components, name):
    """Return the blocks of a component; None if they are not known."""
    if name in components or _GLOB & set(name):
        return components.get(name)
    # A module may have been read as part of a glob.
    same = [block for blocks in components.values() for block in blocks if block.component == name]
    return tuple(same[:1]) or None


def facts_of(request, tokenized, source, traits_by_stack):
    """Return the facts about a model, given a `ModelSource` with all layers."""
    spec = request.spec
    config, tokenizer = load_config(spec), load_tokenizer(spec)
    layout, stacks = stored_layout(source), {}
    for name in choose_stacks(config, request.stack, model=spec.name):
        own = [block for block in layout if block.stack == name]
        stacks[name or ""] = StackFacts(
            int(limit_tokens(config, tokenizer, [name], request.max_length, model=spec.name)),
            {
                asked: tuple(b for b in own if fnmatchcase(b.component, asked))
                for asked in request.component
            },
            sinks=traits_by_stack[name].sinks,
        )
    return Facts(
        model=Path(spec.name).name if Path(spec.name).is_dir() else spec.name,
        dtype=request.store.dtype,
        tokenizer=tokenized.tokenizer,
        causal=bool(tokenized.causal),
        cls=bool(tokenized.has_cls),
        stacks=stacks,
        pooled=request.store.pooled,
    )


def stored_layout(source):
    """Return the blocks of a `ModelSource`, each with its width, as a cache stores them."""
    return tuple(
        replace(block, n_units=int(width), path=None, call=0)
        for block, width in zip(source.blocks, source.block_widths, strict=True)
    )
