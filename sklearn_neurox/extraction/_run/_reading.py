# SPDX-License-Identifier: BSD-3-Clause
"""Texts to tokens, and what must be known of model and tokenizer to lay them out."""

from dataclasses import dataclass

from sklearn_neurox.extraction._model import _config
from sklearn_neurox.extraction._model._loading import load_config, load_tokenizer
from sklearn_neurox.extraction._run._sources import ModelSource
from sklearn_neurox.extraction._text._checks import check_vocabulary, limit_tokens
from sklearn_neurox.extraction._text._targets import make_contexts, target_tokenizer
from sklearn_neurox.extraction._text._tokenization import Encodings, encode


@dataclass(frozen=True)
class TokenizedTexts:
    """Tokenized texts: by a tokenizer, or long ago, in which case a cache remembers them."""

    encodings: Encodings
    limit: int  # of tokens the model takes
    causal: bool  # whether it sees only what stands before a token
    tokenizer: str  # its class
    has_cls: bool  # whether it has a token for the whole text
    # Makes a ModelSource of the model inputs and the first of each text; None if recalled.
    source: object = None


def read_texts(extractor, texts, pairs, contexts=None):
    """Tokenize texts.

    Parameters
    ----------
    extractor : ActivationExtractor

    texts : list of str

    pairs : list of str or None
        The second text of each.

    contexts : list of str or None, default=None
        What the encoder reads beside each text, where the decoder reads the text.

    Returns
    -------
    reading : Reading

    Raises
    ------
    ValueError
        Where config or tokenizer cannot be loaded, or do not fit each other or the parameters.
    """
    spec, split = extractor._spec(), extractor.split_special_tokens
    config, tokenizer = load_config(spec), load_tokenizer(spec)
    available, layers = extractor._blocks(spec)
    stacks = {block.stack for block in available}
    reader = tokenizer if contexts is None else target_tokenizer(tokenizer)
    encodings = encode(reader, texts, pairs, split_special_tokens=split)
    check_vocabulary(encodings, config, reader)

    def source(sequences, first_sequence):
        read = None
        if contexts is not None:
            most = limit_tokens(config, tokenizer, ["encoder"], None, model=spec.name)
            places = first_sequence, len(sequences)
            read = make_contexts(tokenizer, contexts, *places, most, split_special_tokens=split)
        return ModelSource(
            spec=spec,
            sequences=sequences,
            contexts=read,
            available=available,
            layers=layers,
            pad_id=0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id),
            start_id=_config.decoder_start(config, stacks, model=spec.name),
            max_batch_tokens=extractor.max_batch_tokens,
            verbose=int(extractor.verbose),
        )

    return TokenizedTexts(
        encodings=encodings,
        limit=limit_tokens(config, tokenizer, stacks, extractor.max_length, model=spec.name),
        causal=_config.is_causal(config),
        tokenizer=type(tokenizer).__name__,
        has_cls=tokenizer.cls_token_id is not None,
        source=source,
    )
