# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params

from sklearn_neurox.ablation._causal._choices import UNCHANGED
from sklearn_neurox.ablation._causal._effect_table import Scored
from sklearn_neurox.ablation._causal._inputs import (
    check_groups,
    check_labels,
    checked_metric,
    reader_of,
    report_prompt_ends,
    report_unscored,
)
from sklearn_neurox.ablation._causal._plan import Plan, choose
from sklearn_neurox.ablation._causal._spread import report_spread
from sklearn_neurox.ablation._fills import FILL_CONSTRAINTS
from sklearn_neurox.ablation._intervention import POSITIONS_CONSTRAINTS, WHAT_CONSTRAINTS
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@validate_params(
    {
        "model": [str, os.PathLike, HasMethods(["get_input_embeddings"]), ActivationExtractor],
        "words": "no_validation",  # may be a table of any library
        **MEASUREMENT_CONSTRAINTS,
        "neurons": [*WHAT_CONSTRAINTS, dict],
        "positive": "no_validation",
        "by": [StrOptions({"neuron", "head", "layer"})],
        "steps": [*COUNT_CONSTRAINTS[:2], "array-like"],
        "which": [str, "array-like", None],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        **FILL_CONSTRAINTS,
        "fill": [*FILL_CONSTRAINTS["fill"], StrOptions({"interchange"})],
        "positions": POSITIONS_CONSTRAINTS,
        "metric": [callable, None],
        "tokenizer": [str, os.PathLike, HasMethods(["convert_ids_to_tokens"]), None],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "max_batch_tokens": [Interval(Integral, 1, None, closed="left")],
        "device": [str, None],
    },
    prefer_skip_nested_validation=True,
)
def causal_effect(
    model: "str | os.PathLike | PreTrainedModel | ActivationExtractor",
    words: pd.DataFrame,
    y: ArrayLike,
    neurons: ArrayLike | Mapping | pd.DataFrame | BaseEstimator,
    *,
    positive: object = True,
    by: str = "neuron",
    steps: int | float | Iterable[int | float] = (0.05, 0.10, 0.20),
    which: str | Iterable[str] | None = None,
    n_draws: int = 5,
    fill: str | float = "zero",
    values: float | ArrayLike | pd.DataFrame | None = None,
    step: float | ArrayLike = 1.0,
    positions: str | ArrayLike | pd.DataFrame = "all",
    metric: Callable | None = None,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    return_words: bool = False,
    tokenizer: "str | os.PathLike | PreTrainedTokenizerBase | None" = None,
    max_length: int | None = None,
    max_batch_tokens: int = 2048,
    device: str | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Measure how a language model's predictions change when it is changed inside.

    A ranking or a probe shows which neurons or directions *carry* a property. To learn whether the
    model *uses* them, change them: its predictions of the words that have the property should then
    suffer more than those of other words, and more than from changing random neurons or directions.

    Parameters
    ----------
    model : str, path, PreTrainedModel or ActivationExtractor
        A masked, causal or encoder-decoder language model with its head. A name or folder is loaded
        with the head, in float32; a live model is used as it is, on its own device. An extractor
        stands for the model that it reads and determines how texts are read, for example with which
        ``tokenizer`` and ``prefix``; its layers and components are ignored.

    words : table of shape (n_words, n_columns)
        One row per word whose prediction is measured, with the columns ``text``, ``start`` and
        ``end``. To measure what a chat model answers, pass the rows of answers (see `chat_frame`).
        An encoder-decoder model also needs ``target``, ``target_start`` and ``target_end`` if the
        decoder should produce something other than the text, such as its translation.

    y : array-like of shape (n_words,)
        The labels.

    neurons : array-like of str, dict, Series, DataFrame or fitted estimator
        What to change:

        - a ranking: the names of the neurons, best first, as a ranker returns them:
          ``ranker.to_frame(names)["neuron"]``. Random and bottom neurons are chosen from these too,
          so pass the whole ranking. Heads and patterns stand for their neurons, see `ablate_model`;
        - groups: a dict of lists of such names, by the names of the groups, which do not overlap.
          Each is changed on its own, and compared with random neurons of the same layers;
        - directions: a Series, a DataFrame with a direction per row, or a fitted linear probe.
          Each is changed on its own, and compared with random directions of the same length;
        - a fitted `ConceptEraser`, compared with an eraser of as many random directions, and with
          one that gives each word its label back.

    positive : object, default=True
        The label of the words that carry the property.

    by : {"neuron", "head", "layer"}, default="neuron"
        The units of a ranking: single neurons, or the attention heads or layers (of one component)
        that they form, of which all neurons must be listed. Heads and layers are ranked by their
        first neuron. For groups, the units of which random ones are drawn: neurons or heads of the
        same layers, or other layers of the same component.

    steps : int, float or array-like of these, default=(0.05, 0.10, 0.20)
        How many units of a ranking to change: numbers, as ints, or fractions, as floats in (0, 1].
        1 changes one unit, and 1.0 changes all.

    which : str, list of str or None, default=None
        What to change. Of a ranking: ``"top"``, ``"random"`` and ``"bottom"`` units, or ``"each"``
        on its own, whatever the steps; of groups: ``"each"`` and ``"random"``; of directions:
        ``"each"``, ``"all"`` together and ``"random"``; with an eraser: ``"all"``, ``"random"`` and
        ``"gold"``, which gives labels back. None chooses the first three of a ranking; each and
        random groups and directions; and for an eraser all, ``"gold"`` only if it was fitted on the
        labels y, or on whether they equal ``positive``, and the rows say where in the stack that it
        erases the words are.

    n_draws : int, default=5
        The number of random orders, groups or directions. Within an order, the neurons of a smaller
        step are a subset of those of a larger one.

    fill : {"zero", "mean", "scale", "translate", "interchange"} or float, default="zero"
        How the neurons, or the coordinates along the directions, are changed; see `ablate_model`.

    values : float, array-like, Series, DataFrame or None, default=None
        The values that ``fill`` needs: one per neuron in the order of ``neurons``, or a Series
        indexed by neuron name; for ``"interchange"``, the other rows; see `ablate_model`. For
        groups, a number or a Series, which also has the neurons among which random ones are drawn.

    step : float or array-like of shape (n_neurons,), default=1.0
        For ``fill="translate"``: how far to move the first changed neuron, the second, and so on,
        whatever the order. With ``np.geomspace(8, 1e-3, n_neurons)``, the top, random and bottom
        neurons all move equally far [1]_.

    positions : {"all", "not_first"}, DataFrame or array-like of str, default="all"
        Where: at every token; at every token but the first of each input, which in many decoders is
        an attention sink; or at the tokens of these rows, see `ablate_model`. With the rows that
        have the property, only they are changed, as in [1]_.

    metric : callable or None, default=None
        Another measure of each word: called with the logits that predict the first subword of some
        words, of shape (n_rows, n_tokens), and the rows of ``words``, returns one number per row.
        With token ids in columns of ``words``, this is the difference of two logits:
        ``lambda logits, rows: logits[range(len(rows)), rows["a"]] - ...``.

    groups : array-like of shape (n_words,) or None, default=None
        Groups of words that may depend on each other, for the intervals; None groups by text.

    confidence : float, default=0.95
        The confidence of the intervals.

    return_words : bool, default=False
        Whether to return the measures of each word, too.

    tokenizer : str, path, PreTrainedTokenizerBase or None, default=None
        The tokenizer; None uses the one saved with the model.

    max_length : int or None, default=None
        The maximum number of tokens read at once; longer texts are read in windows. None uses the
        model's own limit.

    max_batch_tokens : int, default=2048
        The maximum number of tokens in a batch. A batch that does not fit in memory is halved.

    device : str or None, default=None
        Where a model given by name runs; None uses CUDA if available.

    verbose : bool or int, default=False
        Whether to show a progress bar of the tokens read.

    random_state : int, RandomState instance or None, default=None
        Controls the random orders, groups and directions.

    Returns
    -------
    effect : DataFrame
        Two rows per measurement, one for the words that carry the property and one for the others:

        - ``which``, ``name``, ``n_units``, ``n_neurons``, ``draw``: what was changed. The first two
          rows describe the original model and have ``"none"`` and 0; the name is that of a single
          unit, group or direction, ``"all"`` for all directions together, otherwise empty; the
          draw is 0 except for random choices.
        - ``carries``: whether the row is about the words that carry the property.
        - ``n_words``, ``n_unscored``: the number of words that are scored, and of those that cannot
          be.
        - ``loss``: the mean negative log-probability per word, in nats; the value of a word is the
          sum over its subwords. ``subword_loss`` is the mean per subword.
        - ``loss_change``, ``subword_loss_change``: the increase compared with the original model.
        - ``kl``: the Kullback-Leibler divergence of the predictions from those of the original
          model, in nats; for a word, the sum over its subwords.
        - ``top1_accuracy``: the share of words for which each subword is the model's first choice.
        - ``top1_changed``: the share of words for which any first choice differs from that of the
          original model.
        - ``metric``, ``metric_change``: the mean of the metric, if there is one, and its increase.
        - ``loss_change_low``, ``loss_change_high``, and the same for all other changes and ``kl``:
          the confidence interval. With a single group, the bounds are NaN.

        The measures are NaN if no word of a group can be scored.

    of_words : DataFrame
        Only with ``return_words=True``: one row per measurement and row of ``words``, with the
        index of ``words``, the columns that identify the measurement, ``row`` (from 0), ``group``
        (a number), ``carries``, ``n_subwords``, and the measures of the word. They are NaN for
        words that cannot be scored.

    Raises
    ------
    ValueError
        If the model has no language-model head, a parameter conflicts with the given extractor, no
        label equals ``positive``, a label is missing, a step is out of range, groups overlap or are
        too large to draw others, some neurons of a head or layer are missing, ``"gold"`` labels
        contradict each other (two rows of one word, or two texts with the same tokens, have
        different labels), or the metric does not return one finite number per row; and in the same
        cases as `ablate_model`.

    Warns
    -----
    UserWarning
        If words cannot be scored, because the tokenizer drops them or a causal model has nothing to
        predict them from; if the rows are the ends of prompts (see `chat_frame`), which are not
        what the model answers; if the indexes of ``words`` and y share labels in different orders;
        or if random choices differ widely, because some hit an attention sink.

    See Also
    --------
    ablate_model : The intervention itself.
    erasure_table : What erasing a concept from a matrix costs.
    ablation_curve : Ablate columns of a matrix and score a probe.

    Notes
    -----
    A masked model reads the text of each word with all subwords of that word masked, and predicts
    each of them. It reads one input per distinct word of each distinct text. A causal model reads
    each distinct text once and predicts each subword of a word from everything before it, including
    earlier subwords of the same word; the first token of an input has no prediction. The decoder of
    an encoder-decoder model does the same, while its encoder reads the whole text. Without a
    ``target``, the decoder has to reproduce the text that the encoder reads. The subwords of a word
    are those that extraction finds, except a lone marker of the preceding space.

    By default, the model is changed at every token that it reads, including special tokens, not
    only at those of the word: other positions hold information about the word too, and a causal
    model predicts a word at an earlier position. ``fill="translate"`` thus shifts words of all
    classes alike.

    Erasing a concept and comparing with as many random directions and with the labels given back is
    amnesic probing [2]_. Here, a word gets its label back without training: the mean over its class
    of what the eraser removes from it is added to the erased states of its tokens; a token that
    several words share gets the mean of theirs. The loss that remains comes from what else the
    directions carry. Random directions are drawn uniformly, and
    the directions of an eraser's control are orthonormal.

    Intervals are those of a ratio of two sums over groups, with a linearized variance and the t
    distribution: on the logit scale for shares, on the log scale for the divergence. They are about
    new texts, with the neurons, random draws included, as they are.

    The model reads everything once unchanged, and once more for each choice: for a ranking, ``1 +
    len(steps) * (2 + n_draws)`` times with the defaults.

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
    >>> words = words[words["position"] > 0]  # the first word has nothing to predict it from
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
    words, y = read_frame(words, caller=caller), to_pandas(y)
    carries = check_labels(words, y, positive)
    report_prompt_ends(words)
    extractor = reader_of(
        model,
        tokenizer=tokenizer,
        max_length=max_length,
        max_batch_tokens=max_batch_tokens,
        device=device,
    )
    request = extractor._request()
    model = load_language_model(request.spec, caller=caller)
    fills, choices = choose(
        replace(request.spec, model=model),
        neurons,
        {"fill": fill, "values": values, "step": step},
        (words, y, carries),
        by=by,
        steps=steps,
        which=which,
        n_draws=n_draws,
        random_state=check_random_state(random_state),
    )
    predictor = WordPredictor(request, words, caller=caller)
    is_scored = report_unscored(predictor, len(words))
    scored = Scored(predictor, carries, is_scored, check_groups(words, groups))
    metric = checked_metric(metric, words)
    plan = Plan(extractor, fills, positions, values, model=model)
    runs = plan.run(predictor, choices, metric, verbose)
    of_choices = [
        (choice.labels, scored.of_rows(after, runs[0]))
        for choice, after in zip([UNCHANGED, *choices], runs, strict=True)
    ]
    if plan.changes_first:
        report_spread(model, fills.blocks, of_choices)
    effect = pd.DataFrame(
        {**labels, **numbers}
        for labels, rows in of_choices
        for numbers in scored.summary(rows, confidence if labels["which"] != "none" else None)
    )
    return (effect, scored.words_frame(of_choices, words.index)) if return_words else effect
