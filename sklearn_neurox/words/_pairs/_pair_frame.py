# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._exact_integers import exact_series
from sklearn_neurox.utils._unique_in_order import unique_in_order
from sklearn_neurox.words._half_characters import refuse_half_characters
from sklearn_neurox.words._layout import string_dtype
from sklearn_neurox.words._pairs._arcs import Trees, name_row, positions_of
from sklearn_neurox.words._pairs._negatives import all_pairs, is_among, matched
from sklearn_neurox.words._pairs._spans import check_pairs, check_spans, spelled


@validate_params(
    {
        "words": "no_validation",  # may be a table of any library
        "heads": [str, None],
        "rows": ["array-like", None],
        "relation": [str, "array-like", None],
        "negatives": [StrOptions({"all", "matched"}), None],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "no_relation": [str],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
@refuse_half_characters
def pair_frame(
    words: pd.DataFrame,
    *,
    heads: str | None = None,
    rows: Sequence[ArrayLike] | None = None,
    relation: str | ArrayLike | None = None,
    negatives: str | None = None,
    n_negatives: int = 1,
    no_relation: str = "none",
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Build a frame of pairs of words or spans of one text, one pair per row.

    Each row carries its text and both spans, so rows can be selected, shuffled, repeated and split
    like those of a frame of words before they are passed to an extractor.

    Parameters
    ----------
    words : DataFrame of shape (n_rows, n_columns)
        With `heads` or `rows`: one row per word (or span), as returned by `words_frame` or
        `read_conllu`. Otherwise, one row per pair, with the columns ``text``, ``start``, ``end``,
        ``other_start`` and ``other_end``; a span may be the whole text. It is not modified. A table
        of another library (see `words_frame`) becomes a DataFrame.

    heads : str or None, default=None
        The column with the head of each word, such as ``"head"``: its number in the sentence, from
        1, or 0 for a root. The pairs are the arcs of these trees: the first word is a dependent,
        the other one its head. Roots have no arc. Needs the columns ``sentence_id`` and
        ``position``.

    rows : pair of array-like of int of shape (n_pairs,), or None, default=None
        The positions (from 0) of the first and of the other row of each pair in `words`.

    relation : str, array-like of shape (n_pairs,) or None, default=None
        The label of each pair: with `heads`, the column of the dependent that holds it (None takes
        ``"deprel"`` if there is one); with `rows`, one label per pair.

    negatives : {"all", "matched"} or None, default=None
        Which pairs to add that are not among the arcs, or among the given `rows`. All candidates
        are ordered pairs of different rows of one text (and of one ``sentence_id``, if there is
        such a column). The reverse of an arc is a candidate: its other word is not the head of
        its first.

        - None: none.
        - ``"all"``: all candidates.
        - ``"matched"``: a sample of them, drawn without replacement from all texts, that has
          `n_negatives` times as many pairs of every distance and direction as the arcs, so that the
          distance alone does not tell arcs from negatives.

    n_negatives : int, default=1
        The number of negatives per arc, for ``negatives="matched"``.

    no_relation : str, default="none"
        The ``relation`` of negatives. No other pair may have it.

    random_state : int, RandomState or None, default=0
        Seed of the sample.

    Returns
    -------
    pairs : DataFrame of shape (n_pairs, n_columns)
        All columns of the first row (``text``, ``start``, ``end``, ``word``, ``sentence_id``, its
        annotations); then those of the other row, with the prefix ``other_`` (without its text and
        sentence); then, with `heads` or `rows`:

        - ``is_arc`` (bool): whether the pair is an arc, or among the given rows;
        - ``relation``, if there are labels;
        - ``distance``: the position of the other word minus that of the first. Without a column
          ``position``, or if a pair joins two sentences of one text, rows are counted in the order
          of their spans;
        - ``tree_distance``, with `heads`: the number of arcs on the path between the words. Missing
          if no path joins them, because their sentence has several roots.

        The pairs are sorted by their rows if there are negatives, and are otherwise in the order
        given, with a new RangeIndex.

    Raises
    ------
    ValueError
        If a head is missing, not a word of its sentence, or the word itself; if heads form a cycle;
        if a pair joins spans of two texts, or a span with itself, or occurs twice; if a span is
        empty or out of range; if a pair has the relation of negatives; or if a new column has the
        name of an existing one.

    Warns
    -----
    UserWarning
        If there are too few candidates of a distance for ``negatives="matched"``.

    See Also
    --------
    read_conllu : Reads a treebank with its heads: ``columns=["head", "deprel"]``.
    sklearn_neurox.extraction.SubwordAggregator : Combines the vectors of both spans.

    References
    ----------
    .. [1] I. Tenney et al., "What do you learn from context? Probing for sentence structure in
       contextualized word representations", ICLR 2019.

    Examples
    --------
    >>> from sklearn_neurox.words import pair_frame, words_frame
    >>> labels = {"head": [[2, 3, 0]], "deprel": [["det", "nsubj", "root"]]}
    >>> words = words_frame([["The", "dog", "barks"]], labels)
    >>> pairs = pair_frame(words, heads="head", negatives="all")
    >>> pairs[["word", "other_word", "relation", "distance", "tree_distance"]]
        word other_word relation  distance  tree_distance
    0    The        dog      det         1              1
    1    The      barks     none         2              2
    2    dog        The     none        -1              1
    3    dog      barks    nsubj         1              1
    4  barks        The     none        -2              2
    5  barks        dog     none        -1              1
    """
    frame = read_frame(words, ["text", "start", "end"], caller="pair_frame")
    if heads is not None and rows is not None:
        raise ValueError("pair_frame takes 'heads' or 'rows', but got both.")
    if len(frame) == 0:
        raise ValueError("The 'words' parameter of pair_frame has no rows.")
    frame = frame.reset_index(drop=True)
    if heads is None and rows is None:
        return _from_spans(frame, relation, negatives)
    if heads is not None:
        frame = read_frame(frame, ["sentence_id", "position", heads], caller="pair_frame")
        pairs = _arcs(frame, heads, relation)
    else:
        pairs = _given_rows(frame, rows, relation)
    first, other = pairs.first, pairs.other
    if negatives is not None:
        _check_no_relation(pairs.labels, no_relation)
        added = _negatives(frame, pairs, negatives, n_negatives, random_state)
        first, other = np.append(first, added[0]), np.append(other, added[1])
    order = np.arange(len(first)) if negatives is None else np.lexsort((other, first))
    first, other = first[order], other[order]
    made = {"is_arc": order < len(pairs.first)}
    if pairs.labels is not None:
        none = pd.Series([no_relation] * (len(order) - len(pairs.labels)), dtype=object)
        labels = pd.concat([pairs.labels.astype(object), none], ignore_index=True)
        made["relation"] = exact_series(labels.tolist()).take(order).array
    made["distance"] = pairs.place[other] - pairs.place[first]
    if pairs.trees is not None:
        far = pd.Series(pairs.trees.distances(first, other))
        made["tree_distance"] = (
            far.astype("Int64").mask(far < 0) if (far < 0).any() else far
        ).array
    return _assemble(frame, first, other, made)


def _check_no_relation(labels, no_relation):
    """Raise an error if negatives would have the relation of a given pair."""
    if labels is not None and (same := labels.astype(object).eq(no_relation)).any():
        raise ValueError(
            f"The relation of pair {int(same.argmax())} is {no_relation!r}, which pair_frame gives "
            f"to negatives ({same.sum()} such pairs). Choose another label for negatives with the "
            "'no_relation' parameter."
        )


def _negatives(frame, pairs, kind, n_negatives, random_state):
    _check_distinct_rows(frame, pairs.unit)
    given = pairs.first, pairs.other
    if kind == "matched":
        return matched(*given, pairs.place, pairs.unit, n_negatives, random_state)
    first, other = all_pairs(pairs.unit)
    free = ~is_among(first, other, given, len(frame))
    return first[free], other[free]


class _Pairs:
    """The given pairs of rows, and where each row is."""

    def __init__(self, first, other, labels, unit, place, trees=None):
        self.first, self.other, self.labels = first, other, labels
        self.unit, self.place, self.trees = unit, place, trees


def _arcs(frame, heads, relation):
    _, sentence = unique_in_order(frame["sentence_id"].tolist())
    _, text = unique_in_order(frame["text"].tolist())
    position = positions_of(frame)
    trees = Trees(frame, heads, sentence, position)
    first, other = trees.arcs()
    _check_one_text(frame, text, first, other)
    if not isinstance(relation, str | None):
        raise ValueError(
            "With 'heads', the 'relation' parameter of pair_frame names a column of the words, got "
            f"an object of type {type(relation).__name__}."
        )
    if relation is not None:
        read_frame(frame, [relation], caller="pair_frame")
    elif "deprel" in frame.columns:
        relation = "deprel"
    labels = None if relation is None else frame[relation].take(first).reset_index(drop=True)
    return _Pairs(first, other, labels, sentence, position, trees)


def _given_rows(frame, rows, relation):
    if len(rows) != 2:
        raise ValueError(
            "The 'rows' parameter of pair_frame must be two arrays: the first row and the other "
            f"row of each pair, got {len(rows)}."
        )
    first, other = (_row_numbers(own, i, len(frame)) for i, own in enumerate(rows))
    if len(first) != len(other) or not len(first):
        raise ValueError(
            "The 'rows' parameter of pair_frame must be two arrays of one length, with at least "
            f"one pair, got {len(first)} and {len(other)} rows."
        )
    _, text = unique_in_order(frame["text"].tolist())
    _check_one_text(frame, text, first, other)
    spans = [[frame[name].to_numpy()[own] for name in _keys(frame)] for own in (first, other)]
    unit, place, ids = text, None, None
    if "sentence_id" in frame.columns:
        _, sentence = unique_in_order(frame["sentence_id"].tolist())
        ids = sentence[first]
        if (sentence[first] == sentence[other]).all():
            unit = unique_in_order(list(zip(text.tolist(), sentence.tolist(), strict=True)))[1]
            place = positions_of(frame) if "position" in frame.columns else None
    check_pairs(text[first], *spans, ids)
    if place is None:
        place = _ranks(unit, frame["start"].to_numpy(), frame["end"].to_numpy())
    if isinstance(relation, str):
        raise ValueError(
            "With 'rows', the 'relation' parameter of pair_frame has one label per pair, got "
            f"{relation!r}."
        )
    labels = None
    if relation is not None:
        values = to_pandas(relation)
        is_listed = isinstance(values, list | tuple)
        labels = exact_series(values) if is_listed else pd.Series(values).reset_index(drop=True)
        if len(labels) != len(first):
            raise ValueError(
                f"The 'relation' parameter of pair_frame has {len(labels)} labels for {len(first)} "
                "pairs."
            )
    return _Pairs(first, other, labels, unit, place)


def _from_spans(frame, relation, negatives):
    absent = [name for name in ("other_start", "other_end") if name not in frame.columns]
    if absent:
        raise ValueError(
            f"pair_frame needs to know the pairs: the column {absent[0]!r} is not there. Pass "
            "heads='head' for the arcs of a treebank, rows=(first, other) for pairs of rows, or a "
            "table with the columns 'other_start' and 'other_end'."
        )
    for name, value in (("relation", relation), ("negatives", negatives)):
        if value is not None:
            raise ValueError(
                f"The {name!r} parameter of pair_frame needs 'heads' or 'rows'. For a table of "
                "pairs, add a column of labels, or rows of other pairs, yourself."
            )
    texts, spans = check_spans(frame)
    categories, codes = unique_in_order(texts)
    ids = frame["sentence_id"] if "sentence_id" in frame.columns else None
    check_pairs(codes, spans[""], spans["other_"], ids)
    made = {
        "text": pd.Categorical.from_codes(codes, pd.Index(categories, dtype=string_dtype())),
    }
    for prefix, (start, end) in spans.items():
        made[f"{prefix}start"], made[f"{prefix}end"] = start, end
        made[f"{prefix}word"] = pd.Series(spelled(texts, start, end), dtype=string_dtype())
    rest = {name: frame[name].array for name in frame.columns if name not in made}
    return pd.DataFrame(made | rest)


def _row_numbers(rows, which, n_rows):
    name = ("rows[0]", "rows[1]")[which]
    values = np.asarray(to_pandas(rows))
    if values.ndim != 1 or (values.dtype.kind not in "iu" and values.size):
        raise ValueError(
            f"{name} of pair_frame must be a flat list of positions of rows, got "
            f"{values.dtype} of shape {values.shape}. For a mask, pass np.flatnonzero(mask)."
        )
    wrong = (values < 0) | (values >= n_rows)
    if wrong.any():
        place = int(wrong.argmax())
        raise ValueError(
            f"{name}[{place}] of pair_frame is {values[place]}, but 'words' has {n_rows} rows, "
            "counted from 0. Rows are positions, not labels of the index."
        )
    return values.astype(np.int64)


def _check_one_text(frame, text, first, other):
    apart = text[first] != text[other]
    if apart.any():
        pair = int(apart.argmax())
        raise ValueError(
            f"Pair {pair} joins two texts: {name_row(frame, first[pair])} and "
            f"{name_row(frame, other[pair])} ({apart.sum()} such pairs). The model reads one text "
            "at a time, so both spans of a pair must have the same text."
        )


def _check_distinct_rows(frame, unit):
    """Raise an error if a row repeats another: negatives would pair a word with itself."""
    again = frame[_keys(frame)].assign(_unit=unit).duplicated().to_numpy()
    if again.any():
        row = int(again.argmax())
        raise ValueError(
            f"{name_row(frame, row)} has the span of an earlier row of its text ({again.sum()} "
            "such rows), so negatives would pair a word with itself. Drop repeated rows."
        )


def _keys(frame):
    """Return the columns that tell apart the rows of one text.

    Words of a multi-word token may share a span, and byte pieces share a character.
    """
    more = [name for name in ("position", "token_index") if name in frame.columns]
    return ["start", "end", *more]


def _ranks(unit, start, end):
    """Return the number of each row in its text, in the order of their spans."""
    order = np.lexsort((end, start, unit))
    begins = np.concatenate([[0], np.cumsum(np.bincount(unit))])
    ranks = np.empty(len(unit), dtype=np.int64)
    ranks[order] = np.arange(len(unit)) - begins[unit[order]]
    return ranks


def _assemble(frame, first, other, made):
    """Build the frame of pairs from the columns of both rows and those that were made."""
    own = {name: frame[name].take(first).array for name in frame.columns}
    if "word" not in own:
        texts = frame["text"].take(first)
        own["word"] = spelled(texts, frame["start"].take(first), frame["end"].take(first))
    others = {
        f"other_{name}": frame[name].take(other).array
        for name in frame.columns
        if name not in ("text", "sentence_id")
    }
    if "other_word" not in others:
        texts = frame["text"].take(other)
        others["other_word"] = spelled(texts, frame["start"].take(other), frame["end"].take(other))
    for name in (*others, *made):
        if name in own:
            raise ValueError(
                f"The 'words' of pair_frame have a column {name!r}, which is one of the columns "
                f"that it adds. Rename or drop it: words.drop(columns={name!r})."
            )
    return pd.DataFrame(own | others | made)
