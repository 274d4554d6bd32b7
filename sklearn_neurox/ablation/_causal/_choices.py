# SPDX-License-Identifier: BSD-3-Clause
"""Which neurons to change in each run: the first units, random ones, each one, or groups."""

from dataclasses import dataclass

import numpy as np

from sklearn_neurox.ablation._causal._units import divide, kinds_of, read_groups, with_controls
from sklearn_neurox.ablation._fills import check_fills
from sklearn_neurox.ablation._intervention import check_what
from sklearn_neurox.extraction._editing._neurons import find_neurons
from sklearn_neurox.utils._counts import check_counts, count_neurons

_CALLER = "causal_effect"


@dataclass(frozen=True)
class Choice:
    """What one run of the model changes."""

    which: str
    n_units: int
    n_neurons: int
    fills: object  # Fills, DirectionFills or GoldFills; None changes nothing
    places: np.ndarray | None  # in the fills
    name: object = ""  # of the unit, group or direction
    draw: int = 0

    @property
    def labels(self):
        """The columns of the result that identify the run."""
        names = ("which", "name", "n_units", "n_neurons", "draw")
        return {name: getattr(self, name) for name in names}


UNCHANGED = Choice("none", 0, 0, None, None)


def check_which(which, allowed, default, what):
    """Return the parameter ``which`` as a list; ``what`` says to whom ``allowed`` applies."""
    if which is None:
        return list(default)
    which = [which] if isinstance(which, str) else list(which)
    wrong = [one for one in which if one not in allowed]
    if wrong or not which or len(set(which)) < len(which):
        raise ValueError(
            f"The 'which' parameter of {_CALLER} must contain at least one of "
            f"{', '.join(allowed)} for {what}, each at most once. Got "
            f"{wrong[0] if wrong else which!r}."
        )
    return which


def check_steps(steps, n_units):
    """Return the numbers of units to change, in ascending order."""
    counts = []
    for step in check_counts(steps, caller=_CALLER, parameter="steps"):
        if step > n_units:
            raise ValueError(
                f"The 'steps' parameter of {_CALLER} contains {step}, but 'neurons' lists only "
                f"{n_units}."
            )
        counts.append(count_neurons(step, n_units, caller=_CALLER, parameter="steps"))
    return sorted(set(counts))


def choose_ranked(spec, neurons, how, *, by, steps, which, n_draws, random_state):
    """Choose units of a ranking: the first ones, random ones, the last ones, or each on its own.

    Parameters
    ----------
    spec : ModelSpec

    neurons : str or array-like of str
        The ranking.

    how : dict
        The parameters ``fill``, ``values`` and ``step`` of `ablate_model`.

    by, steps, which, n_draws, random_state : object
        The parameters of `causal_effect`.

    Returns
    -------
    fills : Fills

    choices : list of Choice
    """
    default = ("top", "random", "bottom")
    which = check_which(which, (*default, "each"), default, "a ranking")
    fills = check_what(spec, neurons, **how, caller=_CALLER)
    if not len(fills):
        raise ValueError(
            f"The 'neurons' parameter of {_CALLER} is empty. Name at least one neuron."
        )
    units = divide(spec, fills.neurons, by)
    counts = check_steps(steps, len(units))
    ranking = np.arange(len(units))
    orders = {
        "top": [ranking],
        "random": [random_state.permutation(len(units)) for _ in range(n_draws)],
        "bottom": [ranking[::-1]],
    }
    choices = []
    for one in which:
        if one == "each":
            for unit, name in enumerate(units.names):
                places = units.places([unit])
                choices.append(Choice(one, 1, len(places), fills, places, name))
            continue
        for draw, order in enumerate(orders[one]):
            for count in counts:
                places = units.places(order[:count])
                choices.append(Choice(one, count, len(places), fills, places, draw=draw))
    return fills, choices


def choose_groups(spec, groups, how, *, by, which, n_draws, random_state):
    """Choose each of some named groups of neurons, and random units of the same kind.

    For the parameters and returns, see `choose_ranked`.
    """
    both = ("each", "random")
    which = check_which(which, both, both, "groups")
    groups = read_groups(spec, groups)
    own = np.concatenate(list(groups.values()))
    if "random" in which:
        neurons = with_controls(spec, own, by)
    else:
        neurons = find_neurons(spec, own, caller=_CALLER)
    fills = check_fills(**how, neurons=neurons, caller=_CALLER)
    units, choices = divide(spec, neurons, by), []
    kinds = kinds_of(units, by)
    place_of_name = {name: place for place, name in enumerate(neurons.own_names)}
    for group, names in groups.items():
        places = np.array([place_of_name[name] for name in names])
        members = np.unique(units.unit[places])
        if len(units.places(members)) > len(places):
            divide(spec, find_neurons(spec, names, caller=_CALLER), by)  # says what is missing
        if "each" in which:
            choices.append(Choice("each", len(members), len(places), fills, places, group))
        for draw in range(n_draws if "random" in which else 0):
            drawn = units.places(_draw_alike(members, kinds, random_state, group, by))
            choices.append(Choice("random", len(members), len(drawn), fills, drawn, group, draw))
    return fills, choices


def _draw_alike(members, kinds, random_state, group, by):
    """Draw other units than those of a group, as many of each kind as the group has."""
    drawn = []
    for kind, count in zip(*np.unique(kinds[members], return_counts=True), strict=True):
        others = np.setdiff1d(np.flatnonzero(kinds == kind), members)
        if len(others) < count:
            where = "other layers of its component" if by == "layer" else f"other {by}s in a layer"
            raise ValueError(
                f"{_CALLER} compares the group {group!r} with random {by}s that are not in it, but "
                f"it needs {count} {where}, and there are only {len(others)}. Make the group "
                "smaller, or use which='each' to leave out the random ones."
            )
        drawn.append(random_state.choice(others, count, replace=False))
    return np.concatenate(drawn)
