# SPDX-License-Identifier: BSD-3-Clause
"""What each run changes, and where; and the runs themselves."""

from functools import partial

from sklearn_neurox.ablation._causal._choices import choose_groups, choose_ranked
from sklearn_neurox.ablation._causal._direction_choices import (
    choose_directions,
    choose_erasure,
    is_eraser,
)
from sklearn_neurox.ablation._causal._gold_labels import GoldFills, find_gold
from sklearn_neurox.ablation._direction_fills import is_direction
from sklearn_neurox.ablation._intervention import plan_intervention
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._tqdm import progress_bar

_CALLER = "causal_effect"


def choose(spec, neurons, how, labeled, *, by, steps, which, n_draws, random_state):
    """Read what is changed: a ranking, groups of names, directions or an eraser.

    Parameters
    ----------
    spec : ModelSpec

    how : dict
        The parameters ``fill``, ``values`` and ``step``.

    labeled : tuple of (DataFrame, array-like, ndarray)
        The words, their labels, and whether these are the positive one.

    neurons, by, steps, which, n_draws, random_state : object
        The parameters of `causal_effect`.

    Returns
    -------
    fills : Fills or DirectionFills

    choices : list of Choice
    """
    drawing = {"which": which, "n_draws": n_draws, "random_state": random_state}
    if isinstance(neurons, dict):
        return choose_groups(spec, neurons, how, by=by, **drawing)
    neurons = neurons if isinstance(neurons, str) else to_pandas(neurons)
    if not is_direction(neurons):
        return choose_ranked(spec, neurons, how, by=by, steps=steps, **drawing)
    if by != "neuron":
        raise ValueError(
            f"The 'by' parameter of {_CALLER} is {by!r}, but 'neurons' holds directions, which are "
            "not made of units. Leave it out."
        )
    if is_eraser(neurons):
        gold = find_gold(neurons, *labeled)
        return choose_erasure(spec, neurons, how, gold=gold, **drawing)
    return choose_directions(spec, neurons, how, **drawing)


class Plan:
    """Where a model is changed, and the runs of the model.

    Parameters
    ----------
    extractor : ActivationExtractor
        Determines how texts are read.

    fills : Fills or DirectionFills

    positions, values : object
        The parameters of `causal_effect`.

    model : PreTrainedModel
    """

    def __init__(self, extractor, fills, positions, values, *, model):
        if isinstance(positions, str) and positions == "generated":
            raise ValueError(
                f"The 'positions' parameter of {_CALLER} is 'generated', but it generates no text: "
                "it scores given words. Use 'all', 'not_first' or a frame of rows."
            )
        self.model, self.request = model, extractor._request()
        self.intervention = plan_intervention(
            extractor, fills, positions, values, model=model, caller=_CALLER
        )
        self.changes_first = self.intervention.positions is None

    def run(self, predictor, choices, metric, verbose):
        """Predict the words with the model as it is, and with each choice changed.

        Returns
        -------
        predictions : list of Predictions
        """
        from sklearn_neurox.extraction._editing._editing import editing
        from sklearn_neurox.extraction._editing._row_positions import RowPositions
        from sklearn_neurox.extraction._editing._word_positions import PositionsOfRows

        positions, read = self.intervention.positions, self.intervention.read
        states = None if read is None else read()
        if isinstance(positions, RowPositions):
            positions = PositionsOfRows(positions)
        variants = []
        for choice in choices:
            fills = choice.fills if states is None else choice.fills.with_states(states)
            if isinstance(fills, GoldFills):
                where = self._labeled(fills, positions, predictor)
                changes = fills.changes(where.shares)
            else:
                where, changes = positions, fills.changes(choice.places)
            variants.append(partial(editing, self.model, changes, where))
        total = predictor.n_tokens(self.model) * (1 + len(variants))
        with progress_bar(total, verbose, desc="ablating", unit="token", unit_scale=True) as bar:
            predictions = predictor.predict(self.model, variants, bar, metric)
        if isinstance(positions, PositionsOfRows):
            positions.report_unread()
        return predictions

    def _labeled(self, fills, positions, predictor):
        """Return the positions of an erasure that gives the labels of words back."""
        from sklearn_neurox.extraction._editing._word_positions import LabeledPositions

        readable = predictor.have_tokens()
        return LabeledPositions(
            positions,
            self.request,
            fills.gold.words[readable],
            fills.gold.codes[readable],
            n_labels=len(fills.removed),
            stack=fills.block.stack,
            caller=_CALLER,
        )
