# SPDX-License-Identifier: BSD-3-Clause
"""Load language models with their heads, and run them to predict tokens."""

from functools import partial

import numpy as np

from sklearn_neurox.extraction._model._config import is_causal
from sklearn_neurox.extraction._model._fetching import fetch_weights
from sklearn_neurox.extraction._model._loading import load_config, load_once

_CLASSES = {
    "masked": "AutoModelForMaskedLM",
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
}
_DIVERGENCE_ROWS = 256  # at once, since a vocabulary is wide


def kind_of(config):
    """Return how a language model predicts: ``"masked"``, ``"causal"`` or ``"seq2seq"``."""
    if config.is_encoder_decoder:
        return "seq2seq"
    return "causal" if is_causal(config) else "masked"


def load_language_model(spec, *, caller):
    """Load a model with its head, or check that a live one has a head.

    Raises
    ------
    ValueError
        If there is no such head, or the model sees the token that it should predict next.
    """
    kind = kind_of(load_config(spec))
    auto_class = _CLASSES[kind]
    if spec.is_torch_model or (spec.is_live and spec.model.get_output_embeddings() is None):
        raise ValueError(
            f"{caller} needs a model that predicts words, but {spec.name} has no language-model "
            f"head. Load it with transformers.{auto_class}, or pass its name or folder."
        )
    model = spec.model
    if not spec.is_live:
        load = partial(_load, spec, auto_class, caller)
        model = load_once(spec, "language model", load, caller=caller)
    if kind == "causal":
        _check_causal(model, caller)
    return model


def _load(spec, auto_class, caller):
    import torch
    import transformers

    with torch.random.fork_rng(devices=[]):  # a missing head is drawn at random
        auto_class = getattr(transformers, auto_class)
        model, info = fetch_weights(auto_class, spec, output_loading_info=True)
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(
            f"{caller} needs a model that predicts words, but {spec.name} has no weights for "
            f"{missing[0]!r} ({len(missing)} in total): it was saved without its language-model "
            "head. Pass the pretrained model with its head."
        )
    return model


def _check_causal(model, caller):
    """Raise an error if a model sees the token that it should predict next."""
    import torch

    from sklearn_neurox.extraction._model._forward import evaluating, options_of, probe_inputs

    inputs = probe_inputs(model, None)
    other = {**inputs, "input_ids": inputs["input_ids"].clone()}
    other["input_ids"][:, -1] = inputs["input_ids"][:, 0]
    with evaluating(model), torch.inference_mode():
        options = options_of(model)
        first, second = (model(**one, **options).logits[:, :-1] for one in (inputs, other))
    # Above rounding differences, as in a mixture of experts, where other tokens run together.
    tolerance = max(1e-5, 4 * torch.finfo(first.dtype).eps) * first.abs().max()
    if (first - second).abs().max() > tolerance:
        raise ValueError(
            f"{caller} treats {type(model).__name__} as a causal model because of its config, "
            "but its predictions depend on the tokens that follow."
        )


def read_logits(model, inputs, places):
    """Run a language model and return its logits at some places.

    Parameters
    ----------
    model : PreTrainedModel
        With a head.

    inputs : dict of str to Tensor

    places : ndarray of shape (n_places,)
        Indices into the flattened batch that the head reads.

    Returns
    -------
    logits : Tensor of shape (n_places, n_tokens), float32

    Raises
    ------
    ValueError
        If a logit is NaN.
    """
    import torch

    from sklearn_neurox.extraction._model._forward import accepted_by, options_of
    from sklearn_neurox.extraction._model._hooks import at_places
    from sklearn_neurox.extraction._run._finite import advise
    from sklearn_neurox.utils._torch import to_tensor

    inputs = {name: inputs[name] for name in accepted_by(model, inputs)}
    device = next(iter(inputs.values())).device
    chosen = to_tensor(places, device=device)
    with torch.inference_mode(), at_places(model.get_output_embeddings(), chosen) as head:
        output = model(**inputs, **options_of(model))
        # Models for pretraining have several heads and name this one prediction_logits.
        logits = output.logits if hasattr(output, "logits") else output.prediction_logits
        if not head.ran:  # the head has no module of its own
            logits = logits.reshape(-1, logits.shape[-1])[chosen]
        dtype = logits.dtype
        logits = logits.reshape(len(places), -1).float()
        wrong = logits.logsumexp(-1).isnan()
    if wrong.any():
        raise ValueError(
            f"The predictions of {int(wrong.sum())} of {len(wrong)} subwords are NaN. "
            f"{advise(model, dtype)}"
        )
    return logits


def score_logits(logits, targets):
    """Return the loss of each target, in nats, and the most likely tokens, as arrays."""
    from sklearn_neurox.utils._torch import to_numpy, to_tensor

    wanted = to_tensor(targets, device=logits.device)[:, None]
    loss = logits.logsumexp(-1) - logits.gather(-1, wanted)[:, 0]
    return to_numpy(loss).astype(np.float64), to_numpy(logits.argmax(-1))


def divergence(before, after):
    """Return the Kullback-Leibler divergence of each row's prediction from the one before.

    Parameters
    ----------
    before, after : Tensor of shape (n_places, n_tokens)
        Logits.

    Returns
    -------
    kl : ndarray of shape (n_places,), float64
        The sum over tokens of ``p * log(p / q)``, in nats, with p from ``before``.
    """
    import torch

    from sklearn_neurox.utils._torch import to_numpy

    found = np.zeros(len(before))
    for start in range(0, len(before), _DIVERGENCE_ROWS):
        rows = slice(start, start + _DIVERGENCE_ROWS)
        p, q = before[rows].log_softmax(-1), after[rows].log_softmax(-1)
        # A token that never had a chance counts nothing, even if its logit is minus infinity.
        terms = torch.where(p.isneginf(), torch.zeros_like(p), p.exp() * (p - q))
        found[rows] = to_numpy(terms.sum(-1))
    return np.maximum(found, 0.0)  # rounding may leave a tiny negative number
