# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.utils._containers import describe, to_pandas
from sklearn_neurox.utils._labels import is_hashable
from sklearn_neurox.utils._validation import check_row_order
from sklearn_neurox.words._half_characters import refuse_half_characters
from sklearn_neurox.words._layout import assemble_frame, check_column_names, join_words
from sklearn_neurox.words._table import read_table, sentence_order, spaces_after
from sklearn_neurox.words._word_checks import (
    check_words,
    flat_labels,
    is_list,
    no_words,
    warn_about_space,
)


@validate_params(
    {
        "labels": [Iterable, None],
        "sentence_ids": [Iterable, None],
    },
    prefer_skip_nested_validation=True,
)
@refuse_half_characters
def words_frame(
    words: pd.DataFrame | Iterable[Sequence[str]] | Any,
    labels: Mapping[str, Iterable[Sequence]] | Iterable[Sequence] | None = None,
    *,
    word: str = "word",
    label: str | None = None,
    sentence_id: str = "sentence_id",
    position: str = "position",
    sentence_ids: Iterable | None = None,
    joiner: str = " ",
    text: str = "joined",
) -> pd.DataFrame:
    """Build a frame of words, one per row, each with the text it occurs in.

    Each row carries its own context, so rows can be selected, shuffled, repeated and split like
    those of any other frame before they are passed to an extractor.

    Parameters
    ----------
    words : iterable of sequences of str, or table
        The words of each sentence; or a table with one row per word and the columns ``word`` and
        ``sentence_id``; or a table with one row per sentence, whose column ``word`` holds lists. A
        table is a DataFrame of pandas or polars, an Arrow table, a Hugging Face ``Dataset`` or a
        list of dicts. Its other columns are kept as annotations, and its rows keep their order.

        The words of a sentence are joined in the order of their rows, which must be contiguous. If
        there is a column ``position``, they are joined in the order of their positions, and the
        rows may have any order.

    labels : iterable of sequences, mapping of str to iterable of sequences, or None, default=None
        The label of each word, in the same shape as `words`. A mapping provides several
        annotations, one column per name; a single annotation becomes the column ``label``. Use None
        or NaN for a missing label. Must be None for a table, whose columns hold the labels.

    word : str, default="word"
        The column of a table that holds the words, such as ``"token"``.

    label : str or None, default=None
        The column of a table that becomes the column ``label``. None renames no column.

    sentence_id : str, default="sentence_id"
        The column of a table that tells its sentences apart. If there is one row per sentence and
        no such column, the sentences are numbered from 0.

    position : str, default="position"
        The column of a table with the place of each word in its sentence, from 0 or from 1. May be
        absent.

    sentence_ids : iterable or None, default=None
        One distinct name per sentence. None numbers the sentences from 0. Must be None for a table.

    joiner : str, default=" "
        The separator between two words in the text that the model reads.

    text : {"joined", "natural"}, default="joined"
        The text that the model reads. "joined" puts `joiner` between all words, as most probing
        papers do. "natural" puts it only after words whose column ``space_after`` is True, and
        requires a table with that column.

    Returns
    -------
    frame : DataFrame of shape (n_words, 6 + n_annotations)
        The columns ``text`` (categorical, each distinct text stored once), ``start`` and ``end``
        (so that ``text[start:end] == word``), ``word``, ``position`` (in its sentence, from 0),
        ``sentence_id``, and one column per annotation, with a new RangeIndex. Strings have the
        default string dtype of the installed pandas.

    Raises
    ------
    TypeError
        If `words` is neither a table nor an iterable of sentences; or if a sentence, or its labels,
        is not a list.

    ValueError
        If a sentence has no words; a word is empty, missing or not a string; the labels differ in
        shape from the words (the message names the sentence and both lengths); the labels mix
        strings and other types; sentence ids are missing or repeated; positions have gaps; or an
        annotation has the name of a column of the frame.

    Warns
    -----
    UserWarning
        If the index of a table shows that the rows of a sentence were reordered or that some were
        left out; if words begin or end with a space of their own; or if words and labels are Series
        whose indexes share labels in different orders.

    See Also
    --------
    read_conllu : Read a treebank.
    read_parallel : Read words and labels from parallel text files.

    Notes
    -----
    Parquet and pickle restore the frame exactly. A CSV file restores its values if it is read with
    ``keep_default_na=False, na_values=[""]``; otherwise pandas reads words such as "NA" and "null"
    as missing values.

    Examples
    --------
    >>> from sklearn_neurox.words import words_frame
    >>> frame = words_frame([["Dogs", "bark"], ["Hello"]], [["NOUN", "VERB"], ["INTJ"]])
    >>> frame[["text", "start", "end", "word", "label"]]
            text  start  end   word label
    0  Dogs bark      0    4   Dogs  NOUN
    1  Dogs bark      5    9   bark  VERB
    2      Hello      0    5  Hello  INTJ
    >>> rows = [{"token": "Hello", "s": 1, "pos": "INTJ"}, {"token": "Bye", "s": 2, "pos": "INTJ"}]
    >>> words_frame(rows, word="token", label="pos", sentence_id="s")[["text", "label"]]
        text label
    0  Hello  INTJ
    1    Bye  INTJ
    """
    if text not in ("joined", "natural"):
        raise ValueError(f"The 'text' parameter must be 'joined' or 'natural', got {text!r}.")
    if not isinstance(joiner, str):
        raise TypeError(f"The 'joiner' parameter must be a string, got {joiner!r}.")
    table = _as_table(words)
    names = {"word": word, "label": label, "sentence_id": sentence_id, "position": position}
    if isinstance(table, pd.DataFrame):
        for name, value in (("labels", labels), ("sentence_ids", sentence_ids)):
            if value is not None:
                raise ValueError(
                    f"The 'words' parameter is a table, which holds its {name} in its columns. Add "
                    f"a column instead of passing the '{name}' parameter, and name it with the "
                    f"'{name.removesuffix('s')}' parameter."
                )
        return _from_table(read_table(table, names), joiner=joiner, natural=text == "natural")
    if text == "natural":
        raise ValueError(
            "text='natural' needs to know which words are followed by a space. Pass the words as a "
            "DataFrame with the columns sentence_id, word and space_after."
        )
    for role, column in names.items():
        if column not in (role, None):
            raise ValueError(
                f"The {role!r} parameter of words_frame names a column of a table, but the words "
                "are lists. Pass labels as labels={'name': ...} and ids as sentence_ids=."
            )
    columns = {}
    for name, column in _named_labels(labels).items():
        of_labels = "labels" if name == "label" else f"labels[{name!r}]"
        columns[of_labels] = column
    check_row_order(words=words, **columns, sentence_ids=to_pandas(sentence_ids))
    return _from_lists(table, labels, sentence_ids, joiner=joiner)


def _as_table(words):
    """Return a table as a DataFrame, and anything else as a list of sentences."""
    table = to_pandas(words)
    if isinstance(table, pd.DataFrame):
        return table
    by_name = hasattr(type(table), "columns") or isinstance(table, str | bytes | Mapping | set)
    if by_name or not isinstance(table, Iterable) or getattr(table, "ndim", 1) == 0:
        raise TypeError(
            "The 'words' parameter must be a list of sentences, each a list of words, or a table "
            "of words (a DataFrame of pandas or polars, an Arrow table, a Hugging Face Dataset, a "
            f"list of dicts), got {describe(words)}."
        )
    # A stream may hold a dict for each row, as that of a Hugging Face IterableDataset does.
    return to_pandas(list(table))


def _from_lists(sentences, labels, sentence_ids, *, joiner):
    _check_sentences(sentences)
    ids = _as_sentence_ids(sentence_ids, len(sentences))
    lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
    if not lengths.all():
        raise ValueError(no_words(int(np.argmin(lengths)), ids))
    flat = list(chain.from_iterable(sentences))
    check_words(flat, lengths, ids)
    annotations = {
        name: flat_labels(name, values, lengths, ids)
        for name, values in _named_labels(labels).items()
    }
    gaps = [joiner] * len(flat)
    warn_about_space(flat, gaps, lengths, ids)
    joined = join_words(flat, gaps, lengths)
    return assemble_frame(
        *joined, lengths=lengths, words=flat, sentence_ids=ids, annotations=annotations
    )


def _from_table(table, *, joiner, natural):
    order, ids, lengths = sentence_order(table)
    rows = table.iloc[order]
    words = rows["word"].tolist()
    check_words(words, lengths, ids)
    gaps = spaces_after(rows, joiner) if natural else [joiner] * len(words)
    warn_about_space(words, gaps, lengths, ids)
    names = [name for name in table.columns if name not in ("sentence_id", "word", "position")]
    frame = assemble_frame(
        *join_words(words, gaps, lengths),
        lengths=lengths,
        words=words,
        sentence_ids=ids,
        annotations={name: rows[name] for name in names},
    )
    if (np.diff(order) == 1).all():
        return frame
    return frame.iloc[np.argsort(order)].reset_index(drop=True)


def _check_sentences(sentences):
    if not sentences:
        raise ValueError("The 'words' parameter contains no sentences.")
    for i, sentence in enumerate(sentences):
        if not is_list(sentence):
            raise TypeError(
                f"Sentence {i} is {sentence!r}, not a list of words. Pass a list of sentences, "
                "each a list of words, such as sentence.split()."
            )


def _as_sentence_ids(sentence_ids, n_sentences):
    ids = pd.Series(range(n_sentences) if sentence_ids is None else list(to_pandas(sentence_ids)))
    if len(ids) != n_sentences:
        raise ValueError(
            f"The 'sentence_ids' parameter has {len(ids)} ids for {n_sentences} sentences."
        )
    if ids.isna().any():
        raise ValueError(
            f"The id of sentence {int(ids.isna().argmax())} is missing. Give each sentence its "
            "own id, or omit 'sentence_ids' to number them."
        )
    odd = next((i for i, one in enumerate(ids.tolist()) if not is_hashable(one)), None)
    if odd is not None:
        raise TypeError(
            f"The id of sentence {odd} is {ids.tolist()[odd]!r:.60}, a "
            f"{type(ids.tolist()[odd]).__name__}, which cannot name a sentence. Use strings or "
            "integers, or omit 'sentence_ids' to number the sentences."
        )
    if ids.duplicated().any():
        again = int(ids.duplicated().argmax())
        raise ValueError(
            f"Sentence {again} has the id {ids.tolist()[again]!r} of an earlier sentence. Give "
            "each sentence its own id."
        )
    return ids


def _named_labels(labels):
    if labels is None:
        return {}
    labels = to_pandas(labels)
    if not isinstance(labels, Mapping | pd.DataFrame):
        return {"label": labels}
    check_column_names(labels)
    return {name: to_pandas(labels[name]) for name in labels}
