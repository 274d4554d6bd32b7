# SPDX-License-Identifier: BSD-3-Clause
"""Locate the modules of a model: its blocks, their projections, and its embedding."""

import re

import torch

from sklearn_neurox.extraction._model import _config
from sklearn_neurox.extraction._model._blocks import Block

# Paths within a block. Model families share few names, so rules work better than a long table.
_FEED_FORWARD = r"(?:mlp|mlp_block|ffn|ff|feed_forward|layer\.\d+\.(?:DenseReluDense|mlp))\."
_SELF_ATTENTION = (
    r"(?:self_attn|self_attention|attn|attn\.attention|attention|attention\.output|attention\.attn"
    r"|multi_head_attention|layer\.0\.\w*SelfAttention)\."
)
_RULES = {
    # BERT has "output.dense" in the block itself; "attention.output.dense" is another module.
    # MobileBERT has several per block, none of which represents the others.
    "mlp": re.compile(
        r"(?:ffn\.\d+\.)?output\.dense|feed_forward\.(?:output(?:\.dense)?|value)|ff\.layer_2|ffn\.2"
        rf"|(?:{_FEED_FORWARD})?"
        r"(?:down_proj|fc2|fc_out|c_proj|dense_4h_to_h|wo|Wo|w2|lin2|linear2|ffn_output)"
    ),
    "attention": re.compile(
        rf"{_SELF_ATTENTION}(?:o_proj|out_proj|c_proj|dense|Wo|wo|o|out_lin|proj)"
        r"|temporal_block\.o_proj|self_attn\.output|attentions\.out_lin"
    ),
}
# torch.compile inserts this into the paths of a block.
_WRAPPED = "_orig_mod."
_WHAT = {"mlp": "down projection", "attention": "output projection of the attention"}


def find_projections(base, config, component, stack, *, model):
    """Find the projection whose input is the component, in each block that has one.

    Raises
    ------
    ValueError
        If no block, or no projection in any block, follows a known pattern.
    """
    blocks = block_modules(base, config, stack)
    for each in _with_siblings(base, blocks):
        found = []
        for layer, (path, call) in each.items():
            matching = _matching(base.get_submodule(path), path, component)
            if len(matching) == 1:
                name, width = matching[0]
                heads = None
                if component == "attention":
                    heads = _heads(config, stack, layer, width, model)
                name = f"{path}.{name}"
                found.append(Block(stack, component, layer, width, heads, name, call))
        if found:
            return found
    raise ValueError(_not_found(base, blocks, component, stack, model))


def _with_siblings(base, blocks):
    """Return the blocks and those of the lists beside theirs: XLM has one list for each part."""
    if not blocks:
        return []
    parent, _, first = blocks[1][0].rpartition(".") if 1 in blocks else ("", "", "")
    if first != "0":
        return [blocks]
    parent, _, own = parent.rpartition(".")
    siblings = [
        f"{parent}.{name}" if parent else name
        for name, module in base.get_submodule(parent).named_children()
        if isinstance(module, torch.nn.ModuleList) and len(module) == len(blocks) and name != own
    ]
    return [blocks, *({n + 1: (f"{s}.{n}", 0) for n in range(len(blocks))} for s in siblings)]


def _matching(block, path, component):
    """List the names and widths of the modules of a block that follow a known pattern."""
    parent = path.split(".")[-2:-1]
    found = []
    for name, module in block.named_modules():
        plain, width = name.replace(_WRAPPED, ""), _input_width(module)
        within = ".".join([*parent, plain])
        rule = _RULES[component]
        if width is not None and (rule.fullmatch(plain) or rule.fullmatch(within)):
            found.append((name, width))
    return found


def _not_found(base, blocks, component, stack, model):
    path = next(iter(blocks.values()), ("",))[0]
    block = base.get_submodule(path)
    prefix = ".".join(part for part in (stack, path) if part)
    candidates = [
        f"{prefix}.{name}" if prefix else name
        for name, module in block.named_modules()
        if name and not any(True for _ in module.children())
    ]
    return (
        f"ActivationExtractor cannot find component={component!r} in {model}: no single module is "
        f"known as the {_WHAT[component]} of a block (a mixture of experts has one per expert). "
        "Name the modules whose output to read, with component='module:<glob>'. Candidates: "
        f"{candidates[:40]}."
    )


def block_modules(base, config, stack):
    """Return for each layer the path of the module that computes it and the index of its call.

    Empty if no list has as many modules as there are blocks.
    """
    n_layers = _config.n_blocks(config, stack)
    config = getattr(base, "config", config)
    if config.model_type == "canine":  # its other layers have no state per character
        return {
            1: ("initial_char_encoder.layer.0", 0),
            n_layers + 4: ("final_char_encoder.layer.0", 0),
        }
    if config.model_type == "albert" and config.inner_group_num == 1:
        per_group = n_layers / config.num_hidden_groups
        groups = [int(block / per_group) for block in range(n_layers)]
        return {
            block + 1: (
                f"encoder.albert_layer_groups.{group}.albert_layers.0",
                groups[:block].count(group),
            )
            for block, group in enumerate(groups)
        }
    for name in lists_of_length(base, n_layers):
        return {block + 1: (f"{name}.{block}", 0) for block in range(n_layers)}
    return {}


def lists_of_length(base, n_layers):
    """List the paths of the module lists of a length, the most likely blocks of a text first.

    A model that also reads images or sound has such lists in its other parts, too. The blocks are
    near the token embedding, and not deep inside another part.
    """
    path = embedding_path(base) or ""
    parents = [path]
    while parents[-1]:
        parents.append(parents[-1].rpartition(".")[0])
    found = {}
    for parent in parents:
        modules = base.get_submodule(parent).named_modules(prefix=parent)
        lists = [
            name
            for name, module in modules
            if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers
        ]
        found |= dict.fromkeys(sorted(lists, key=lambda name: name.count(".")))
    return list(found)


def _input_width(module):
    # GPT-2's Conv1D calls it nx; quantized layers keep in_features.
    return getattr(module, "in_features", getattr(module, "nx", None))


def _heads(config, stack, layer, width, model):
    heads = _config.n_heads(config, stack, layer)
    if not isinstance(heads, int) or width % heads:
        raise ValueError(
            f"ActivationExtractor cannot divide the {width} attention units of {model} among its "
            f"heads ({heads!r} in its config). Read the attention with component='module:<glob>'."
        )
    return heads


def find_embedding(base, stack, *, model):
    """Return the block of the module that embeds tokens."""
    path = embedding_path(base)
    if path is None:
        candidates = [n for n, m in base.named_modules() if isinstance(m, torch.nn.Embedding)]
        raise ValueError(
            f"ActivationExtractor cannot read component='embedding' of {model}: no single module "
            "embeds its tokens. Read modules with component='module:<glob>'. Candidates: "
            f"{candidates[:20]}."
        )
    embedding = base.get_submodule(path)
    # A packed weight does not have this width, and may not even be a tensor.
    width = getattr(embedding, "embedding_dim", None) or embedding.weight.shape[-1]
    return Block(stack, "embedding", 0, width, path=path)


def embedding_path(base):
    """Return the path of the module that embeds tokens, or None if no single module does."""
    try:
        embedding = base.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        embedding = getattr(base, "embed_tokens", None)
    return next((name for name, module in base.named_modules() if module is embedding), None)
