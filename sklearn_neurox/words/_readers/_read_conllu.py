# SPDX-License-Identifier: BSD-3-Clause
import os
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import IO

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.words._half_characters import refuse_half_characters
from sklearn_neurox.words._layout import assemble_frame, join_words, string_dtype
from sklearn_neurox.words._readers._conllu import (
    FIELDS,
    NO_HEAD,
    parse_conllu,
    parse_features,
)
from sklearn_neurox.words._readers._lines import iterate_lines, name_source

COLUMNS = ("lemma", "upos", "xpos", "head", "deprel", "deps", "misc")


@validate_params(
    {
        "path": [str, os.PathLike, HasMethods(["read"])],
        "columns": [Iterable],
        "feats": [Iterable],
    },
    prefer_skip_nested_validation=True,
)
@refuse_half_characters
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

    columns : sequence of str, default=("upos", "xpos")
        The annotations to keep, one column each, of "lemma", "upos", "xpos", "head", "deprel",
        "deps" and "misc". ``head`` is the number of the word's head in its
        sentence, from 1, or 0 for the root: the ``position`` of the head, which counts from 0, is
        ``head - 1``. The others are strings.

    feats : sequence of str or "all", default=()
        The morphological features to keep, one column each, named as in the file (for example
        ``["Number", "Tense"]``); "all" keeps every feature that occurs, in alphabetical order.

    text : {"joined", "natural"}, default="joined"
        The text that the model reads. "joined" puts one space between all words, as most probing
        papers do, and ignores the surface forms of multi-word tokens. "natural" rebuilds the text
        as it was written, from those surface forms, ``SpaceAfter=No``, and what UDPipe records as
        ``SpacesAfter``, ``SpacesBefore`` and ``SpacesInToken`` (such as ``SpacesAfter=\s\n``);
        white space at the ends of a sentence is not part of its text. In that case ``word`` is
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
        if a head is not a word of its sentence (only if ``head`` is requested), if a feature has
        the name of another column, or if all words are ``_``, as in a treebank distributed without
        its texts.

    Warns
    -----
    UserWarning
        If a requested feature does not occur in the file.

    See Also
    --------
    pair_frame : Pair each word with its head.
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
    # Iterators can be read only once.
    columns = columns if isinstance(columns, str) else list(columns)
    is_distinct = len(set(columns)) == len(columns)
    if isinstance(columns, str) or not set(columns) <= set(COLUMNS) or not is_distinct:
        raise ValueError(
            f"The 'columns' parameter must be a list of different names from {list(COLUMNS)}, got "
            f"{columns!r}."
        )
    if isinstance(feats, str) and feats != "all":
        raise ValueError(f"The 'feats' parameter must be a list, such as [{feats!r}], or 'all'.")
    feats = feats if isinstance(feats, str) else list(feats)
    source = name_source(path)
    sentences = parse_conllu(iterate_lines(path, encoding="utf-8"), source)
    content = _Content(columns, keeps_features=len(feats) > 0, natural=text == "natural")
    for sentence in sentences:
        content.add(sentence)
    content.check(source)
    annotations = {name: content.column(name) for name in columns}
    features = _features(content, feats, source)
    taken = set(annotations) | ({"form"} if content.natural else set())
    if clash := sorted(taken & set(features)):
        raise ValueError(
            f"{source}: the feature {clash[0]!r} has the name of another column of the frame. "
            "Leave one of them out: list the others in 'columns' or 'feats'."
        )
    return content.to_frame(annotations | features)


class _Content:
    """What is kept of a treebank while it is read, sentence by sentence.

    Repeated strings are stored once, so that a large treebank needs little more memory than its
    frame.
    """

    def __init__(self, columns, *, keeps_features, natural):
        self.natural = natural
        self.forms = []
        self.fields = {name: [] for name in columns if name != "head"}
        self.heads = array("q") if "head" in columns else None
        self.features = [] if keeps_features else None
        self.known_features = {}
        self.lengths = array("q")
        self.line_of_id = {}
        self.texts, self.start, self.end = [], array("q"), array("q")
        self._strings = {}

    def add(self, sentence):
        """Add a sentence that was read."""
        self._add_id(sentence)
        self.lengths.append(len(sentence.words))
        share = self._strings.setdefault
        self.forms += [share(row[1], row[1]) for row in sentence.words]
        for name, values in self.fields.items():
            i, literal = FIELDS.index(name), "_" if name == "lemma" else None
            values += [
                share(row[i], row[i]) if row[i] != "_" or row[1] == literal else None
                for row in sentence.words
            ]
        if self.heads is not None:
            self.heads.extend(sentence.heads())
        if self.features is not None:
            self._add_features(sentence)
        if self.natural:
            self._add_natural_text(sentence)

    def _add_id(self, sentence):
        name = str(len(self.lengths)) if sentence.sent_id is None else sentence.sent_id
        if name in self.line_of_id:
            kind = "running number" if sentence.sent_id is None else "sent_id"
            raise sentence.error(
                f"this sentence has the {kind} {name!r}, like the one at line "
                f"{self.line_of_id[name]}. Give each sentence its own"
            )
        self.line_of_id[name] = sentence.line

    def _add_features(self, sentence):
        for row, line in zip(sentence.words, sentence.lines, strict=True):
            if row[5] not in self.known_features:
                try:
                    self.known_features[row[5]] = parse_features(row[5])
                except ValueError as error:
                    raise sentence.error(str(error), line) from None
            self.features.append(self._strings.setdefault(row[5], row[5]))

    def _add_natural_text(self, sentence):
        parts, length, after = [], 0, ""
        for token in sentence.surface():
            gap = after + token.before if parts else ""
            length += len(gap)
            for left, right in token.pieces:
                self.start.append(length + left)
                self.end.append(length + right)
            parts += [gap, token.form]
            length += len(token.form)
            after = token.after
        self.texts.append("".join(parts))

    def check(self, source):
        """Raise an error if the file has no sentences or no words."""
        if not self.lengths:
            raise ValueError(f"{source}: no sentences in this file.")
        if len(self.forms) > 1 and all(form == "_" for form in self.forms):
            raise ValueError(
                f"{source}: every word of this file is '_': the treebank was distributed without "
                "its texts. See its documentation for how to restore them."
            )

    def column(self, name):
        """Return an annotation of all words."""
        if name != "head":
            return _strings(self.fields.pop(name))
        heads = pd.Series(np.array(self.heads))
        absent = heads == NO_HEAD
        return heads.astype("Int64").mask(absent) if absent.any() else heads

    def to_frame(self, annotations):
        """Build the frame of the words."""
        lengths, words = np.array(self.lengths), self.forms
        if self.natural:
            texts, start, end = self.texts, np.array(self.start), np.array(self.end)
            row_texts = chain.from_iterable(
                repeat(text, n) for text, n in zip(texts, lengths.tolist(), strict=True)
            )
            spans = zip(row_texts, self.start, self.end, strict=True)
            words = [text[left:right] for text, left, right in spans]
            annotations = {"form": _strings(self.forms)} | annotations
        else:
            texts, start, end = join_words(words, [" "] * len(words), lengths)
        return assemble_frame(
            texts,
            start,
            end,
            lengths=lengths,
            words=words,
            sentence_ids=_strings(list(self.line_of_id)),
            annotations=annotations,
        )


def _strings(values):
    return pd.Series(values, dtype=string_dtype())


def _features(content, feats, source):
    """Return one column per morphological feature, with missing values where a word lacks it."""
    if not len(feats):
        return {}
    known = content.known_features
    present = sorted(set(chain.from_iterable(known.values())))
    names = present if isinstance(feats, str) else list(feats)
    absent = [name for name in names if name not in present]
    if absent:
        warn_user(
            f"{source}: no word has the feature {absent[0]!r}, so its column is entirely missing. "
            f"The features of this file are {present}."
        )
    return {
        name: _strings([known[feature].get(name) for feature in content.features]) for name in names
    }
