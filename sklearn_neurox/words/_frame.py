# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.words._layout import (
    assemble_frame,
    check_column_names,
    first_rows,
    join_words,
    sentence_runs,
    string_dtype,
)


@validate_params(
    {
        "labels": [Iterable, None],
        "sentence_ids": [Iterable, None],
    },
    prefer_skip_nested_validation=True,
)
def words_frame(
    words: pd.DataFrame | Iterable[Sequence[str]],
    labels: Mapping[str, Iterable[Sequence]] | Iterable[Sequence] | None = None,
    *,
    sentence_ids: Iterable | None = None,
    joiner: str = " ",
    text: str = "joined",
) -> pd.DataFrame:
    """Build a frame of words, one per row, each with the text it occurs in.

    Each row carries its own context, so rows can be selected, shuffled, repeated and split like
    those of any other frame before they are passed to an extractor.

    Parameters
    ----------
    words : iterable of sequences of str, or DataFrame
        The words of each sentence; or a long DataFrame with one row per word and the columns
        ``sentence_id`` and ``word``. Its other columns are kept as annotations, and its rows keep
        their order. The rows of a sentence must be contiguous.

    labels : iterable of sequences, mapping of str to iterable of sequences, or None, default=None
        The label of each word, in the same shape as `words`. A mapping provides several
        annotations, one column per name; a single annotation becomes the column ``label``. Use None
        or NaN for a missing label. Must be None for a DataFrame, whose columns hold the labels.

    sentence_ids : iterable or None, default=None
        One distinct name per sentence. None numbers the sentences from 0. Must be None for a
        DataFrame.

    joiner : str, default=" "
        The separator between two words in the text that the model reads.

    text : {"joined", "natural"}, default="joined"
        The text that the model reads. "joined" puts `joiner` between all words, as most probing
        papers do. "natural" puts it only after words whose column ``space_after`` is True, and
        requires a DataFrame with that column.

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
        If a sentence, or its labels, is one string instead of a list.

    ValueError
        If a sentence has no words; a word is empty, missing or not a string; the labels differ in
        shape from the words (the message names the sentence and both lengths); sentence ids are
        missing or repeated; or an annotation has the name of a column of the frame.

    See Also
    --------
    read_conllu : Read a treebank.
    read_parallel : Read words and labels from parallel text files.

    Notes
    -----
    Parquet and pickle restore the frame exactly. A CSV file restores its values if it is read with
    ``keep_default_na=False``; otherwise pandas reads words such as "NA" and "null" as missing
    values.

    Examples
    --------
    >>> from sklearn_neurox.words import words_frame
    >>> frame = words_frame([["Dogs", "bark"], ["Hello"]], [["NOUN", "VERB"], ["INTJ"]])
    >>> frame[["text", "start", "end", "word", "label"]]
            text  start  end   word label
    0  Dogs bark      0    4   Dogs  NOUN
    1  Dogs bark      5    9   bark  VERB
    2      Hello      0    5  Hello  INTJ
    """
    if text not in ("joined", "natural"):
        raise ValueError(f"The 'text' parameter must be 'joined' or 'natural', got {text!r}.")
    if not isinstance(joiner, str):
        raise TypeError(f"The 'joiner' parameter must be a string, got {joiner!r}.")
    if isinstance(words, pd.DataFrame):
        for name, value in (("labels", labels), ("sentence_ids", sentence_ids)):
            if value is not None:
                raise ValueError(
                    f"The 'words' parameter is a DataFrame, which holds its {name} in its columns. "
                    f"Add a column instead of passing the '{name}' parameter."
                )
        return _from_long(words, joiner=joiner, natural=text == "natural")
    if text == "natural":
        raise ValueError(
            "text='natural' needs to know which words are followed by a space. Pass the words as a "
            "DataFrame with the columns sentence_id, word and space_after."
        )
    return _from_lists(words, labels, sentence_ids, joiner=joiner)


def _from_lists(words, labels, sentence_ids, *, joiner):
    sentences = _as_sentences(words)
    ids = _as_sentence_ids(sentence_ids, len(sentences))
    lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
    if not lengths.all():
        raise ValueError(
            f"There are no words in {_sentence(int(np.argmin(lengths)), ids)}, so it would have no "
            "row. Remove it."
        )
    flat = list(chain.from_iterable(sentences))
    _check_words(flat, lengths, ids)
    annotations = {
        name: _flat_labels(name, values, lengths, ids)
        for name, values in _named_labels(labels).items()
    }
    joined = join_words(flat, [joiner] * len(flat), lengths)
    return assemble_frame(
        *joined, lengths=lengths, words=flat, sentence_ids=ids, annotations=annotations
    )


def _from_long(frame, *, joiner, natural):
    missing = [name for name in ("sentence_id", "word") if name not in frame.columns]
    if missing:
        raise ValueError(
            f"The frame of words has no column {missing[0]!r}. It needs one row per word and the "
            f"columns 'sentence_id' and 'word', but has {list(frame.columns)}. If it has one row "
            "per sentence, pass its columns of lists: words_frame(frame['tokens'], "
            "{'label': frame['labels']})."
        )
    if frame.empty:
        raise ValueError("The frame of words has no rows.")
    names = [name for name in frame.columns if name not in ("sentence_id", "word")]
    check_column_names(names)
    for name in ("sentence_id", "word"):
        if list(frame.columns).count(name) > 1:
            raise ValueError(f"The frame has two columns called {name!r}. Rename or drop one.")
    ids, lengths = _ids_and_lengths(frame["sentence_id"])
    words = frame["word"].tolist()
    _check_words(words, lengths, ids)
    gaps = _gaps(frame, joiner) if natural else [joiner] * len(words)
    joined = join_words(words, gaps, lengths)
    annotations = {name: frame[name] for name in names}
    return assemble_frame(
        *joined, lengths=lengths, words=words, sentence_ids=ids, annotations=annotations
    )


def _as_sentences(words):
    if isinstance(words, str | Mapping):
        raise TypeError(
            "The 'words' parameter must be a list of sentences, each a list of words, or a "
            f"DataFrame, got a {type(words).__name__}."
        )
    sentences = list(words)
    if not sentences:
        raise ValueError("The 'words' parameter contains no sentences.")
    for i, sentence in enumerate(sentences):
        if isinstance(sentence, str) or not hasattr(sentence, "__len__"):
            raise TypeError(
                f"Sentence {i} is {sentence!r}, not a list of words. Pass a list of sentences, "
                "each a list of words, such as sentence.split()."
            )
    return sentences


def _as_sentence_ids(sentence_ids, n_sentences):
    ids = pd.Series(range(n_sentences) if sentence_ids is None else list(sentence_ids))
    if len(ids) != n_sentences:
        raise ValueError(
            f"The 'sentence_ids' parameter has {len(ids)} ids for {n_sentences} sentences."
        )
    if ids.isna().any():
        raise ValueError(f"The id of sentence {int(ids.isna().argmax())} is missing.")
    if ids.duplicated().any():
        again = int(ids.duplicated().argmax())
        raise ValueError(
            f"Sentence {again} has the id {ids.tolist()[again]!r} of an earlier sentence. Give "
            "each sentence its own id."
        )
    return ids


def _ids_and_lengths(column):
    """Return the sentence ids of a long frame, and the number of rows of each sentence."""
    if column.isna().any():
        raise ValueError(f"The sentence_id of row {int(column.isna().argmax())} is missing.")
    ids, first, lengths = sentence_runs(column)
    if ids.duplicated().any():
        again = int(ids.duplicated().argmax())
        raise ValueError(
            f"The sentence_id {ids.tolist()[again]!r} occurs again at row {first[again]}, after "
            "another sentence. Make the rows of each sentence contiguous, for example with "
            "sort_values('sentence_id', kind='stable'), or give the sentences distinct ids."
        )
    return ids, lengths


def _gaps(frame, joiner):
    if "space_after" not in frame.columns:
        raise ValueError(
            "text='natural' needs the bool column 'space_after', which marks the words that are "
            f"followed by a space. The frame has {list(frame.columns)}."
        )
    column = frame["space_after"]
    if not pd.api.types.is_bool_dtype(column) or column.isna().any():
        raise ValueError(
            "The column 'space_after' must be bool and have no missing values, but has dtype "
            f"{column.dtype} and {int(column.isna().sum())} missing values."
        )
    return np.where(column.to_numpy(dtype=bool), joiner, "").tolist()


def _named_labels(labels):
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        check_column_names(labels)
        return labels
    return {"label": labels}


def _flat_labels(name, values, lengths, ids):
    values = list(values)
    if len(values) != len(lengths):
        raise ValueError(
            f"There are labels {name!r} for {len(values)} sentences, but words for {len(lengths)}."
        )
    for i, (sentence, n_words) in enumerate(zip(values, lengths.tolist(), strict=True)):
        if isinstance(sentence, str) or not hasattr(sentence, "__len__"):
            raise TypeError(
                f"The labels {name!r} of {_sentence(i, ids)} are {sentence!r}, not a list with "
                "one label per word."
            )
        if len(sentence) != n_words:
            raise ValueError(
                f"There are {n_words} words in {_sentence(i, ids)}, but {len(sentence)} labels "
                f"{name!r}."
            )
    flat = pd.Series(list(chain.from_iterable(values)))
    # A column that is all None would change its dtype when written to a file and read back.
    return flat.astype(string_dtype()) if flat.dtype == object and flat.isna().all() else flat


def _check_words(flat, lengths, ids):
    """Raise an error that names the first invalid word and its sentence."""
    row = next((i for i, word in enumerate(flat) if not isinstance(word, str) or not word), None)
    if row is None:
        _check_encodable(flat, lengths, ids)
        return
    word = flat[row]
    if isinstance(word, str):
        what = "is empty, so it has no span in the text"
    elif pd.api.types.is_scalar(word) and pd.isna(word):
        what = f"is missing ({word!r})"
    else:
        what = f"is {word!r} of type {type(word).__name__}, not a string"
    raise ValueError(f"The word at {_place(row, lengths, ids)} {what}.")


def _check_encodable(flat, lengths, ids):
    try:
        "".join(flat).encode()
    except UnicodeEncodeError as error:
        row = int(np.searchsorted(np.cumsum([len(word) for word in flat]), error.start, "right"))
        raise ValueError(
            f"The word at {_place(row, lengths, ids)} is {flat[row]!r}, which contains half of "
            "a surrogate pair. Neither files nor tokenizers accept that. It comes from decoding "
            "with errors='surrogateescape' or from cutting UTF-16; read the source as UTF-8."
        ) from None


def _place(row, lengths, ids):
    first = first_rows(lengths)
    i = int(np.searchsorted(first, row, "right")) - 1
    return f"position {row - first[i]} of {_sentence(i, ids)} (row {row})"


def _sentence(i, ids):
    name = ids.iloc[[i]].tolist()[0]
    return f"sentence {i}" if name == i else f"sentence {i} (sentence_id {name!r})"
