# SPDX-License-Identifier: BSD-3-Clause
"""What a config tells about a model before its weights are loaded."""

from numbers import Integral

# These number positions from padding_idx + 1, so their table has rows no token can use.
_POSITIONS_AFTER_PADDING = frozenset(
    "camembert data2vec-text ibert longformer luke mluke mpnet roberta roberta-prelayernorm "
    "xlm-roberta xlm-roberta-xl xmod".split()
)
# A tokenizer without a limit says so with a number of this order.
_UNLIMITED = 10**9


def text_config(config):
    """Return the part of a config that describes the text model."""
    return (
        config.get_text_config(encoder=True)
        if config.is_encoder_decoder
        else config.get_text_config()
    )


def hidden_layers(config):
    """List the hidden layers that have one state a token; 0 is the embedding output."""
    config = text_config(config)
    n_blocks = config.num_hidden_layers
    if config.model_type == "canine":
        # The states between are one a group of characters, not one a character.
        return [0, 1, n_blocks + 3, n_blocks + 4]
    return list(range(n_blocks + 1))


def choose_layers(config, layers, *, model):
    """Turn the ``layers`` parameter into a list of layers the model has.

    Parameters
    ----------
    config : PreTrainedConfig

    layers : int, list of int or None
        Negative ones count from the last; None takes all.

    model : str
        The model's name, for the error message.

    Returns
    -------
    layers : list of int
        In the order given.

    Raises
    ------
    ValueError
        For a layer that is not there, a repeated one, or none at all.
    """
    known = hidden_layers(config)
    if layers is None:
        return known
    asked = [layers] if isinstance(layers, Integral) else list(layers)
    if not all(isinstance(layer, Integral) for layer in asked):
        raise ValueError(
            "The 'layers' parameter of ActivationExtractor must be an int, a list of int or "
            f"None, got {layers!r}."
        )
    chosen = [int(layer) + known[-1] + 1 if layer < 0 else int(layer) for layer in asked]
    wrong = [a for a, layer in zip(asked, chosen, strict=True) if layer not in known]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        problem = (
            f"there is no layer {wrong[0]}" if wrong else "must name distinct ones, at least one"
        )
        raise ValueError(
            f"The 'layers' parameter of ActivationExtractor is {layers!r}, but {problem}; {model} "
            f"has {known} (0 is the embedding)."
        )
    return chosen


def n_units(config):
    """Return the number of neurons of a hidden layer."""
    return text_config(config).hidden_size


def stack_of(config):
    """Name the stack that neuron names carry: None unless the model has two."""
    return "encoder" if config.is_encoder_decoder else None


def max_positions(config):
    """Return how many positions a token can have, None where the config sets no limit."""
    config = text_config(config)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in _POSITIONS_AFTER_PADDING:
        positions -= config.pad_token_id + 1
    return positions


def max_tokens(config, tokenizer):
    """Return the most tokens the model can read at once, None where there is no limit."""
    limits = [max_positions(config), tokenizer.model_max_length]
    limits = [limit for limit in limits if limit is not None and 0 < limit < _UNLIMITED]
    return min(limits, default=None)


def is_causal(config):
    """Tell whether the model sees only what stands before a token."""
    from transformers.models.auto import modeling_auto

    if config.is_encoder_decoder:
        return False
    masked = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    only_causal = config.model_type in causal and config.model_type not in masked
    return bool(getattr(config, "is_decoder", False)) or only_causal
