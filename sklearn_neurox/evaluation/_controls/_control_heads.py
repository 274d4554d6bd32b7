# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.evaluation._controls._control_labels import control_labels
from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._unique_in_order import unique_in_order
from sklearn_neurox.utils._warn_user import warn_user

_BEHAVIORS = {"self": 1, "first": 1, "last": 1}


@validate_params(
    {
        "words": "no_validation",  # may be a table of any library
        "case_sensitive": ["boolean"],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def control_heads(
    words: pd.DataFrame, *, case_sensitive: bool = True, random_state: int = 0
) -> pd.Series:
    """Draw heads for the words, as a control task for probes of dependency arcs.

    Each word type attaches to itself, to the first word or to the last word of its sentence, with
    equal probability [1]_. No representation contains these heads, so a probe can predict them only
    by memorizing the types it was trained on.

    A type always gets the same behavior for the same ``random_state``, through a cryptographic
    hash: in training and test sentences, in any process and on any machine.

    Parameters
    ----------
    words : table of shape (n_words, n_columns)
        A frame of words, with the columns ``text``, ``start``, ``end``, ``word`` and ``position``,
        and with all words of every sentence. Words of one ``sentence_id``, or without this column
        of one ``text``, are a sentence.

    case_sensitive : bool, default=True
        Whether words that differ only in case are different types.

    random_state : int, default=0
        Seed; different seeds draw different controls.

    Returns
    -------
    control_head : Series of shape (n_words,)
        The heads, named ``"control_head"``, with the index of `words`. Each is the number of a word
        in the sentence, from 1, as in the column ``head`` of `read_conllu`. No word is a root.

    Raises
    ------
    ValueError
        If a column is absent, or the positions of a sentence are not 0, 1, 2, ..., as when some of
        its words were dropped.

    Warns
    -----
    UserWarning
        If a text continues after its last word: its last words may have been dropped.

    See Also
    --------
    control_labels : The control task for labels of words.
    sklearn_neurox.words.pair_frame : Keeps the column of the first word of each pair.

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.

    Examples
    --------
    >>> from sklearn_neurox.evaluation import control_heads
    >>> from sklearn_neurox.words import words_frame
    >>> words = words_frame([["The", "dog", "saw", "the", "cat"], ["The", "cat", "ran"]])
    >>> control_heads(words, random_state=1).tolist()
    [5, 5, 3, 4, 5, 3, 3, 3]
    """
    caller = "control_heads"
    words = read_frame(words, ["text", "start", "end", "word", "position"], caller=caller)
    sentence = "sentence_id" if "sentence_id" in words.columns else "text"
    _, codes = unique_in_order(words[sentence].tolist())
    position = _positions(words["position"], caller)
    n_words = np.bincount(codes)
    _check_whole(words, codes, position, n_words, sentence)
    behavior = control_labels(
        words["word"],
        distribution=_BEHAVIORS,
        case_sensitive=case_sensitive,
        random_state=random_state,
    ).to_numpy()
    heads = np.select(
        [behavior == "self", behavior == "first"], [position + 1, 1], default=n_words[codes]
    )
    return pd.Series(heads, index=words.index, name="control_head")


def _positions(position, caller):
    values = position.to_numpy()
    if values.dtype.kind not in "iu":
        raise ValueError(
            f"The column 'position' of the words given to {caller} must contain integers, got "
            f"{values.dtype}."
        )
    return values.astype(np.int64)


def _check_whole(words, codes, position, n_words, sentence):
    """Check that the words are whole sentences, as far as positions and texts show."""
    order = np.lexsort((position, codes))
    starts = np.cumsum(n_words) - n_words
    wrong = position[order] != np.arange(len(order)) - starts[codes[order]]
    if wrong.any():
        row = order[int(wrong.argmax())]
        raise ValueError(
            f"control_heads needs all words of every sentence, each once, but the positions of "
            f"{sentence} {words[sentence].iloc[row]!r} are not 0 to {n_words[codes[row]] - 1}. "
            "Draw the control for all words, then select rows or join it to other frames."
        )
    last = words.groupby("text", observed=True, sort=False)["end"].max()
    unread = [text for text, end in last.items() if text[int(end) :].strip()]
    if unread:
        warn_user(
            f"{len(unread)} of {len(last)} texts given to control_heads continue after their last "
            f"word, as in {unread[0][:60]!r}. If rows were dropped, draw the control before, since "
            "other words would be last."
        )
