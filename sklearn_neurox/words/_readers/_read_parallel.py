# SPDX-License-Identifier: BSD-3-Clause
import os
import re
from collections.abc import Mapping
from typing import IO

import pandas as pd

from sklearn_neurox.words._frame import words_frame
from sklearn_neurox.words._readers._lines import read_lines


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
