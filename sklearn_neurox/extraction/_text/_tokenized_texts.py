# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass

from sklearn_neurox.extraction._model import _config
from sklearn_neurox.extraction._model._loading import files_of, load_config, load_tokenizer
from sklearn_neurox.extraction._text._checks import check_vocabulary, limit_tokens
from sklearn_neurox.extraction._text._prefix import with_prefix
from sklearn_neurox.extraction._text._targets import target_tokenizer
from sklearn_neurox.extraction._text._tokenization import Encodings, encode
from sklearn_neurox.extraction._text._vocabulary import check_vocabulary_size, unknown_token


@dataclass(frozen=True)
class TokenizedTexts:
    """Tokenized texts, and what is needed to lay them out as inputs of the model."""

    encodings: Encodings
    limit: int  # the most tokens per input
    causal: bool  # whether the model sees only the tokens before a token
    tokenizer: str  # its class
    has_cls: bool  # whether it has a token that stands for the whole text
    pad_id: int = 0
    start_id: int | None = None  # a decoder's first token, None for the last token of its text
    unknown_id: int | None = None  # of the unknown token; None if there is none, or from a cache
    blocks: tuple | None = None  # the requested ones, if a cache recalled the texts
    files: tuple | None = None  # see `files_of`; None from a cache, which identifies the model


def tokenize_texts(request, texts, pairs, contexts=None):
    """Tokenize texts, or pairs of texts; with ``contexts``, as the texts of the decoder.

    Raises a ValueError if config or tokenizer cannot be loaded, or do not fit each other or the
    parameters of the request.
    """
    spec, files = request.spec, files_of(request.spec)
    config, tokenizer = load_config(spec), load_tokenizer(spec)
    available, _ = request.blocks
    stacks = {block.stack for block in available}
    reader = tokenizer if contexts is None else target_tokenizer(tokenizer)
    encodings = encode(
        reader,
        texts,
        pairs,
        split_special_tokens=request.split_special_tokens,
        add_special_tokens=request.add_special_tokens,
    )
    encodings = with_prefix(encodings, reader, request)
    check_vocabulary_size(config, tokenizer)
    check_vocabulary(encodings, config, reader)
    return TokenizedTexts(
        encodings=encodings,
        limit=limit_tokens(config, tokenizer, stacks, request.max_length, model=spec.name),
        causal=_config.is_causal(config),
        tokenizer=type(tokenizer).__name__,
        unknown_id=unknown_token(reader),
        has_cls=tokenizer.cls_token_id is not None,
        pad_id=0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id),
        start_id=_config.decoder_start(config, stacks, model=spec.name),
        files=files,
    )
