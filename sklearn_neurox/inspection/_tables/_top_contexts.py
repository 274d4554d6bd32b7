# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_neurox.inspection._extremes import SIGNS, find_extremes
from sklearn_neurox.inspection._occurrences import are_pairs, other_words, read_spans
from sklearn_neurox.inspection._tables._chosen_neurons import choose_neurons
from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._validation import check_row_order

_SHOWN = ["text", "start", "end", "sentence_id", "other_word", "other_start", "other_end"]


@validate_params(
    {
        "X": ["array-like", "sparse matrix"],
        "words": "no_validation",  # may be a table of any library
        "neurons": ["array-like", Integral, str, None],
        "n_contexts": [Interval(Integral, 1, None, closed="left")],
        "sign": [StrOptions(set(SIGNS))],
        "distinct_texts": ["boolean"],
        "window": [Interval(Integral, 0, None, closed="left"), None],
        "input_features": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def top_contexts(
    X: ArrayLike,
    words: pd.DataFrame,
    neurons: int | str | Sequence[int] | Sequence[str] | None,
    *,
    n_contexts: int = 10,
    sign: str = "both",
    distinct_texts: bool = False,
    window: int | None = None,
    input_features: ArrayLike | None = None,
) -> pd.DataFrame:
    """List the word occurrences that a neuron is most active on, with their contexts.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_words, n_features)
        The activations. float16 and memory-mapped arrays are upcast in blocks.

    words : table with the columns ``text``, ``start``, ``end``, of shape (n_words, n_columns)
        A frame of words, with one row per row of X. A row without word, start and end is a whole
        text, such as in ``pd.DataFrame({"text": texts})``; the column ``word`` of the result then
        contains it. In a frame of pairs (see `pair_frame`), the context is that of the first word.

    neurons : int, str, array-like of these or of bool, or None
        Indices, names or a mask. None lists all neurons except constant ones, and warns about
        those.

    n_contexts : int, default=10
        The number of words to list per end.

    sign : {"both", "positive", "negative", "absolute"}, default="both"
        The ends to list: both the highest and the lowest activations, the highest, the lowest, or
        those farthest from the neuron's mean in either direction.

    distinct_texts : bool, default=False
        Whether to list only the most extreme word of each text, so that a frequent sentence does
        not crowd out others.

    window : int or None, default=None
        The number of characters to show on each side of the word. None shows the whole text.

    input_features : array-like of str or None, default=None
        The names of the columns. None takes those of a DataFrame, or ``x0``, ``x1``, ...

    Returns
    -------
    table : DataFrame
        One row per neuron, end and word, most extreme first, with the columns ``neuron``,
        ``sign`` (``"+"`` for the high end, ``"-"`` for the low end; the sign of z with
        ``"absolute"``), ``rank`` (from 1, within the end), ``activation``, ``z`` (standard
        deviations from the neuron's mean over all words), ``left``, ``word``, ``right`` (the
        context), ``text``, ``start``, ``end``, ``sentence_id`` if the frame has it, for pairs
        ``other_word``, ``other_start`` and ``other_end``, and ``row``
        (of X). If there are fewer words than ``n_contexts``, all are listed.

    Raises
    ------
    ValueError
        If a column or text is missing, a span does not fit its text, X is not finite, no neuron is
        selected, or a selected neuron is constant.

    See Also
    --------
    top_words : Average over the occurrences of each word.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.inspection import top_contexts
    >>> from sklearn_neurox.words import words_frame
    >>> words = words_frame([["Dogs", "bark", "loudly"], ["Hello"]])
    >>> X = np.array([[0.1], [2.5], [0.4], [-3.0]])
    >>> contexts = top_contexts(X, words, 0, n_contexts=1, window=8)
    >>> contexts[["sign", "activation", "left", "word", "right"]]
      sign  activation   left   word    right
    0    +         2.5  Dogs    bark   loudly
    1    -        -3.0         Hello
    """
    check_row_order(X=X, words=words)
    words = read_frame(words, ["text"], caller="top_contexts")
    start, end = read_spans(words, caller="top_contexts")
    words = words.assign(start=start, end=end)
    if are_pairs(words):
        words["other_word"] = other_words(words, caller="top_contexts")
    chosen = choose_neurons(X, words, neurons, input_features=input_features, caller="top_contexts")
    texts = pd.factorize(words["text"])[0] if distinct_texts else None
    parts = []
    for block in chosen.blocks(len(words)):
        activations = chosen.read(slice(None), block).T
        z = activations.astype(np.float64) - chosen.means[block][:, np.newaxis]
        z /= chosen.deviations[block][:, np.newaxis]
        of_neuron, rows, signs, ranks = _find(z, n_contexts, sign, texts)
        parts.append(
            pd.DataFrame(
                {
                    "neuron": chosen.names[block][of_neuron],
                    "sign": signs,
                    "rank": ranks,
                    "activation": activations[of_neuron, rows].astype(np.float64),
                    "z": z[of_neuron, rows],
                    "row": rows,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return table[["neuron", "sign", "rank", "activation", "z"]].join(
        _contexts(words, table["row"].to_numpy(), window)
    )


def _find(z, n_contexts, sign, texts):
    if texts is None:
        return find_extremes(z, n_contexts, sign)
    order = np.argsort(texts, kind="stable")
    starts = np.flatnonzero(np.diff(texts[order], prepend=-1))
    runs = np.append(starts, len(texts))
    of_neuron, places, signs, ranks = find_extremes(z[:, order], n_contexts, sign, runs)
    return of_neuron, order[places], signs, ranks


def _contexts(words, rows, window):
    chosen = words.iloc[rows].reset_index(drop=True)
    texts = [str(text) for text in chosen["text"]]
    spans = list(zip(texts, chosen["start"], chosen["end"], strict=True))
    # A window as long as the text shows the whole text.
    reach = [len(text) if window is None else window for text, _, _ in spans]
    sides = {
        "left": [
            text[max(0, start - n) : start]
            for (text, start, _), n in zip(spans, reach, strict=True)
        ],
        "word": [text[start:end] for text, start, end in spans],
        "right": [text[end : end + n] for (text, _, end), n in zip(spans, reach, strict=True)],
    }
    own = [name for name in _SHOWN if name in chosen]
    return pd.DataFrame(sides).join(chosen[own]).assign(row=rows)
