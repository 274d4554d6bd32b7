# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.inspection._compositions._beam_search import find_formulas
from sklearn_neurox.inspection._compositions._concepts import read_concepts
from sklearn_neurox.inspection._tables._chosen_neurons import some_neurons
from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._quantile_cut import quantile_cut
from sklearn_neurox.utils._tqdm import counted, progress_bar
from sklearn_neurox.utils._validation import check_activations, check_row_order

_CALLER = "compositional_explanations"
_COUNT = [Interval(Integral, 1, None, closed="left")]


@validate_params(
    {
        "X": ["array-like", "sparse matrix"],
        "concepts": "no_validation",  # may be a table of any library
        "neurons": ["array-like", Integral, str, None],
        "threshold": [Interval(Real, None, None, closed="neither")],
        "unit": [StrOptions({"quantile", "value"})],
        "two_sided": ["boolean"],
        "max_length": _COUNT,
        "beam_width": _COUNT,
        "length_penalty": [Interval(Real, 0, 1, closed="right")],
        "min_count": _COUNT,
        "n_shuffled": [Interval(Integral, 0, None, closed="left")],
        "input_features": ["array-like", None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def compositional_explanations(
    X: ArrayLike,
    concepts: pd.DataFrame,
    neurons: ArrayLike | None = None,
    *,
    threshold: float = 0.95,
    unit: str = "quantile",
    two_sided: bool = True,
    max_length: int = 3,
    beam_width: int = 10,
    length_penalty: float = 1.0,
    min_count: int = 5,
    n_shuffled: int = 0,
    input_features: ArrayLike | None = None,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    r"""Explain where each neuron is active by a logical formula of annotations.

    A neuron is called active on a word if it exceeds a threshold. Let :math:`A` be the words on
    which it is active and :math:`F` those for which a formula of concepts holds, such as
    ``(upos=NOUN AND Number=Plur) OR upos=PRON``. A beam search looks for the formula with the
    highest intersection over union,

    .. math:: \mathrm{IoU} = |A \cap F| \, / \, |A \cup F|

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Activations.

    concepts : DataFrame of shape (n_samples, n_annotations)
        Annotations of the same rows, such as ``words[["upos", "Number"]]``. A column of bools is a
        concept, and so is each value of any other column. Missing values belong to no concept.

    neurons : int, str, array-like of these or of bool, or None, default=None
        Indices, names or a mask of the neurons to explain. None explains all.

    threshold : float, default=0.95
        Activation threshold, given in ``unit``. Words equal to it do not exceed it.

    unit : {"quantile", "value"}, default="quantile"
        Meaning of ``threshold``, as in `IoURanker`: a fraction of the words, in [0, 1), or an
        activation, such as 0 after a ReLU.

    two_sided : bool, default=True
        Whether to also explain where the negative of the neuron is active, and keep the better one.

    max_length : int, default=3
        The maximum number of concepts in a formula.

    beam_width : int, default=10
        Number of formulas that the search keeps at each length. It tries every concept, with AND,
        OR and AND NOT, as the next one of each of these.

    length_penalty : float, default=1.0
        In (0, 1]. A formula of L concepts is compared by its IoU times ``length_penalty`` to the
        power of L - 1. 1 does not penalize; of equal formulas, the shorter one is always preferred.

    min_count : int, default=5
        The minimum number of words of a concept.

    n_shuffled : int, default=0
        How often to repeat the search with the neuron's activations shuffled among the words, to
        see which IoU a search among so many formulas finds by chance.

    input_features : array-like of str or None, default=None
        Names of the columns. None takes those of a DataFrame, or ``x0``, ``x1``, ...

    n_jobs : int or None, default=None
        Number of neurons to process in parallel, in threads. Does not change the results.

    verbose : bool or int, default=False
        Whether to show a progress bar over neurons.

    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling.

    Returns
    -------
    table : DataFrame of shape (n_neurons, 9) or (n_neurons, 10)
        One row per neuron, in the order of ``neurons``:

        - ``neuron``, its name, and ``direction``: ``"high"``, or ``"low"`` for its negative;
        - ``explanation``, the best formula, and ``length``, its number of concepts;
        - ``iou`` of the formula;
        - ``concept`` and ``concept_iou``: the best single concept for this direction;
        - ``n_active`` and ``n_words``: the numbers of words on which the neuron is active and for
          which the formula holds;
        - ``shuffled_iou``, only with ``n_shuffled``: the mean IoU of the best formulas for shuffled
          activations, in the same direction.

        A neuron that is active on no word with a concept has empty texts and an ``iou`` of 0.

    Raises
    ------
    ValueError
        If X contains NaN or infinity, a neuron is unknown or none is selected, a quantile is not in
        [0, 1), a column of ``concepts`` contains numbers, two concepts have the same name, or no
        concept is frequent enough.

    Warns
    -----
    UserWarning
        If the indexes of X and ``concepts`` share labels in different orders.

    See Also
    --------
    sklearn_neurox.ranking.IoURanker : Rank neurons by their IoU with single classes.
    top_words : List the words of the highest and lowest mean activation.

    Notes
    -----
    The search is that of [1]_ without its operator for neighboring words: it starts from single
    concepts, and extends the formulas in the beam by one concept at a time, so operators apply from
    left to right. Formulas that hold for the same words count as one. The search may miss the best
    formula unless the beam is wide.

    The longer the formulas and the more concepts there are, the more the IoU is a matter of chance,
    most of all for few active words: compare with ``shuffled_iou``. Shuffling single words breaks
    up word types, on which a neuron is often active as a whole, so types that are concepts reach a
    higher IoU than that even in a network with random weights.

    References
    ----------
    .. [1] J. Mu, J. Andreas, "Compositional Explanations of Neurons", NeurIPS 2020, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_neurox.inspection import compositional_explanations
    >>> concepts = pd.DataFrame({"tag": list("NNNNVVVVAA"), "plural": [True, False] * 5})
    >>> X = np.array([[4, 0, 5, 0, 0, 0, 0, 0, 3, 3], [2, 0, 2, 0, 1, 0, 1, 0, 0, 0]]).T
    >>> table = compositional_explanations(X, concepts, threshold=0, unit="value", min_count=2)
    >>> table[["neuron", "explanation", "iou", "concept", "concept_iou"]].round(2)
      neuron                      explanation  iou concept  concept_iou
    0     x0  (plural AND NOT tag=V) OR tag=A  1.0   tag=A          0.5
    1     x1             plural AND NOT tag=A  1.0  plural          0.8
    """
    _check_threshold(threshold, unit)
    table = to_pandas(concepts)
    table = table.to_frame() if isinstance(table, pd.Series) else table
    table = read_frame(table, caller=_CALLER, name="concepts")
    check_row_order(X=X, concepts=table)
    matrix, names = check_activations(
        X, input_features=input_features, accept_sparse="csc", caller=_CALLER
    )
    check_consistent_length(matrix, table)
    if neurons is None:
        columns = np.arange(matrix.shape[1])
    else:
        columns = some_neurons(neurons, names=names, n_features=matrix.shape[1], caller=_CALLER)
    known = read_concepts(table, min_count, caller=_CALLER)
    search = {"max_length": max_length, "beam_width": beam_width, "length_penalty": length_penalty}
    seeds = check_random_state(random_state).randint(2**31 - 1, size=len(columns))
    jobs = [
        delayed(_explain)(
            matrix, column, threshold, unit, two_sided, known, search, n_shuffled, seed
        )
        for column, seed in zip(columns, seeds, strict=True)
    ]
    with progress_bar(len(jobs), verbose, desc="explaining", unit="neuron") as bar:
        found = counted(bar, Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs))
    shown = [f"x{i}" for i in columns] if names is None else np.asarray(names)[columns]
    described = pd.DataFrame(found, columns=_columns(n_shuffled))
    described.insert(0, "neuron", shown)
    return described


def _check_threshold(threshold, unit):
    if unit == "quantile" and not 0 <= threshold < 1:
        raise ValueError(
            f"{_CALLER} got threshold={threshold!r}, but a quantile must be in [0, 1). To use the "
            'threshold as an activation, set unit="value".'
        )


def _columns(n_shuffled):
    names = ["direction", "explanation", "length", "iou", "concept", "concept_iou"]
    return [*names, "n_active", "n_words", *(["shuffled_iou"] if n_shuffled else [])]


def _explain(matrix, column, threshold, unit, two_sided, concepts, search, n_shuffled, seed):
    """Return the row of the table for one neuron, without its name."""
    values = matrix[:, [column]]
    values = (values.toarray() if issparse(values) else values)[:, 0].astype(np.float64)
    best = None
    for direction, signed in (("high", values), ("low", -values))[: 1 + two_sided]:
        cut = threshold
        if unit == "quantile":
            cut = quantile_cut(signed, threshold)
        active = signed > cut
        formula, single = find_formulas(active, concepts, **search)
        row = [direction, "", 0, 0.0, "", 0.0, int(active.sum()), 0]
        if formula is not None:
            row[1:6] = (
                formula.text(concepts.names),
                len(formula.steps),
                formula.iou,
                single.text(concepts.names),
                single.iou,
            )
            row[7] = int(formula.mask.sum())
        score = 0.0 if formula is None else formula.score
        if best is None or score > best[0]:
            best = score, row, active
    _, row, active = best
    if n_shuffled:
        row.append(_chance(active, concepts, search, n_shuffled, np.random.RandomState(seed)))
    return row


def _chance(active, concepts, search, n_shuffled, rng):
    """Return the mean IoU of the best formulas for shuffled activations."""
    found = [
        find_formulas(rng.permutation(active), concepts, **search)[0] for _ in range(n_shuffled)
    ]
    return float(np.mean([0.0 if formula is None else formula.iou for formula in found]))
