# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_neurox.inspection._extremes import SIGNS, find_extremes
from sklearn_neurox.inspection._occurrences import are_pairs, word_occurrences
from sklearn_neurox.inspection._tables._chosen_neurons import choose_neurons
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._validation import check_row_order

# The number of values that are upcast at a time.
_BLOCK_VALUES = 1_000_000


@validate_params(
    {
        "X": ["array-like", "sparse matrix"],
        "words": "no_validation",  # may be a table of any library
        "neurons": ["array-like", Integral, str, None],
        "n_words": [Interval(Integral, 1, None, closed="left")],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "sign": [StrOptions(set(SIGNS))],
        "case_sensitive": ["boolean"],
        "input_features": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def top_words(
    X: ArrayLike,
    words: pd.DataFrame | ArrayLike,
    neurons: int | str | Sequence[int] | Sequence[str] | None = None,
    *,
    n_words: int = 10,
    min_count: int = 5,
    sign: str = "both",
    case_sensitive: bool = True,
    input_features: ArrayLike | None = None,
) -> pd.DataFrame:
    r"""List the words that a neuron is most active on, for one neuron or for many.

    The activations are averaged per word type. With :math:`m_{jw}` the mean of neuron :math:`j`
    over the occurrences of type :math:`w`, and :math:`\mu_j`, :math:`\sigma_j` the neuron's mean
    and standard deviation over all words, types are ordered by

    .. math:: z_{jw} = (m_{jw} - \mu_j) / \sigma_j

    which makes neurons of different scale, and neurons that never cross zero, comparable.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_words, n_features)
        The activations. float16 and memory-mapped arrays are upcast in blocks, and sparse features
        stay sparse.

    words : table with the column ``word`` or ``text``, or array-like of str, of shape (n_words,)
        The word of each row; a list contains words, never texts. A row of a table that has a text,
        but neither word nor span, is a whole text, such as in ``pd.DataFrame({"text": texts})``.
        It counts, with its one activation, for each word that it contains: letters and digits,
        also around an apostrophe or a hyphen. The type of a row of `pair_frame` is the pair of its
        words, ``"dog → barks"``; if one of them contains an arrow, both are in quotes, so that no
        two pairs look alike. To average over the first or the other words instead, as for the
        columns ``first.*`` and ``other.*``, pass ``pairs["word"]`` or ``pairs["other_word"]``.

    neurons : int, str, array-like of these or of bool, or None, default=None
        Indices, names or a mask. None lists all neurons except constant ones, and warns about
        those.

    n_words : int, default=10
        The number of words to list per end.

    min_count : int, default=5
        The minimum number of occurrences of a type. The mean of a type that occurs once is a
        single activation, and the extremes of many such means say little.

    sign : {"both", "positive", "negative", "absolute"}, default="both"
        The ends to list: both the highest and the lowest means, the highest, the lowest, or those
        farthest from the neuron's mean in either direction.

    case_sensitive : bool, default=True
        Whether "The" and "the" are different types. If False, types are shown in lower case.

    input_features : array-like of str or None, default=None
        The names of the columns. None takes those of a DataFrame, or ``x0``, ``x1``, ...

    Returns
    -------
    table : DataFrame
        One row per neuron, end and word, most extreme first, with the columns ``neuron``,
        ``sign`` (``"+"`` for the high end, ``"-"`` for the low end; the sign of z with
        ``"absolute"``), ``rank`` (from 1, within the end), ``word``, ``mean`` (in units of the
        activation), ``z``, ``std`` (of the activation over the n words of that type, with weight
        1 / n) and ``count`` (for whole
        texts, the number of texts with the word). If there are fewer types than ``n_words``, all
        are listed.

    Raises
    ------
    ValueError
        If no type occurs often enough, X is not finite, a word or text is missing, a span does not
        fit its text, no neuron is selected, or a selected neuron is constant.

    TypeError
        If some words are strings and others are not.

    See Also
    --------
    top_contexts : List single word occurrences with their contexts.

    Notes
    -----
    The means and deviations of all types and neurons come from one pass over X, sorted by type, or
    from one pass per 8 million pairs of type and neuron. NeuroX's ``get_top_words`` averages the
    absolute value of the standardized activation and has no minimum count. A word on which a
    neuron swings in both directions ranks high there; here it has a small z and a large ``std``.

    References
    ----------
    .. [1] F. Dalvi, N. Durrani, H. Sajjad, Y. Belinkov, A. Bau, J. Glass, "What Is One Grain of
       Sand in the Desert? Analyzing Individual Neurons in Deep NLP Models", AAAI 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.inspection import top_words
    >>> X = np.array([[0.0], [1.0], [8.0], [9.0], [-2.0], [-4.0]])
    >>> words = ["the", "the", "dog", "dog", "a", "a"]
    >>> top_words(X, words, n_words=1, min_count=2).round(2)
      neuron sign  rank word  mean     z  std  count
    0     x0    +     1  dog   8.5  1.34  0.5      2
    1     x0    -     1    a  -3.0 -1.03  1.0      2
    """
    check_row_order(X=X, words=words)
    words = to_pandas(words)
    found = word_occurrences(words, caller="top_words", case_sensitive=case_sensitive)
    chosen = choose_neurons(X, words, neurons, input_features=input_features, caller="top_words")
    rows, codes, types, counts = _frequent_types(found, min_count, are_pairs(words))
    parts = []
    for block in chosen.blocks(len(types)):
        means, deviations = _moments_of_types(chosen, block, rows, codes, counts)
        z = (means / chosen.deviations[block]).T
        of_neuron, of_type, signs, ranks = find_extremes(z, n_words, sign)
        parts.append(
            pd.DataFrame(
                {
                    "neuron": chosen.names[block][of_neuron],
                    "sign": signs,
                    "rank": ranks,
                    "word": types[of_type],
                    "mean": means[of_type, of_neuron] + chosen.means[block][of_neuron],
                    "z": z[of_neuron, of_type],
                    "std": deviations[of_type, of_neuron],
                    "count": counts[of_type],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _frequent_types(found, min_count, of_pairs):
    """Sort the occurrences of the types that occur often enough by type."""
    counts = np.bincount(found.codes, minlength=1)
    frequent = counts >= min_count
    if not frequent.any():
        what, way = "word", "."
        if of_pairs:
            what, way = "pair of words", ", or pass pairs['word'] to average over first words."
        elif any(" " in form for form in found.types[:100]):
            way = (
                ". If the rows are whole texts, pass a frame with the column 'text', such as "
                "pd.DataFrame({'text': texts})."
            )
        most = "time" if counts.max() == 1 else "times"
        raise ValueError(
            f"No {what} occurs {min_count} times, as the 'min_count' parameter of top_words "
            f"requires; the most frequent {what} occurs {counts.max()} {most}. Lower min_count{way}"
        )
    order = np.argsort(found.codes, kind="stable")
    order = order[frequent[found.codes[order]]]
    numbers = np.cumsum(frequent) - 1
    return found.rows[order], numbers[found.codes[order]], found.types[frequent], counts[frequent]


def _moments_of_types(chosen, block, rows, codes, counts):
    """Return the mean of each type, minus that of the neuron, and its standard deviation."""
    # Subtracting the means of neurons first would make sparse columns dense.
    is_sparse = issparse(chosen.X)
    sums_of = _sums_of_sparse if is_sparse else _sums
    # By a power of two, which is exact: squares then neither overflow nor vanish.
    unit = np.ldexp(1.0, np.frexp(chosen.deviations[block])[1].clip(-1000, 1000))
    sums, squares = sums_of(chosen, block, rows, codes, len(counts), unit)
    counts = counts[:, np.newaxis]
    means = sums / counts
    variances = squares / counts - np.square(means)
    deviations = unit * np.sqrt(np.maximum(variances, 0, out=variances))
    means *= unit
    if is_sparse:
        means -= chosen.means[block]
    return means, deviations


def _sums(chosen, block, rows, codes, n_types, unit):
    """Sum the differences from the neurons' means, in units, and their squares, per type."""
    width = len(chosen.means[block])
    sums, squares = np.zeros((2, n_types, width))
    n_rows = max(1, _BLOCK_VALUES // width)
    for start in range(0, len(rows), n_rows):
        part = slice(start, start + n_rows)
        centered = (chosen.read(rows[part], block) - chosen.means[block]) / unit
        # Rows are sorted by type, so a block covers a few consecutive types.
        present = slice(codes[part][0], codes[part][-1] + 1)
        shape = present.stop - present.start, len(centered)
        places = codes[part] - present.start, np.arange(len(centered))
        indicator = csr_array((np.ones(len(centered)), places), shape=shape)
        sums[present] += indicator @ centered
        squares[present] += indicator @ np.square(centered, out=centered)
    return sums, squares


def _sums_of_sparse(chosen, block, rows, codes, n_types, unit):
    """Sum the activations, in units, and their squares over each type."""
    columns = chosen.columns[block]
    activations = csr_array(chosen.X)[:, columns].astype(np.float64)
    activations.data /= unit[activations.indices]
    indicator = csr_array((np.ones(len(rows)), (codes, rows)), shape=(n_types, chosen.X.shape[0]))
    squares = activations.copy()
    np.square(squares.data, out=squares.data)
    return (indicator @ activations).toarray(), (indicator @ squares).toarray()
