# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import IO

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.words._layout import assemble_frame, join_words, string_dtype
from sklearn_neurox.words._readers._conllu import FIELDS, parse_conllu, parse_features
from sklearn_neurox.words._readers._lines import read_lines

_COLUMNS = ("lemma", "upos", "xpos", "deprel")


@validate_params(
    {
        "path": [str, os.PathLike, HasMethods(["read"])],
        "columns": [Iterable, None],
        "feats": [Iterable, None],
    },
    prefer_skip_nested_validation=True,
)
def read_conllu(
    path: str | os.PathLike | IO,
    *,
    columns: Sequence[str] = ("upos", "xpos"),
    feats: Sequence[str] | str = (),
    text: str = "joined",
) -> pd.DataFrame:
    r"""Read a treebank in the CoNLL-U format as a frame of words.

    The rows are the syntactic words, which have a plain number as ID. Empty nodes (``8.1``) do not
    occur in the text and have no row.

    Parameters
    ----------
    path : str, path-like or file object
        The file, in UTF-8.

    columns : sequence of {"lemma", "upos", "xpos", "deprel"}, default=("upos", "xpos")
        The annotations to keep, one column each.

    feats : sequence of str or "all", default=()
        The morphological features to keep, one column each, named as in the file (for example
        ``["Number", "Tense"]``); "all" keeps every feature that occurs, in alphabetical order.

    text : {"joined", "natural"}, default="joined"
        The text that the model reads. "joined" puts one space between all words, as most probing
        papers do, and ignores the surface forms of multi-word tokens. "natural" rebuilds the text
        as it was written, from ``SpaceAfter=No`` and those surface forms. In that case ``word`` is
        the text that the span covers, and a column ``form`` holds the syntactic word: words that
        spell out their multi-word token get their part of it ("do" and "n't" of "don't"); words
        that do not ("de" and "el" of "del") each get the whole token.

    Returns
    -------
    frame : DataFrame of shape (n_words, 6 + n_annotations)
        A frame as returned by `words_frame`. ``sentence_id`` is the ``sent_id`` of the file or, for
        a sentence without one, its running number from 0, as a string. An annotation that a word
        lacks (``_`` in the file) is missing. A FORM ``_`` stands for the character itself, and so
        does its LEMMA.

    Raises
    ------
    ValueError
        If a line is malformed (the message names the file and line), if a ``sent_id`` occurs twice,
        or if all words are ``_``, as in a treebank distributed without its texts.

    Warns
    -----
    UserWarning
        If a requested feature does not occur in the file.

    See Also
    --------
    words_frame : Build the frame from words and labels in memory.
    read_parallel : Read words and labels from parallel text files.

    References
    ----------
    `The CoNLL-U format <https://universaldependencies.org/format.html>`_

    Examples
    --------
    >>> import io
    >>> from sklearn_neurox.words import read_conllu
    >>> file = io.StringIO(
    ...     "1\tDogs\tdog\tNOUN\tNNS\tNumber=Plur\t2\tnsubj\t_\t_\n"
    ...     "2\tbark\tbark\tVERB\tVBP\t_\t0\troot\t_\tSpaceAfter=No\n"
    ...     "3\t.\t.\tPUNCT\t.\t_\t2\tpunct\t_\t_\n"
    ... )
    >>> frame = read_conllu(file, columns=["upos"], feats=["Number"], text="natural")
    >>> frame[["text", "start", "end", "word", "upos"]]
             text  start  end  word   upos
    0  Dogs bark.      0    4  Dogs   NOUN
    1  Dogs bark.      5    9  bark   VERB
    2  Dogs bark.      9   10     .  PUNCT
    >>> frame["Number"].fillna("none").tolist()
    ['Plur', 'none', 'none']
    """
    if text not in ("joined", "natural"):
        raise ValueError(f"The 'text' parameter must be 'joined' or 'natural', got {text!r}.")
    if isinstance(columns, str) or not set(columns) <= set(_COLUMNS):
        raise ValueError(
            f"The 'columns' parameter must be a list of names from {list(_COLUMNS)}, got "
            f"{columns!r}."
        )
    if isinstance(feats, str) and feats != "all":
        raise ValueError(f"The 'feats' parameter must be a list, such as [{feats!r}], or 'all'.")
    lines, source = read_lines(path, encoding="utf-8")
    sentences = parse_conllu(lines, source)
    rows = list(chain.from_iterable(sentence.words for sentence in sentences))
    if len(rows) > 1 and all(row[1] == "_" for row in rows):
        raise ValueError(
            f"{source}: every word of this file is '_': the treebank was distributed without its "
            "texts. See its documentation for how to restore them."
        )
    annotations = {name: _field(rows, name) for name in columns}
    annotations |= _features(sentences, feats, source)
    return _lay_out(sentences, rows, annotations, natural=text == "natural")


def _lay_out(sentences, rows, annotations, *, natural):
    """Build the frame of the words of a treebank."""
    lengths = np.array([len(sentence.words) for sentence in sentences], dtype=np.int64)
    forms = [row[1] for row in rows]
    if natural:
        texts, start, end = _natural_text(sentences)
        row_texts = np.repeat(np.array(texts, dtype=object), lengths)
        spans = zip(row_texts, start.tolist(), end.tolist(), strict=True)
        words = [row_text[left:right] for row_text, left, right in spans]
        annotations = {"form": _strings(forms)} | annotations
    else:
        texts, start, end = join_words(forms, [" "] * len(forms), lengths)
        words = forms
    ids = _sentence_ids(sentences)
    return assemble_frame(
        texts, start, end, lengths=lengths, words=words, sentence_ids=ids, annotations=annotations
    )


def _natural_text(sentences):
    """Return the text of each sentence and the span of each word in it."""
    tokens = [list(sentence.surface()) for sentence in sentences]
    counts = np.array([len(sentence) for sentence in tokens], dtype=np.int64)
    flat = list(chain.from_iterable(tokens))
    forms = [form for form, _, _ in flat]
    gaps = [" " if space_after else "" for _, space_after, _ in flat]
    texts, token_start, _ = join_words(forms, gaps, counts)
    pieces = np.array(list(chain.from_iterable(pieces for _, _, pieces in flat)), dtype=np.int64)
    shift = np.repeat(token_start, [len(pieces) for _, _, pieces in flat])
    return texts, pieces[:, 0] + shift, pieces[:, 1] + shift


def _sentence_ids(sentences):
    """Return the sentence ids, using running numbers where they are missing."""
    lines = {}
    for i, sentence in enumerate(sentences):
        name = str(i) if sentence.sent_id is None else sentence.sent_id
        if name in lines:
            kind = "running number" if sentence.sent_id is None else "sent_id"
            raise sentence.error(
                f"this sentence has the {kind} {name!r}, like the one at line {lines[name]}. "
                "Give each sentence its own"
            )
        lines[name] = sentence.line
    return _strings(list(lines))


def _strings(values):
    return pd.Series(values, dtype=string_dtype())


def _field(rows, name):
    """Return a column of the file, with underscores as missing values."""
    i = FIELDS.index(name)
    literal = "_" if name == "lemma" else None
    return _strings([row[i] if row[i] != "_" or row[1] == literal else None for row in rows])


def _features(sentences, feats, source):
    """Return one column per morphological feature, with missing values where a word lacks it."""
    if not len(feats):
        return {}
    known = {}
    for sentence in sentences:
        for row, line in zip(sentence.words, sentence.lines, strict=True):
            if row[5] not in known:
                try:
                    known[row[5]] = parse_features(row[5])
                except ValueError as error:
                    raise sentence.error(str(error), line) from None
    present = sorted(set(chain.from_iterable(known.values())))
    names = present if isinstance(feats, str) else list(feats)
    absent = [name for name in names if name not in present]
    if absent:
        warn_user(
            f"{source}: no word has the feature {absent[0]!r}, so its column is entirely missing. "
            f"The features of this file are {present}."
        )
    rows = [known[row[5]] for sentence in sentences for row in sentence.words]
    return {name: _strings([row.get(name) for row in rows]) for name in names}
