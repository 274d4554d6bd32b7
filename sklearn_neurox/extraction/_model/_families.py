# SPDX-License-Identifier: BSD-3-Clause
"""Facts about families of models that a first look at a short text does not show."""

import contextlib

import numpy as np

# These pad a text to a multiple of their window, after its last token. Some do so only if the text
# is longer than a window.
_PAD_THEMSELVES = frozenset(
    {"big_bird", "bigbird_pegasus", "led", "longformer", "pegasus_x", "reformer"}
)
# The attention of these treats long texts differently from short ones, and depends on the padding.
_DEPEND_ON_LENGTH = frozenset({"big_bird", "bigbird_pegasus", "longt5", "pegasus_x", "reformer"})


def pads_itself(config):
    """Return whether a model is known to pad texts at the end."""
    return config.model_type in _PAD_THEMSELVES


def depends_on_length(config):
    """Return whether padding is known to change the states of long texts."""
    return config.model_type in _DEPEND_ON_LENGTH


def check_readable(model):
    """Raise a ValueError if a model's states are known to differ from one run to the next."""
    config = model.config
    if config.model_type != "reformer" or "lsh" not in config.attn_layers:
        return
    missing = [name for name in ("hash_seed", "num_buckets") if getattr(config, name) is None]
    if missing:
        raise ValueError(
            f"ActivationExtractor cannot read {type(model).__name__}: without "
            f"{' and '.join(missing)} in its config, its LSH attention hashes the tokens "
            "differently from run to run. Load the model with these set, as in "
            "AutoModel.from_pretrained(name, hash_seed=0, num_buckets=64), and pass it."
        )


@contextlib.contextmanager
def undoing(base):
    """Undo in the end what a forward pass of BigBird or Reformer changes for good.

    At a short text, BigBird gives up sparse attention, also for the long texts that follow. Both
    seed global generators of random numbers.
    """
    if getattr(base.config, "model_type", None) not in _DEPEND_ON_LENGTH:
        yield
        return
    import torch

    attention, numbers = getattr(base, "attention_type", None), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        np.random.set_state(numbers)
        if attention is not None and base.attention_type != attention:
            base.set_attention_type(attention)


def does_not_run(model, error):
    """Return the message for a model that does not run on the tokens of a text alone."""
    name = type(model).__name__
    parts = [
        part
        for part in ("text_model", "language_model", "text_encoder", "text_decoder")
        if hasattr(model, part)
    ]
    advice = (
        f"Pass the part that reads text: model.{parts[0]}."
        if parts
        else "If a part of it reads text, load the model yourself and pass that part."
    )
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
    return (
        f"ActivationExtractor cannot read {name}: it does not run on the tokens of a text alone. "
        f"{advice} transformers said: {type(error).__name__}: {reason}"
    )
