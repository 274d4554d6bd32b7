# SPDX-License-Identifier: BSD-3-Clause
"""Properties of a model that its config reveals before the weights are loaded."""

# These models number positions from padding_idx + 1, so some rows of their table are never used.
_POSITIONS_AFTER_PADDING = frozenset(
    "camembert data2vec-text esm ibert layoutlmv3 lilt longformer luke markuplm mluke mpnet "
    "prophetnet roberta roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod".split()
)
# These compute positions for any length, or have none, though their config states a length.
_ANY_LENGTH = frozenset(
    "fsmt inkling_text inkling2_text jamba kosmos_2_5_text_model m2m_100 mamba mamba2 nemotron_h "
    "nllb-moe pegasus_x rwkv xlnet".split()
)
# The names of the stated number of positions, the more specific first.
_POSITIONS = ("max_{stack}_position_embeddings", "max_position_embeddings", "max_seq_len")
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
    nested = getattr(config, "text_config", None)
    if nested is not None:  # an encoder-decoder that also reads images
        return text_config(nested, stack)
    # get_text_config(decoder=True) would lose the sizes of a config that describes both.
    nested = getattr(config, stack or "encoder", None)
    return config if nested is None else nested.get_text_config()


def n_blocks(config, stack=None):
    """Return the number of blocks of a stack, 0 if the config does not state it."""
    config = text_config(config, stack)
    layers = getattr(config, "num_hidden_layers", 0)
    if not isinstance(layers, int):  # LXMERT has a number for each of its parts
        return 0
    if stack == "decoder":
        own = getattr(config, "num_decoder_layers", getattr(config, "decoder_layers", None))
        return layers if own is None else own
    return layers


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


def n_heads(config, stack=None, layer=1):
    """Return the number of attention heads of a block, or None if the config lacks it."""
    config = text_config(config, stack)
    try:
        heads = getattr(config, "num_attention_heads", None)
    except Exception:  # transformers has no stable class for a number that depends on the layer
        layers = getattr(config, "per_layer_config", None)
        if layers is None:
            raise
        return layers[layer - 1].num_attention_heads
    if stack != "decoder":
        return heads
    own = getattr(config, "num_decoder_attention_heads", heads)
    return getattr(config, "decoder_attention_heads", own)


def decoder_start(config, stacks, *, model):
    """Return the first token of a decoder's input, or None if it is the last token of its text."""
    if "decoder" not in stacks or config.model_type in _ROTATE_TARGETS:
        return None
    sizes = [getattr(config, f"{side}_vocab_size", None) for side in ("src", "tgt")]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"The decoder of {model} cannot be read: it has a vocabulary of its own, of "
            f"{sizes[1]} tokens, which its tokenizer does not apply to texts. Read the encoder."
        )
    token = getattr(config, "decoder_start_token_id", None)
    if token is None:
        raise ValueError(
            f"The decoder of {model} cannot be read: its config has no decoder_start_token_id. "
            "Load the model yourself, set model.config.decoder_start_token_id, and pass it."
        )
    return int(token)


def stated_positions(config, stack=None):
    """Return how many positions a config states, or None if it states no number."""
    config = text_config(config, stack)
    names = [name.format(stack=stack) for name in _POSITIONS]
    stated = [getattr(config, name) for name in names if getattr(config, name, None) is not None]
    if not stated:
        return None
    positions = stated[0]
    if config.model_type in _POSITIONS_AFTER_PADDING and not _is_rotary(config):
        positions -= config.pad_token_id + 1
    if config.model_type == "prophetnet" and stack == "decoder":
        positions -= 1  # it also embeds the position that it predicts
    # XLNet has -1.
    return positions if positions > 0 else None


def max_positions(config, stack=None):
    """Return how many positions tokens can have, or None if the model has no limit."""
    own = text_config(config, stack)
    relative = getattr(own, "position_biased_input", True) is False  # DeBERTa
    if relative or own.model_type in _ANY_LENGTH or _is_rotary(own):
        return None
    return stated_positions(config, stack)


def _is_rotary(config):
    kind = getattr(config, "position_embedding_type", None)
    if kind is not None:
        return kind in ("rotary", "rope")
    names = ("rope_parameters", "rope_theta")
    return any(getattr(config, name, None) is not None for name in names)


def max_tokens(config, tokenizer, stacks=(None,)):
    """Return the most tokens the stacks should read at once, or None if nothing is stated."""
    limits = [_tokens(stated_positions(config, stack), stack) for stack in stacks]
    return _least([tokenizer.model_max_length, *limits])


def hard_limit(config, tokenizer, stacks=(None,)):
    """Return the most tokens the stacks can read at once, or None if there is no limit."""
    limits = [_tokens(max_positions(config, stack), stack) for stack in stacks]
    # The limit of a TorchModel is the user's own.
    own = [getattr(tokenizer, "max_length", None)] if hasattr(tokenizer, "encode_checked") else []
    return _least([*own, *limits])


def _tokens(positions, stack):
    # The decoder's start token takes one position.
    return positions - 1 if positions and stack == "decoder" else positions


def _least(limits):
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
