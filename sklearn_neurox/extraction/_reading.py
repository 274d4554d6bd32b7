# SPDX-License-Identifier: BSD-3-Clause
"""Texts to tokens, and what must be known of model and tokenizer to lay them out."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sklearn_neurox.extraction import _families
from sklearn_neurox.extraction._loading import load_config, load_tokenizer
from sklearn_neurox.extraction._policies import check_vocabulary
from sklearn_neurox.extraction._sources import ModelSource
from sklearn_neurox.extraction._tokenization import Encodings, encode

_NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Reading:
    """Tokenized texts: by a tokenizer, or long ago, in which case a cache remembers them."""

    encodings: Encodings
    limit: int  # of tokens the model takes
    causal: bool  # whether it sees only what stands before a token
    tokenizer: str  # its class
    has_cls: bool  # whether it has a token for the whole text
    source: object = None  # a function of model inputs that makes a ModelSource; None if recalled


def read_texts(extractor, texts, pairs):
    """Tokenize texts.

    Parameters
    ----------
    extractor : ActivationExtractor

    texts : list of str

    pairs : list of str or None
        The second text of each.

    Returns
    -------
    reading : Reading

    Raises
    ------
    ValueError
        Where config or tokenizer cannot be loaded, or do not fit each other or the parameters.
    """
    spec = extractor._spec()
    config, tokenizer = load_config(spec), load_tokenizer(spec)
    layers = extractor._layers(config)
    encodings = encode(tokenizer, texts, pairs, split_special_tokens=extractor.split_special_tokens)
    check_vocabulary(encodings, config, tokenizer)
    source = partial(
        ModelSource,
        spec,
        layers=tuple(layers),
        n_units=_families.n_units(config),
        stack=_families.stack_of(config),
        pad_id=0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id),
        batch_tokens=extractor.batch_tokens,
        verbose=int(extractor.verbose),
    )
    return Reading(
        encodings=encodings,
        limit=_limit(extractor, config, tokenizer),
        causal=_families.is_causal(config),
        tokenizer=type(tokenizer).__name__,
        has_cls=tokenizer.cls_token_id is not None,
        source=source,
    )


def _limit(extractor, config, tokenizer):
    limit = _families.max_tokens(config, tokenizer)
    if extractor.max_length is None:
        return _NO_LIMIT if limit is None else limit
    if limit is not None and extractor.max_length > limit:
        raise ValueError(
            f"The 'max_length' parameter of ActivationExtractor is {extractor.max_length}, but "
            f"{extractor._spec().name} reads at most {limit} tokens."
        )
    return extractor.max_length
