# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_neurox.extraction._extractor import ActivationExtractor
from sklearn_neurox.extraction._model._loading import load_tokenizer
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.extraction._text._alignment import own_tokens, shown_spans
from sklearn_neurox.extraction._text._own_characters import pieces_of
from sklearn_neurox.extraction._text._roles import UNALIGNED
from sklearn_neurox.extraction._text._tokenization import check_surrogates, encode
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._ragged import pointers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@validate_params(
    {
        "texts": ["array-like"],
        "tokenizer": [str, os.PathLike, HasMethods(["convert_ids_to_tokens"]), TorchModel],
        "split_special_tokens": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def token_frame(
    texts: Iterable[str],
    tokenizer: "str | os.PathLike | PreTrainedTokenizerBase | TorchModel",
    *,
    split_special_tokens: bool = False,
) -> pd.DataFrame:
    """Build a frame of the tokens of texts, one per row, each with the text it occurs in.

    An extractor reads such a frame like a frame of words: each row gets the activation of its own
    token.

    Parameters
    ----------
    texts : array-like of str
        The texts. Rows of equal texts differ in their ``sentence_id``.

    tokenizer : str, path, PreTrainedTokenizerBase or TorchModel
        The tokenizer, or the name or folder of the model whose tokenizer it is. It must be the one
        with which the activations are extracted.

    split_special_tokens : bool, default=False
        Whether text that spells a special token is read as ordinary characters, as in
        `ActivationExtractor`.

    Returns
    -------
    frame : DataFrame of shape (n_tokens, 8)
        The columns ``text`` (categorical), ``start``, ``end`` and ``word``, the characters of the
        token; ``position`` and ``token_index``, both its number in the text, from 0;
        ``sentence_id``, the number of the text; and ``token``, its piece of the vocabulary. The
        special tokens that the tokenizer adds around a text have no row. A token without
        characters of its own, such as the space that is put in front of a first word, gets the
        character after it, or the last one.

    Raises
    ------
    TypeError
        If `texts` is one string or a table, or an item is not a string.

    ValueError
        If there are no texts, or if the tokens of a text cannot be matched with its characters.

    See Also
    --------
    sklearn_neurox.words.words_frame : Build a frame of words.

    Notes
    -----
    Several tokens may share their characters, such as the pieces of an emoji in a vocabulary of
    bytes. The column ``token_index`` tells them apart: a row that has it owns that token alone.
    Without this column, each of them would own all of them.

    Examples
    --------
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> from sklearn_neurox.extraction import token_frame
    >>> tokens = token_frame(["The dog barks"], make_tiny_model("gpt2"))
    >>> tokens[["start", "end", "word", "token"]].iloc[:2]
       start  end  word token
    0      0    3   The   The
    1      3    7   dog  Ġdog
    """
    checked = _check_texts(texts)
    if isinstance(tokenizer, (str, os.PathLike)):
        tokenizer = load_tokenizer(ActivationExtractor(tokenizer)._spec())
    encodings = encode(tokenizer, checked, None, split_special_tokens=bool(split_special_tokens))
    check_surrogates(checked, "no frame can hold", caller="token_frame")
    own = own_tokens(encodings)
    ptr = np.searchsorted(own, encodings.ptr)
    text_of_row = np.repeat(np.arange(len(checked)), np.diff(ptr))
    lost = np.flatnonzero(encodings.start[own] == UNALIGNED)
    if len(lost):
        raise ValueError(
            f"token_frame: the tokens of {type(tokenizer).__name__} cannot be matched with the "
            f"characters of the text {checked[text_of_row[lost[0]]][:60]!r} "
            f"({len(np.unique(text_of_row[lost]))} such texts). Leave these texts out."
        )
    lengths = np.array([len(text) for text in checked], dtype=np.int64)[text_of_row]
    start, end = shown_spans(encodings, own, lengths)
    position = np.arange(len(own)) - np.repeat(pointers(np.diff(ptr))[:-1], np.diff(ptr))
    spans = zip(text_of_row.tolist(), start.tolist(), end.tolist(), strict=True)
    if isinstance(tokenizer, TorchModel):
        pieces = [str(i) for i in encodings.ids[own]]
    else:
        pieces = pieces_of(tokenizer, encodings.ids[own])
    return pd.DataFrame(
        {
            "text": pd.Categorical.from_codes(*_categories(checked, text_of_row)),
            "start": start,
            "end": end,
            "word": [checked[text][low:high] for text, low, high in spans],
            "position": position,
            "sentence_id": text_of_row,
            "token": pieces,
            "token_index": position,
        }
    )


def _check_texts(texts):
    if isinstance(texts, str):
        raise TypeError("token_frame takes a list of texts, got one string.")
    texts = to_pandas(texts)
    # Iterating over either yields the names of the columns, which are strings like texts.
    if isinstance(texts, pd.DataFrame | Mapping):
        raise TypeError(
            "token_frame takes a list of texts, got a table. Pass its texts, each once: "
            "frame['text'].unique()."
        )
    texts = list(texts)
    if not texts:
        raise ValueError("token_frame got no texts. Pass a list of at least one.")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"token_frame takes a list of texts, but item {place} is {type(text).__name__}, "
                "not str."
            )
    return texts


def _categories(texts, text_of_row):
    numbers = {}
    codes = np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64)
    return codes[text_of_row], pd.Index(list(numbers))
