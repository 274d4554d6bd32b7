# SPDX-License-Identifier: BSD-3-Clause
import os
import re
from collections.abc import Mapping
from typing import IO

import pandas as pd
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params

from sklearn_neurox.words._frame import words_frame
from sklearn_neurox.words._half_characters import refuse_half_characters
from sklearn_neurox.words._layout import check_column_names
from sklearn_neurox.words._readers._lines import read_lines


@validate_params(
    {
        "text": [str, os.PathLike, HasMethods(["read"])],
        "labels": [str, os.PathLike, HasMethods(["read"]), Mapping],
        "rows": [StrOptions({"words", "texts"})],
        "name": [str],
        "encoding": [str],
    },
    prefer_skip_nested_validation=True,
)
@refuse_half_characters
def read_parallel(
    text: str | os.PathLike | IO,
    labels: str | os.PathLike | IO | Mapping[str, str | os.PathLike | IO],
    *,
    rows: str = "words",
    name: str = "label",
    encoding: str = "utf-8",
) -> pd.DataFrame:
    r"""Read words or texts, and their labels, from two parallel text files, as NeuroX does.

    Each line is a sentence. Its words are separated by one or more spaces or tabs and by no other
    character, so a word may contain a no-break space or any other Unicode white space. Lines end
    with ``\n`` or ``\r\n``. The model reads the words joined by single spaces.

    Parameters
    ----------
    text : str, path-like or file object
        The words.

    labels : str, path-like or file object, or mapping of str to these
        One label per word, or per line with ``rows="texts"``. A mapping provides several
        annotations, one column per name.

    rows : {"words", "texts"}, default="words"
        Whether a row is a word or a whole line. The label of a whole line is the whole line of the
        other file, without the white space around it.

    name : str, default="label"
        The column name of a single annotation.

    encoding : str, default="utf-8"
        The encoding of the files.

    Returns
    -------
    frame : DataFrame of shape (n_words, 6 + n_annotations)
        A frame as returned by `words_frame`; ``sentence_id`` numbers the lines from 0. Labels are
        strings. With ``rows="texts"``, a frame of shape (n_lines, 2 + n_annotations) with the
        columns ``text`` and ``sentence_id``, whose rows are whole texts for an
        `ActivationExtractor`.

    Raises
    ------
    ValueError
        If the files differ in their number of lines, if a line has different numbers of words and
        labels (the message names the file and line), or if a line has no words. With
        ``rows="texts"`` also if a line has no label. Also if an annotation has the name of a column
        of the frame of words.

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

    One label per line:

    >>> read_parallel(io.StringIO("Dogs bark\nHello\n"), io.StringIO("sad\nglad\n"), rows="texts")
            text  sentence_id label
    0  Dogs bark            0   sad
    1      Hello            1  glad
    """
    named = labels if isinstance(labels, Mapping) else {name: labels}
    if rows == "texts":
        return _read_texts(text, named, encoding)
    words, source = _read_table(text, encoding)
    for number, line in enumerate(words, start=1):
        if not line:
            raise ValueError(
                f"{source}:{number}: a line without words, which would have no row. Delete it from "
                "all files."
            )
    annotations = {}
    for label_name, path in named.items():
        annotations[label_name], label_source = _read_table(path, encoding)
        _check_parallel(words, source, annotations[label_name], label_source)
    return words_frame(words, annotations)


def _read_texts(text, named, encoding):
    check_column_names(named)
    texts, source = _read_filled_lines(text, encoding)
    columns = {"text": texts, "sentence_id": range(len(texts))}
    for label_name, path in named.items():
        lines, label_source = _read_filled_lines(path, encoding)
        _check_lines(texts, source, lines, label_source)
        columns[label_name] = [line.strip() for line in lines]
    return pd.DataFrame(columns)


def _read_filled_lines(path, encoding):
    lines, source = _read_lines(path, encoding)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise ValueError(
                f"{source}:{number}: an empty line, which has no text or no label. Delete the line "
                "from all files."
            )
    return lines, source


def _check_parallel(words, source, labels, label_source):
    _check_lines(words, source, labels, label_source)
    advice = "Only spaces and tabs separate words and labels."
    if all(len(tags) == 1 for tags in labels):
        advice = 'For one label per line, whose rows are whole texts, pass rows="texts".'
    for number, (sentence, tags) in enumerate(zip(words, labels, strict=True), start=1):
        if len(sentence) != len(tags):
            raise ValueError(
                f"{source}:{number} has {len(sentence)} words, but {label_source}:{number} has "
                f"{len(tags)} labels. {advice}"
            )


def _check_lines(texts, source, labels, label_source):
    if len(texts) != len(labels):
        raise ValueError(
            f"{source} has {len(texts)} lines, but {label_source} has {len(labels)}. Line n of "
            "one file must correspond to line n of the other."
        )


def _read_table(path, encoding):
    lines, source = _read_lines(path, encoding)
    return [re.findall(r"[^ \t]+", line) for line in lines], source


def _read_lines(path, encoding):
    lines, source = read_lines(path, encoding=encoding)
    if not lines:
        raise ValueError(f"{source}: this file is empty.")
    return lines, source
