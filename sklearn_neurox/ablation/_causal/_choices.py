# SPDX-License-Identifier: BSD-3-Clause
"""Which units to change in each run: the first ones, random ones, each one, or groups."""

from dataclasses import dataclass, field

import numpy as np

from sklearn_neurox.ablation._causal._units import divide, kinds_of, read_groups, with_controls
from sklearn_neurox.extraction._editing._neurons import find_neurons
from sklearn_neurox.utils._counts import check_counts, count_neurons

_CALLER = "causal_effect"
_WHICH = ("top", "random", "bottom", "each")
_DEFAULTS = {"ranking": ("top", "random", "bottom"), "groups": ("each", "random")}


@dataclass(frozen=True)
class Choice:
    """What one run of the model changes."""

    which: str
    n_units: int
    places: np.ndarray | None  # of the changed neurons; None changes nothing
    name: object = ""  # of the unit or group
    draw: int = 0
    labels: dict = field(init=False)

    def __post_init__(self):
        n_neurons = 0 if self.places is None else len(self.places)
        labels = {"which": self.which, "name": self.name, "n_units": self.n_units}
        object.__setattr__(self, "labels", labels | {"n_neurons": n_neurons, "draw": self.draw})


UNCHANGED = Choice("none", 0, None)


def choose(spec, neurons, *, by, steps, which, n_draws, random_state):
    """Read what to change from the parameters of `causal_effect`.

    Returns
    -------
    neurons : Neurons

    choices : list of Choice
        With places in these neurons.
    """
    is_grouped = isinstance(neurons, dict)
    which = _check_which(which, "groups" if is_grouped else "ranking")
    if is_grouped:
        return _of_groups(spec, neurons, by, which, n_draws, random_state)
    found = find_neurons(spec, neurons, caller=_CALLER)
    units = divide(spec, found, by)
    counts = check_steps(steps, len(units))
    return found, list(_of_ranking(units, counts, which, n_draws, random_state))


def _check_which(which, kind):
    if which is None:
        return _DEFAULTS[kind]
    which = [which] if isinstance(which, str) else list(which)
    allowed = _WHICH if kind == "ranking" else _DEFAULTS[kind]
    wrong = [one for one in which if one not in allowed]
    if wrong or not which or len(set(which)) < len(which):
        of = "" if kind == "ranking" else " for groups, which have no order,"
        raise ValueError(
            f"The 'which' parameter of {_CALLER}{of} must contain at least one of "
            f"{', '.join(allowed)}, each at most once. Got {wrong[0] if wrong else which!r}."
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


def _of_ranking(units, counts, which, n_draws, random_state):
    ranking = np.arange(len(units))
    orders = {
        "top": [ranking],
        "random": [random_state.permutation(len(units)) for _ in range(n_draws)],
        "bottom": [ranking[::-1]],
    }
    for one in which:
        if one == "each":
            for unit, name in enumerate(units.names):
                yield Choice(one, 1, units.places([unit]), name)
            continue
        for draw, order in enumerate(orders[one]):
            for count in counts:
                yield Choice(one, count, units.places(order[:count]), draw=draw)


def _of_groups(spec, groups, by, which, n_draws, random_state):
    groups = read_groups(spec, groups)
    own = np.concatenate(list(groups.values()))
    if "random" in which:
        neurons = with_controls(spec, own, by)
    else:
        neurons = find_neurons(spec, own, caller=_CALLER)
    units, choices = divide(spec, neurons, by), []
    kinds = kinds_of(units, by)
    place_of_name = {name: place for place, name in enumerate(neurons.names)}
    for group, names in groups.items():
        places = np.array([place_of_name[name] for name in names])
        members = np.unique(units.unit[places])
        if by != "neuron" and len(units.places(members)) > len(places):
            divide(spec, find_neurons(spec, names, caller=_CALLER), by)  # says what is missing
        if "each" in which:
            choices.append(Choice("each", len(members), places, group))
        for draw in range(n_draws if "random" in which else 0):
            drawn = _draw_alike(members, kinds, random_state, group, by)
            choices.append(Choice("random", len(drawn), units.places(drawn), group, draw))
    return neurons, choices


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
