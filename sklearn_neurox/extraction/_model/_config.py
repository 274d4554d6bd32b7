# SPDX-License-Identifier: BSD-3-Clause
"""Properties of a model that its config reveals before the weights are loaded."""

# These models number positions from padding_idx + 1, so some rows of their table are never used.
_POSITIONS_AFTER_PADDING = frozenset(
    "camembert data2vec-text ibert longformer luke mluke mpnet roberta roberta-prelayernorm "
    "xlm-roberta xlm-roberta-xl xmod".split()
)
# A tokenizer without a limit reports a number of this order.
_UNLIMITED = 10**9
# These models start the decoder's input with the last token of the target.
_ROTATE_TARGETS = frozenset({"mbart", "plbart"})


def choose_stacks(config, stack, *, model):
    """Return the stacks that the ``stack`` parameter selects.

    A model that is not an encoder-decoder has a single stack, None.
    """
    if config.is_encoder_decoder:
        return ("encoder", "decoder") if stack == "both" else (stack or "encoder",)
    if stack is not None:
        raise ValueError(
            f"The 'stack' parameter of ActivationExtractor is {stack!r}, but {model} is "
            "not an encoder-decoder model and has only one stack. Use stack=None."
        )
    return (None,)


def text_config(config, stack=None):
    """Return the part of a config that describes the text model, or one of its stacks."""
    if not config.is_encoder_decoder:
        return config.get_text_config()
    if stack == "decoder":
        # get_text_config(decoder=True) would lose the sizes of a config that describes both.
        nested = getattr(config, "decoder", None)
        return config if nested is None else nested
    return config.get_text_config(encoder=True)


def n_blocks(config, stack=None):
    """Return the number of blocks of a stack."""
    config = text_config(config, stack)
    if stack == "decoder":
        own = getattr(config, "num_decoder_layers", getattr(config, "decoder_layers", None))
        return config.num_hidden_layers if own is None else own
    return config.num_hidden_layers


def hidden_layers(config, stack=None):
    """List the hidden layers that have one state per token; 0 is the embedding output."""
    n_layers = n_blocks(config, stack)
    if text_config(config, stack).model_type == "canine":
        # In between there is one state per group of characters, not per character.
        return [0, 1, n_layers + 3, n_layers + 4]
    return list(range(n_layers + 1))


def n_units(config, stack=None, *, is_last=False):
    """Return the number of neurons of a hidden layer."""
    config = text_config(config, stack)
    # A small OPT projects its last layer back to the width of its embedding.
    name = "word_embed_proj_dim" if is_last else "hidden_size"
    return getattr(config, name, config.hidden_size)


def n_heads(config, stack=None):
    """Return the number of attention heads of a block, or None if the config lacks it."""
    config = text_config(config, stack)
    heads = getattr(config, "num_attention_heads", None)
    return getattr(config, "decoder_attention_heads", heads) if stack == "decoder" else heads


def decoder_start(config, stacks, *, model):
    """Return the first token of a decoder's input, or None if it is the last token of its text."""
    if "decoder" not in stacks or config.model_type in _ROTATE_TARGETS:
        return None
    token = getattr(config, "decoder_start_token_id", None)
    if token is None:
        raise ValueError(
            f"The decoder of {model} cannot be read: its config has no decoder_start_token_id. "
            "Load the model yourself, set model.config.decoder_start_token_id, and pass it."
        )
    return int(token)


def max_positions(config, stack=None):
    """Return how many positions tokens can have, or None if the config sets no limit."""
    config = text_config(config, stack)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in _POSITIONS_AFTER_PADDING:
        positions -= config.pad_token_id + 1
    # XLNet has -1.
    return None if positions is None or positions < 1 else positions


def max_tokens(config, tokenizer, stacks=(None,)):
    """Return the most tokens the stacks can read at once, or None if there is no limit."""
    limits = [tokenizer.model_max_length]
    for stack in stacks:
        positions = max_positions(config, stack)
        # The decoder's start token takes one position.
        limits.append(positions - 1 if positions and stack == "decoder" else positions)
    limits = [limit for limit in limits if limit is not None and 0 < limit < _UNLIMITED]
    return min(limits, default=None)


def is_causal(config):
    """Return whether a token sees only the tokens before it."""
    from transformers.models.auto import modeling_auto

    if config.is_encoder_decoder:
        return False
    masked = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    only_causal = config.model_type in causal and config.model_type not in masked
    return bool(getattr(config, "is_decoder", False)) or only_causal
