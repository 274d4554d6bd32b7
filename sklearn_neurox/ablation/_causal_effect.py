# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Iterable
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params

from sklearn_neurox.ablation._fills import FILL_CONSTRAINTS, check_fills
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.extraction._editing._neurons import find_neurons
from sklearn_neurox.utils._counts import count_neurons
from sklearn_neurox.utils._tqdm import progress_bar
from sklearn_neurox.utils._validation import check_no_missing_labels, check_row_order
from sklearn_neurox.utils._warn_user import warn_user

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WHICH = ("top", "random", "bottom")
_COLUMNS = [
    "which",
    "n_neurons",
    "draw",
    "carries",
    "n_words",
    "n_unscored",
    "loss",
    "loss_change",
    "top1_accuracy",
    "top1_changed",
]


@validate_params(
    {
        "model": [
            str,
            os.PathLike,
            HasMethods(["get_input_embeddings"]),
            ActivationExtractor,
        ],
        "words": [pd.DataFrame],
        "y": ["array-like"],
        "neurons": ["array-like"],
        "positive": "no_validation",
        "steps": ["array-like"],
        "which": [StrOptions(set(_WHICH)), "array-like"],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        **FILL_CONSTRAINTS,
        "tokenizer": [str, os.PathLike, HasMethods(["convert_ids_to_tokens"]), None],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "max_batch_tokens": [Interval(Integral, 1, None, closed="left")],
        "device": [str, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def causal_effect(
    model: "str | os.PathLike | PreTrainedModel | ActivationExtractor",
    words: pd.DataFrame,
    y: ArrayLike,
    neurons: ArrayLike,
    *,
    positive: object = True,
    steps: Iterable[int | float] = (0.05, 0.10, 0.20),
    which: str | Iterable[str] = _WHICH,
    n_draws: int = 5,
    fill: str | float = "zero",
    values: float | ArrayLike | None = None,
    step: float | ArrayLike = 1.0,
    tokenizer: "str | os.PathLike | PreTrainedTokenizerBase | None" = None,
    max_length: int | None = None,
    max_batch_tokens: int = 2048,
    device: str | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Measure what a language model no longer predicts once neurons are ablated inside it.

    A ranking says which neurons *carry* a property. Whether the model *uses* them shows when they
    are ablated: then it should get worse at the words that have the property, more so than at the
    others, and more so than without random or the worst neurons.

    Parameters
    ----------
    model : str, path, PreTrainedModel or ActivationExtractor
        A language model with its head: a masked, a causal or an encoder-decoder one. A name or
        folder is loaded with the head, in float32; a live model stays as and where it is. An
        extractor stands for the one that it reads, and says how texts are read, such as by which
        ``tokenizer``; which layers and components it takes says nothing here.

    words : DataFrame of shape (n_words, n_columns)
        One row a word, with the columns ``text``, ``start`` and ``end``. For an encoder-decoder
        also ``target``, ``target_start`` and ``target_end``, if the decoder shall say something
        else than the text, such as its translation.

    y : array-like of shape (n_words,)
        The labels.

    neurons : array-like of str, of shape (n_neurons,)
        The names of the neurons, the best first, as a ranker gives them:
        ``ranker.to_frame(names)["neuron"]``. The random and the bottom ones are chosen among them,
        so give the whole ranking.

    positive : object, default=True
        The label of the words that carry the property.

    steps : array-like of int or float, default=(0.05, 0.10, 0.20)
        How many neurons to ablate: numbers, or fractions in (0, 1) of ``neurons``.

    which : {"top", "random", "bottom"} or list of these, default=("top", "random", "bottom")
        Which neurons to ablate: the first, random ones, or the last.

    n_draws : int, default=5
        How many random orders. The choices of one draw are nested over the steps.

    fill : {"zero", "mean", "scale", "translate"} or float, default="zero"
        What becomes of the neurons, at every token; see `ablate_model`.

    values : float, array-like of shape (n_neurons,), Series or None, default=None
        What the fill needs, for each neuron in the order of ``neurons``, or a Series with their
        names as its index; see `ablate_model`.

    step : float or array-like of shape (n_neurons,), default=1.0
        Of ``fill="translate"``: how far the neuron that is changed first goes, the second, and so
        on, in each order: ``np.geomspace(8, 1e-3, n_neurons)`` has the top, random and bottom
        neurons go equally far [1]_.

    tokenizer : str, path, PreTrainedTokenizerBase or None, default=None
        The tokenizer; None takes the one saved with the model.

    max_length : int or None, default=None
        The most tokens read at once; longer texts are read in windows. None takes the model's own
        limit.

    max_batch_tokens : int, default=2048
        Tokens a batch may hold. A batch that is too large for the memory is halved.

    device : str or None, default=None
        Where a model given by name runs; None takes CUDA where there is one.

    verbose : bool or int, default=False
        Whether to show a bar of the tokens read.

    random_state : int, RandomState instance or None, default=None
        Fixes the random orders.

    Returns
    -------
    effect : DataFrame
        Two rows a measurement, one of the words that carry the property and one of the others:

        - ``which``, ``n_neurons``, ``draw``: what was ablated; ``"none"`` and 0 in the first two
          rows, those of the model as it is; the draw is 0 but for random neurons;
        - ``carries``: whether these are the words that carry the property;
        - ``n_words``, ``n_unscored``: how many were scored, and how many cannot be;
        - ``loss``: the mean negative log-probability of a word, in nats; that of a word is the
          sum over its subwords;
        - ``loss_change``: how much higher it is than that of the model as it is;
        - ``top1_accuracy``: the share of words whose every subword is the model's first choice;
        - ``top1_changed``: the share of words for which any first choice is another than that of
          the model as it is.

        Where no word of a group can be scored the last four are NaN.

    Raises
    ------
    ValueError
        If the model has no language-model head, an extractor and a parameter here speak of the
        same, no label is ``positive``, a label is missing, a step is out of range, and as
        `ablate_model`.

    Warns
    -----
    UserWarning
        If words cannot be scored: the tokenizer drops them, or they stand where a causal model
        has nothing to predict them from; and if the indexes of ``words`` and y share labels, but
        in another order.

    See Also
    --------
    ablate_model : The ablation itself.
    ablation_curve : Ablates columns of a matrix and scores a probe.

    Notes
    -----
    A masked model reads each word's text with all subwords of this one word masked, and predicts
    each of them: as many inputs as there are distinct words in distinct texts. A causal model
    reads each distinct text once, and a word's subword is predicted from all before it, those of
    the same word included; the first token of an input has no prediction. The decoder of an
    encoder-decoder likewise, given all of the text by its encoder. Without a ``target`` the text
    itself is what is to be said, which the encoder shows it. The subwords of a word are those that
    extraction finds, of which a lone mark of the space before the word is none.

    The neurons change at every token that the model reads, special ones included, not only at the
    word's own: what the model knows of a word stands at others too, and a causal model predicts a
    word where another stands. So ``fill="translate"`` shifts words of all classes alike.

    The model reads everything once for the model as it is, and once more for each step of each
    order: ``1 + len(steps) * (2 + n_draws)`` times with the defaults.

    References
    ----------
    .. [1] O. Antverg, Y. Belinkov, "On the Pitfalls of Analyzing Individual Neurons in Language
       Models", ICLR 2022.

    .. [2] Y. Elazar, S. Ravfogel, A. Jacovi, Y. Goldberg, "Amnesic Probing: Behavioral Explanation
       with Amnesic Counterfactuals", TACL 9, 2021.

    Examples
    --------
    >>> from sklearn_neurox.ablation import causal_effect
    >>> from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
    >>> words = make_tagged_words(20, random_state=0)
    >>> words = words[words["position"] > 0]  # nothing predicts the first
    >>> effect = causal_effect(
    ...     make_tiny_model("gpt2", hidden_size=8),
    ...     words,
    ...     words["upos"],
    ...     [f"hidden.1.{unit}" for unit in range(8)],
    ...     positive="NOUN",
    ...     steps=[4],
    ...     n_draws=1,
    ...     random_state=0,
    ... )
    >>> effect[["which", "n_neurons", "draw", "carries", "n_words"]].head(4)
      which  n_neurons  draw  carries  n_words
    0  none          0     0     True       45
    1  none          0     0    False      156
    2   top          4     0     True       45
    3   top          4     0    False      156
    """
    from sklearn_neurox.extraction._editing._language_model import load_language_model
    from sklearn_neurox.extraction._editing._word_predictions import WordPredictor

    caller = "causal_effect"
    carries = _check_labels(words, y, positive)
    which = _check_which(which)
    extractor = _reader(
        model,
        tokenizer=tokenizer,
        max_length=max_length,
        max_batch_tokens=max_batch_tokens,
        device=device,
    )
    model = load_language_model(extractor._spec(), caller=caller)
    found = find_neurons(replace(extractor._spec(), model=model), neurons, caller=caller)
    fills = check_fills(fill, values, step, found, caller=caller)
    counts = _check_steps(steps, len(found))
    predictor = WordPredictor(extractor._request(), words, caller=caller)
    is_scored = _report_unscored(predictor, len(words))
    choices = _choices(len(found), counts, which, n_draws, check_random_state(random_state))
    return _measure(model, predictor, found, fills, list(choices), carries, is_scored, verbose)


def _check_labels(words, y, positive):
    check_no_missing_labels(y)
    check_consistent_length(words, y)
    check_row_order(words, y, names=("words", "y"))
    carries = np.asarray(y, dtype=object) == positive
    if np.shape(carries) != (len(words),):
        raise ValueError(
            "The 'y' parameter of causal_effect must hold one label a word, which 'positive' can "
            f"be compared with, got labels of shape {np.shape(y)} and positive={positive!r}."
        )
    if not carries.any():
        there = pd.unique(np.asarray(y, dtype=object))
        raise ValueError(
            f"The 'positive' parameter of causal_effect is {positive!r}, but no word has this "
            f"label; there are {list(there[:10])}."
        )
    return carries.astype(bool)


def _reader(model, **reading):
    """Make an extractor that says how texts are read, of layers that every model has."""
    if not isinstance(model, ActivationExtractor):
        return ActivationExtractor(model, layers=0, **reading)
    model._validate_params()
    default = ActivationExtractor()
    twice = [name for name, value in reading.items() if value != getattr(default, name)]
    if twice:
        raise ValueError(
            f"The {twice[0]!r} parameter of causal_effect is for models that come without an "
            "ActivationExtractor. Tell the extractor, by its set_params, and leave it out here."
        )
    if model.weights == "random":
        raise ValueError(
            "The 'model' parameter of causal_effect is an ActivationExtractor with "
            "weights='random', which has learned nothing that it could lose."
        )
    own = model._shallow_copy()
    own.layers, own.component, own.stack, own.cache = 0, "hidden", None, None
    return own


def _check_which(which):
    which = [which] if isinstance(which, str) else list(which)
    wrong = [one for one in which if one not in _WHICH]
    if wrong or not which or len(set(which)) < len(which):
        raise ValueError(
            f"The 'which' parameter of causal_effect must hold {', '.join(_WHICH)}, each once at "
            f"most. Got {wrong[0] if wrong else which!r}."
        )
    return which


def _check_steps(steps, n_neurons):
    counts = []
    for step in steps:
        is_count = isinstance(step, Integral) and not isinstance(step, bool) and step >= 1
        if not is_count and not (isinstance(step, Real) and 0 < step < 1):
            raise ValueError(
                "The 'steps' parameter of causal_effect must hold numbers of neurons or fractions "
                f"in (0, 1). Got {step!r}."
            )
        if step > n_neurons:
            raise ValueError(
                f"The 'steps' parameter of causal_effect has {step}, but 'neurons' names only "
                f"{n_neurons}."
            )
        counts.append(count_neurons(step, n_neurons, caller="causal_effect", parameter="steps"))
    if not counts:
        raise ValueError("The 'steps' parameter of causal_effect must hold at least one.")
    return sorted(set(counts))


def _choices(n_neurons, counts, which, n_draws, random_state):
    """Yield what is ablated: its labels, and the places in the ranking."""
    ranking = np.arange(n_neurons)
    orders = {
        "top": [ranking],
        "random": [random_state.permutation(n_neurons) for _ in range(n_draws)],
        "bottom": [ranking[::-1]],
    }
    for one in which:
        for draw, order in enumerate(orders[one]):
            for count in counts:
                yield (one, count, draw), order[:count]


def _report_unscored(predictor, n_rows):
    is_scored = np.ones(n_rows, dtype=bool)
    for why, rows in predictor.unscored.items():
        is_scored[rows] = False
        if len(rows):
            warn_user(
                f"causal_effect cannot score {len(rows)} of {n_rows} words, because {why}; the "
                f"first is {predictor.rows.name(int(rows[0]))}. They are left out of all means "
                "and counted in the column 'n_unscored'.",
            )
    return is_scored


def _measure(model, predictor, neurons, fills, choices, carries, is_scored, verbose):
    from sklearn_neurox.extraction._editing._editing import editing

    batches = predictor.batches(model)
    n_tokens = sum(int(predictor.source.sequences.lengths[batch].sum()) for batch in batches)
    total = n_tokens * (1 + len(choices))
    groups = [(True, carries & is_scored), (False, ~carries & is_scored)]
    n_unscored = {label: int((~is_scored & (carries == label)).sum()) for label, _ in groups}
    with progress_bar(total, verbose, desc="ablating", unit="token", unit_scale=True) as bar:
        before = predictor.predict(model, batches, bar)
        rows = []
        for labels, places in [(("none", 0, 0), None), *choices]:
            after = before
            if places is not None:
                with editing(model, fills.changes(neurons, places)):
                    after = predictor.predict(model, batches, bar)
            of_word = pd.DataFrame(
                {
                    "loss": after.loss,
                    "loss_change": after.loss - before.loss,
                    "top1_accuracy": after.is_right.astype(float),
                    "top1_changed": predictor.changed(before, after).astype(float),
                }
            )
            for label, own in groups:
                means = of_word.iloc[predictor.word_of_row[own]].mean()
                rows.append((*labels, label, int(own.sum()), n_unscored[label], *means))
    return pd.DataFrame(rows, columns=_COLUMNS)
