# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.inspection._are_numbers import are_numbers
from sklearn_neurox.inspection._occurrences import word_occurrences
from sklearn_neurox.inspection._tables._chosen_neurons import some_neurons
from sklearn_neurox.inspection._tables._top_words import top_words
from sklearn_neurox.ranking._order import neuron_order
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._moments import column_deviations, column_means
from sklearn_neurox.utils._names import check_same_columns
from sklearn_neurox.utils._validation import check_activations, check_row_order

_COUNT = [Interval(Integral, 1, None, closed="left")]


@validate_params(
    {
        "estimator": [HasMethods(["fit"])],
        "X": ["array-like", "sparse matrix"],
        "y": ["array-like"],
        "words": "no_validation",  # may be a table of any library
        "neurons": ["array-like", Integral, str, None],
        "n_neurons": _COUNT,
        "n_words": _COUNT,
        "min_count": _COUNT,
        "input_features": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def neuron_summary(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    *,
    words: pd.DataFrame | ArrayLike | None = None,
    neurons: ArrayLike | None = None,
    n_neurons: int = 10,
    n_words: int = 5,
    min_count: int = 2,
    input_features: ArrayLike | None = None,
) -> pd.DataFrame:
    r"""Summarize in one table what the best neurons of a ranker or probe respond to.

    Each neuron is described by the label for which it matters most, by whether it is high or low
    for that label, and by the size of the difference.

    Parameters
    ----------
    estimator : fitted ranker, scoring selector or linear probe
        What orders the neurons. A probe orders them by :math:`\max_c |w_{cj}| \sigma_j`, its
        weights times the standard deviations of the neurons. For a pipeline, pass its last step
        and the activations that this step received; for a search, its ``best_estimator_``.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        The activations, best of words that the estimator was not fitted on. float16 and
        memory-mapped arrays are read in blocks.

    y : array-like of shape (n_samples,)
        The labels, or numbers for a regression. Whole numbers count as such if the estimator, or
        the one that a ranker fitted, is a regressor.

    words : table with the column ``word`` or ``text``, array-like of str, or None, default=None
        The word of each row; pairs of words; or a table of whole texts, such as
        ``pd.DataFrame({"text": texts})``, as in `top_words`. None leaves out the column ``words``.

    neurons : int, str, array-like of these or of bool, or None, default=None
        Indices, names or a mask of the neurons to describe, in this order. None takes the best
        ``n_neurons``.

    n_neurons : int, default=10
        The number of neurons to describe if ``neurons`` is None.

    n_words : int, default=5
        The number of words to list for each neuron.

    min_count : int, default=2
        The minimum number of occurrences of a listed word. `top_words` and the report use 5.

    input_features : array-like of str or None, default=None
        The names of the columns. None takes those of a DataFrame or of the estimator, or ``x0``,
        ``x1``, ...

    Returns
    -------
    table : DataFrame
        One row per neuron, with the columns:

        - ``neuron``, its name;
        - ``label``, the class with the highest class score or weight, or, if the estimator has
          none, with the largest effect. With two classes it is the one the neuron is high for;
        - ``direction``: ``"high"`` or ``"low"``, whether the mean over the label's rows lies above
          or below that over the other rows; empty, as is ``words``, if the means are equal, or if
          no row or every row has the label, so that ``effect`` and ``auc`` are missing;
        - ``effect``: the difference of these means in units of the neuron's standard deviation
          over all rows; negative for ``"low"``;
        - ``auc``: the probability that the activation on a random row of the label is greater than
          on a random other row, ties counting half [1]_; below .5 for ``"low"``;
        - ``weight``, for a probe: its weight for the label times the standard deviation. Its sign
          can differ from that of ``effect``, since a weight depends on the other neurons;
        - ``words``: the words with the most extreme mean activations in that direction, each with
          its most frequent label;
        - ``rank``, from 1, and ``score``;
        - ``n_tied``, the number of other neurons with the same score, up to rounding. The order
          among tied neurons is arbitrary.

        For numbers, ``direction`` is ``"rises"`` or ``"falls"`` with the target, ``correlation``
        (Pearson) replaces ``label``, ``effect`` and ``auc``, and ``words`` shows mean targets.
        If the neuron or the target is constant, the correlation is missing and the direction is
        empty. There is no ``weight`` if the probe has several targets.

    Raises
    ------
    ValueError
        If the estimator has neither an order nor weights for the columns of X, no neuron is
        selected, rows are misaligned, labels are missing or all unknown to the estimator, or no
        word is frequent enough.

    See Also
    --------
    top_words : List the words of the highest and lowest mean activation.
    neuron_table : Count neurons by layer, component or class.

    References
    ----------
    .. [1] T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 2006,
       section 7.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.inspection import neuron_summary
    >>> from sklearn_neurox.ranking import ProbelessRanker
    >>> X = np.array([[0.0, 1.0], [0.2, 3.0], [2.1, 1.5], [2.0, 1.0]])
    >>> y, words = ["V", "V", "N", "N"], ["run", "run", "dog", "dog"]
    >>> ranker = ProbelessRanker().fit(X, y)
    >>> neuron_summary(ranker, X, y, words=words, n_words=1).round(2)
      neuron label direction  effect   auc    words  rank  score  n_tied
    0     x0     N      high    1.99  1.00  dog (N)     1   1.95       0
    1     x1     V      high    0.91  0.62  run (V)     2   0.75       0
    """
    check_row_order(X=X, y=y, words=words)
    check_no_missing_labels(y, may_mix=True)
    given = None if input_features is None else pd.DataFrame(columns=np.asarray(input_features))
    named = {"X": to_pandas(X), "estimator": estimator, "input_features": given}
    check_same_columns("neuron_summary", **named)
    # Numbers in a column of objects, such as one that held missing values, are numbers.
    labels = pd.Series(column_or_1d(np.asarray(y))).infer_objects().to_numpy()
    matrix, names = check_activations(
        X, input_features=input_features, accept_sparse="csr", caller="neuron_summary"
    )
    names = getattr(estimator, "feature_names_in_", None) if names is None else names
    check_consistent_length(matrix, labels)
    ranking = _Ranking(estimator, matrix)
    columns = _columns(neurons, ranking.order[:n_neurons], names, matrix.shape[1])
    activations = _dense(matrix, columns)
    is_numeric = not hasattr(estimator, "classes_") and are_numbers(labels, estimator)
    describe = _describe_numbers if is_numeric else _describe_classes
    shown = [f"x{i}" for i in columns] if names is None else np.asarray(names)[columns]
    described = describe(activations, labels, ranking, columns)
    table = pd.DataFrame({"neuron": shown}).assign(**described)
    if words is not None:
        options = {"is_numeric": is_numeric, "n_words": n_words, "min_count": min_count}
        table["words"] = _list_words(activations, words, labels, table["direction"], **options)
    return table.assign(**ranking.places(columns))


def _columns(neurons, best, names, n_features):
    if neurons is None:
        return best
    return some_neurons(neurons, names=names, n_features=n_features, caller="neuron_summary")


def _dense(matrix, columns):
    part = matrix[:, columns]
    return np.asarray(part.toarray() if issparse(part) else part, dtype=np.float64)


class _Ranking:
    """The order, scores and class scores or weights of an estimator."""

    def __init__(self, estimator, X):
        check_is_fitted(estimator)
        self.classes = getattr(estimator, "classes_", None)
        self.class_scores = getattr(estimator, "class_scores_", None)
        # Sums over equal columns may differ in the last digits, and weights from a solver in more.
        self.weights, self.precision = None, 1e-12
        if getattr(estimator, "coef_", None) is not None and not hasattr(estimator, "order_"):
            weights = _weights(estimator)
            _check_width(estimator, weights.shape[1], X)
            self.weights = weights * column_deviations(X, column_means(X))
            self.scores = np.abs(self.weights).max(axis=0)
            self.order = np.argsort(-self.scores, kind="stable")
            self.precision = 1e-5 if estimator.coef_.dtype == np.float32 else 1e-9
            if self.classes is not None:
                self.class_scores = np.abs(self.weights)
        else:
            _check_has_order(estimator)
            self.order = np.asarray(neuron_order(estimator))
            _check_width(estimator, len(self.order), X)
            scores = getattr(estimator, "scores_", None)
            if scores is None:
                # The ranking of a selector such as RFE begins with 1, and may have ties.
                has_ties = not hasattr(estimator, "order_")
                scores = 1 - estimator.ranking_ if has_ties else -np.argsort(self.order)
            self.scores = np.asarray(scores)

    def places(self, columns):
        ranks = np.argsort(self.order)[columns] + 1
        n_tied = _count_equal(self.scores, self.precision)[columns]
        return {"rank": ranks, "score": self.scores[columns], "n_tied": n_tied}


def _count_equal(scores, precision):
    """Return the number of other scores that equal each score; undefined ones are equal."""
    order = np.argsort(scores)  # NaN last
    ascending = scores[order]
    size = np.abs(ascending[1:])
    with np.errstate(invalid="ignore"):  # infinite ones
        steps = np.diff(ascending) > precision * np.where(np.isfinite(size), size, 0)
    steps |= np.isnan(ascending[1:]) & ~np.isnan(ascending[:-1])
    groups = np.concatenate([[0], np.cumsum(steps)])
    counts = np.empty(len(scores), dtype=int)
    counts[order] = np.bincount(groups)[groups] - 1
    return counts


def _check_width(estimator, n_features, X):
    if n_features != X.shape[1]:
        raise ValueError(
            f"The {type(estimator).__name__} passed to neuron_summary was fitted on {n_features} "
            f"columns, but X has {X.shape[1]}. Pass the activations that it was fitted on, such as "
            "X[:, selector.get_support()] after a selector."
        )


def _check_has_order(estimator):
    if any(hasattr(estimator, name) for name in ("order_", "scores_", "ranking_")):
        return
    remedy = (
        "Pass a ranker, such as ProbelessRanker().fit(X, y), or a probe with the attribute coef_"
    )
    if hasattr(estimator, "steps"):
        remedy = "Pass its last step, pipeline[-1], and the X that this step received, "
        remedy += "pipeline[:-1].transform(X)"
    elif hasattr(estimator, "best_estimator_"):
        remedy = "Pass its best_estimator_"
    elif hasattr(estimator, "calibrated_classifiers_"):
        remedy = "Pass a probe that it fitted: calibrated_classifiers_[0].estimator"
    raise ValueError(
        f"neuron_summary needs a ranker or a linear probe, but this {type(estimator).__name__} "
        f"does not order neurons itself. {remedy}."
    )


def _weights(probe):
    coef = probe.coef_.toarray() if issparse(probe.coef_) else np.asarray(probe.coef_)
    coef = np.atleast_2d(coef).astype(np.float64)
    is_binary = len(getattr(probe, "classes_", ())) == 2 and len(coef) == 1
    # For two classes, the single row is for the second class and its negative for the first.
    return np.concatenate([-coef, coef]) if is_binary else coef


def _describe_classes(activations, labels, ranking, columns):
    known = ranking.classes is not None
    classes = np.asarray(ranking.classes) if known else np.unique(labels)
    if not np.isin(labels, classes).any():
        first = labels[:1].tolist()[0]
        raise ValueError(
            f"The estimator passed to neuron_summary knows the labels {classes[:5].tolist()}, but "
            f"y contains none of them; its first label is {first!r}. Pass labels like those that "
            "it was fitted on."
        )
    effects = np.stack([_effects(activations, labels == label) for label in classes])
    size = np.abs(np.nan_to_num(effects))
    best = size.argmax(axis=0)
    if len(classes) == 2:
        best = (np.nan_to_num(effects[1]) > 0).astype(int)
    elif known and ranking.class_scores is not None:
        scores = np.asarray(ranking.class_scores)[:, columns]
        best = np.where(scores == scores.max(axis=0), size, -1.0).argmax(axis=0)
    effect = effects[best, np.arange(len(columns))]
    described = {
        "label": classes[best],
        "direction": _directions(effect, "low", "high"),
        "effect": effect,
        "auc": [
            _area(column, labels == classes[label])
            for column, label in zip(activations.T, best, strict=True)
        ],
    }
    # The weights of a regressor belong to no label.
    if ranking.weights is not None and known:
        described["weight"] = ranking.weights[best, columns]
    return described


def _directions(values, negative, positive):
    """Name the signs of values; 0 and NaN have none."""
    return np.select([values < 0, values > 0], [negative, positive], default="")


def _effects(activations, inside):
    if not inside.any() or inside.all():
        return np.full(activations.shape[1], np.nan)
    # Means far from zero lose digits, so center the values first.
    activations = activations - column_means(activations)
    difference = column_means(activations[inside]) - column_means(activations[~inside])
    deviations = _deviations(activations)
    return np.divide(difference, deviations, out=np.zeros_like(difference), where=deviations > 0)


def _deviations(values):
    return column_deviations(values, column_means(values))


def _standardized(values):
    """Center and scale the columns; constant ones become 0."""
    deviations = _deviations(values)
    return (values - column_means(values)) / np.where(deviations > 0, deviations, 1.0)


def _area(column, inside):
    n_inside = np.count_nonzero(inside)
    n_pairs = n_inside * (len(column) - n_inside)
    if not n_pairs:
        return np.nan
    # The Mann-Whitney statistic.
    above = rankdata(column)[inside].sum() - n_inside * (n_inside + 1) / 2
    return above / n_pairs


def _describe_numbers(activations, targets, ranking, columns):
    targets = _standardized(np.asarray(targets, dtype=np.float64)[:, np.newaxis])[:, 0]
    correlation = targets @ _standardized(activations) / len(targets)
    # The correlation with a constant is undefined.
    correlation[(_deviations(activations) == 0) | (not targets.any())] = np.nan
    described = {
        "direction": _directions(correlation, "falls", "rises"),
        "correlation": correlation,
    }
    # With several targets, it is unknown which one y is.
    if ranking.weights is not None and len(ranking.weights) == 1:
        described["weight"] = ranking.weights[0, columns]
    return described


def _list_words(activations, words, labels, directions, *, is_numeric, n_words, min_count):
    """Join the top words of each neuron with the most frequent label, or mean target, of each."""
    words = to_pandas(words)
    found = word_occurrences(words, caller="neuron_summary")
    check_consistent_length(activations, words)
    by_form = pd.Series(labels[found.rows]).groupby(found.types[found.codes], sort=False)
    shown = by_form.mean().map("{:.3g}".format) if is_numeric else by_form.agg(_most_frequent)
    varies = _deviations(activations) > 0
    listed = np.full(len(directions), "", dtype=object)
    if varies.any():
        options = {"n_words": n_words, "min_count": min_count}
        table = top_words(activations, words, neurons=varies, **options)
        own = table["word"].map(shown).astype(str)
        table["shown"] = table["word"].astype(str) + " (" + own + ")"
        ends = np.where(directions.isin(["high", "rises"]), "+", "-")
        for i in np.flatnonzero(varies & (directions != "").to_numpy()):
            rows = (table["neuron"] == f"x{i}") & (table["sign"] == ends[i])
            listed[i] = ", ".join(table.loc[rows, "shown"])
    return listed


def _most_frequent(labels):
    """Return the most frequent label; of several, the first in alphabetical order."""
    values, counts = np.unique(labels.to_numpy(), return_counts=True)
    return values[counts.argmax()]
