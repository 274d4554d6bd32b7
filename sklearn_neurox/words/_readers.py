# SPDX-License-Identifier: BSD-3-Clause
import os
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.words._conllu import FIELDS, parse_conllu, parse_features
from sklearn_neurox.words._frame import words_frame
from sklearn_neurox.words._layout import assemble_frame, join_words, string_dtype

_COLUMNS = ("lemma", "upos", "xpos", "deprel")


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
    >>> frame[["text", "start", "end", "word", "upos", "Number"]]
             text  start  end  word   upos Number
    0  Dogs bark.      0    4  Dogs   NOUN   Plur
    1  Dogs bark.      5    9  bark   VERB    NaN
    2  Dogs bark.      9   10     .  PUNCT    NaN
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


def read_parallel(
    text: str | os.PathLike | IO,
    labels: str | os.PathLike | IO | Mapping[str, str | os.PathLike | IO],
    *,
    name: str = "label",
    encoding: str = "utf-8",
) -> pd.DataFrame:
    r"""Read words and their labels from two parallel text files, as NeuroX does.

    Each line is a sentence. Its words are separated by one or more spaces or tabs and by no other
    character, so a word may contain a no-break space or any other Unicode white space. Lines end
    with ``\n`` or ``\r\n``. The model reads the words joined by single spaces.

    Parameters
    ----------
    text : str, path-like or file object
        The words.

    labels : str, path-like or file object, or mapping of str to these
        One label per word. A mapping provides several annotations, one column per name.

    name : str, default="label"
        The column name of a single annotation.

    encoding : str, default="utf-8"
        The encoding of the files.

    Returns
    -------
    frame : DataFrame of shape (n_words, 6 + n_annotations)
        A frame as returned by `words_frame`; ``sentence_id`` numbers the lines from 0. Labels are
        strings.

    Raises
    ------
    ValueError
        If the files differ in their number of lines, if a line has different numbers of words and
        labels (the message names the file and line), or if a line has no words.

    See Also
    --------
    words_frame : Build the frame from words and labels in memory.
    read_conllu : Read a treebank.

    Examples
    --------
    >>> import io
    >>> from sklearn_neurox.words import read_parallel
    >>> frame = read_parallel(io.StringIO("Dogs bark\nHello\n"), io.StringIO("NOUN VERB\nINTJ\n"))
    >>> frame[["sentence_id", "position", "word", "label"]]
       sentence_id  position   word label
    0            0         0   Dogs  NOUN
    1            0         1   bark  VERB
    2            1         0  Hello  INTJ
    """
    words, source = _read_table(text, encoding)
    for number, line in enumerate(words, start=1):
        if not line:
            raise ValueError(
                f"{source}:{number}: a line without words, which would have no row. Delete it from "
                "all files."
            )
    named = labels if isinstance(labels, Mapping) else {name: labels}
    annotations = {}
    for label_name, path in named.items():
        annotations[label_name], label_source = _read_table(path, encoding)
        _check_parallel(words, source, annotations[label_name], label_source)
    return words_frame(words, annotations)


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
    return assemble_frame(
        texts=texts,
        lengths=lengths,
        start=start,
        end=end,
        words=words,
        sentence_ids=_sentence_ids(sentences),
        annotations=annotations,
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
            f"The features of this file are {present}.",
        )
    rows = [known[row[5]] for sentence in sentences for row in sentence.words]
    return {name: _strings([row.get(name) for row in rows]) for name in names}


def _check_parallel(words, source, labels, label_source):
    if len(words) != len(labels):
        raise ValueError(
            f"{source} has {len(words)} lines, but {label_source} has {len(labels)}. Line n of "
            "one file must correspond to line n of the other."
        )
    for number, (sentence, tags) in enumerate(zip(words, labels, strict=True), start=1):
        if len(sentence) != len(tags):
            raise ValueError(
                f"{source}:{number} has {len(sentence)} words, but {label_source}:{number} has "
                f"{len(tags)} labels. Only spaces and tabs separate words and labels."
            )


def _read_table(path, encoding):
    lines, source = read_lines(path, encoding=encoding)
    if not lines:
        raise ValueError(f"{source}: this file is empty.")
    return [re.findall(r"[^ \t]+", line) for line in lines], source


def read_lines(path, *, encoding):
    r"""Return the lines of a file and its name; only ``\n`` and ``\r\n`` end a line."""
    if hasattr(path, "read"):
        content, source = path.read(), str(getattr(path, "name", "<file object>"))
    else:
        content, source = Path(path).read_bytes(), os.fspath(path)
    if isinstance(content, bytes):
        try:
            content = content.decode(encoding)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ValueError(f"{source}:{line}: this file is not {encoding} ({error}).") from None
    lines = content.removeprefix("\ufeff").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines], source


def iterate_lines(path, *, encoding):
    r"""Yield the lines of a file one by one, as `read_lines` reads them all.

    In ``encoding``, no other character may contain the byte of ``\n``.
    """
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode(encoding)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}:{number}: this file is not {encoding} ({error})."
                ) from None
            line = line.removeprefix("\ufeff") if number == 1 else line
            yield line.removesuffix("\n").removesuffix("\r")
