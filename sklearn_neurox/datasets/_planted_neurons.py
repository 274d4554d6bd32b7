# SPDX-License-Identifier: BSD-3-Clause
import contextlib
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_neurox.utils._half_precision import cast_and_find_lost
from sklearn_neurox.utils._names import neuron_names

_COUNT = Interval(Integral, 1, None, closed="left")


@validate_params(
    {
        "n_samples": [_COUNT],
        "n_neurons": [_COUNT],
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "n_informative": [_COUNT],
        "n_redundant": [Interval(Integral, 0, None, closed="left")],
        "kind": [StrOptions({"mean", "variance", "xor"})],
        "effect": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "correlation": [Interval(Real, 0, 1, closed="left")],
        "weights": ["array-like", None],
        "n_layers": [_COUNT],
        "dtype": "no_validation",
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_planted_neurons(
    n_samples: int = 1000,
    n_neurons: int = 200,
    *,
    n_classes: int = 3,
    n_informative: int = 10,
    n_redundant: int = 0,
    kind: str = "mean",
    effect: float | ArrayLike = 1.0,
    correlation: float = 0.0,
    weights: ArrayLike | None = None,
    n_layers: int = 1,
    dtype: DTypeLike = np.float32,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    r"""Generate a matrix of neurons in which only known, planted neurons depend on the class.

    Each informative neuron :math:`j` belongs to one class :math:`c_j`, assigned in turn, and has a
    strength :math:`a_j` (``effect``). With independent standard normal noise
    :math:`\varepsilon_{ij}`, its values are

    - ``kind="mean"``: :math:`x_{ij} = \varepsilon_{ij} + s_j a_j [y_i = c_j]`, where the sign
      :math:`s_j = \pm 1` is drawn once per neuron;
    - ``kind="variance"``: :math:`x_{ij} = \varepsilon_{ij} (1 + a_j [y_i = c_j])`, so that the
      mean is zero in every class;
    - ``kind="xor"``: neurons form pairs :math:`(j, j')` of one class, with
      :math:`x_{ij} = \varepsilon_{ij} + a_j r_{ij}` and
      :math:`x_{ij'} = \varepsilon_{ij'} + a_{j'} r_{ij} (2 [y_i = c_j] - 1)`, where
      :math:`r_{ij} = \pm 1` is drawn per pair and sample. Each neuron alone has the same
      distribution in every class; the sign of the product of the two reveals the class.

    A redundant neuron is an informative one multiplied by a number drawn from [0.5, 2], with a
    random sign. All other neurons are noise,
    :math:`x_{ij} = \sqrt{1 - \rho}\, \varepsilon_{ij} + \sqrt{\rho}\, f_i` with a common factor
    :math:`f_i` and the ``correlation`` :math:`\rho`. The factor is independent of the planted
    neurons; otherwise it would cancel their noise and make every neuron informative. The
    informative neurons therefore contain everything that the matrix reveals about the class, and
    none of them is dispensable unless it has a redundant copy.

    Parameters
    ----------
    n_samples : int, default=1000
        The number of rows.

    n_neurons : int, default=200
        The number of columns, including informative and redundant neurons.

    n_classes : int, default=3
        The number of classes, labeled from 0.

    n_informative : int, default=10
        The total number of informative neurons, over all classes.

    n_redundant : int, default=0
        The number of rescaled copies of informative neurons.

    kind : {"mean", "variance", "xor"}, default="mean"
        How the neurons depend on the class: ``"mean"`` is visible to linear probes, ``"variance"``
        to Gaussian probes, and ``"xor"`` is visible only in combinations of neurons.

    effect : float or array-like of shape (n_informative,), default=1.0
        The strength of the informative neurons, in units of the noise. An array gives one value
        per entry of ``informative``, in column order.

    correlation : float, default=0.0
        The correlation between any two noise neurons, in [0, 1).

    weights : array-like of shape (n_classes,), default=None
        The proportions of the classes; None makes them equal.

    n_layers : int, default=1
        The number of layers named in ``feature_names``; it must divide ``n_neurons``.

    dtype : dtype, default=numpy.float32
        The floating-point type of ``X``. A value that it cannot hold is an error.

    random_state : int, RandomState instance or None, default=None
        Determines the data. Pass an int for reproducible output across calls.

    Returns
    -------
    planted : Bunch
        A dictionary-like object with the attributes

        X : ndarray of shape (n_samples, n_neurons)
            The activations.
        y : ndarray of shape (n_samples,)
            The classes; their counts follow the proportions, rounded.
        informative : ndarray of shape (n_informative,)
            The columns of the informative neurons, ascending.
        class_informative : list of n_classes ndarrays
            The columns of the neurons that belong to each class.
        redundant : ndarray of shape (n_redundant,)
            The columns of the redundant neurons.
        redundant_of : ndarray of shape (n_redundant,)
            The informative column that each redundant neuron copies.
        feature_names : ndarray of shape (n_neurons,)
            Layer-major neuron names such as ``"hidden.0.17"``.

    Raises
    ------
    ValueError
        If the counts, the weights, the effects or the layers are inconsistent.

    See Also
    --------
    make_tagged_words : Generate annotated sentences.
    sklearn.datasets.make_classification : Generate classes as clusters, without assigning each
        feature to a class.

    Examples
    --------
    >>> from sklearn.feature_selection import f_classif
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> planted = make_planted_neurons(effect=2.0, random_state=0)
    >>> F, _ = f_classif(planted.X, planted.y)
    >>> sorted(F.argsort()[-10:].tolist()) == planted.informative.tolist()
    True
    """
    _check_counts(n_neurons, n_informative, n_redundant, kind, n_layers)
    dtype = _check_dtype(dtype)
    rng = check_random_state(random_state)
    effect = _check_effect(effect, n_informative)
    y = _draw_classes(n_samples, n_classes, weights, rng)

    columns = rng.permutation(n_neurons)
    informative = np.sort(columns[:n_informative])
    redundant = np.sort(columns[n_informative : n_informative + n_redundant])
    unit = np.arange(n_informative) // (2 if kind == "xor" else 1)
    owner = unit % n_classes

    noise = rng.standard_normal((n_samples, n_informative))
    planted = _PLANT[kind](noise, effect, owner == y[:, np.newaxis], rng)
    source = rng.randint(n_informative, size=n_redundant)
    scale = rng.choice([-1.0, 1.0], size=n_redundant) * rng.uniform(0.5, 2.0, size=n_redundant)

    X = rng.standard_normal((n_samples, n_neurons))
    X *= np.sqrt(1 - correlation)
    X += np.sqrt(correlation) * rng.standard_normal((n_samples, 1))
    X[:, informative] = planted
    X[:, redundant] = planted[:, source] * scale
    return Bunch(
        X=_cast(X, dtype),
        y=y,
        informative=informative,
        class_informative=[informative[owner == label] for label in range(n_classes)],
        redundant=redundant,
        redundant_of=informative[source],
        feature_names=neuron_names(range(n_layers), n_neurons // n_layers),
    )


def _plant_mean(noise, effect, is_own, rng):
    sign = rng.choice([-1.0, 1.0], size=noise.shape[1])
    return noise + sign * effect * is_own


def _plant_variance(noise, effect, is_own, rng):
    return noise * (1 + effect * is_own)


def _plant_xor(noise, effect, is_own, rng):
    sign = np.repeat(rng.choice([-1.0, 1.0], size=(len(noise), noise.shape[1] // 2)), 2, axis=1)
    sign[:, 1::2] *= 2 * is_own[:, 1::2] - 1
    return noise + effect * sign


_PLANT = {"mean": _plant_mean, "variance": _plant_variance, "xor": _plant_xor}


def _check_counts(n_neurons, n_informative, n_redundant, kind, n_layers):
    if n_informative + n_redundant > n_neurons:
        raise ValueError(
            f"n_informative={n_informative} and n_redundant={n_redundant} neurons do not fit into "
            f"n_neurons={n_neurons}. Lower the former or increase the latter."
        )
    if kind == "xor" and n_informative % 2:
        raise ValueError(
            f"kind='xor' plants pairs of neurons, but n_informative={n_informative} is odd."
        )
    if n_neurons % n_layers:
        raise ValueError(f"n_layers={n_layers} does not divide n_neurons={n_neurons}.")


def _check_dtype(dtype):
    with contextlib.suppress(TypeError):
        if dtype is not None and np.issubdtype(np.dtype(dtype), np.floating):
            return np.dtype(dtype)
    raise ValueError(
        "The 'dtype' parameter of make_planted_neurons must be a dtype of floating-point numbers, "
        f"such as numpy.float32. Got {dtype!r}."
    )


def _cast(X, dtype):
    cast, lost = cast_and_find_lost(X, dtype)
    if lost is not None:
        raise ValueError(
            f"{dtype} cannot hold the value {X[lost][0]:.3g}. Lower effect, or use another dtype."
        )
    return cast


def _check_effect(effect, n_informative):
    effect = np.asarray(effect, dtype=np.float64)
    if effect.shape not in ((), (n_informative,)) or not (effect > 0).all():
        raise ValueError(
            f"effect must be a positive number or an array of {n_informative} (n_informative) "
            f"positive numbers, got {effect!r}."
        )
    return effect


def _draw_classes(n_samples, n_classes, weights, rng):
    weights = np.ones(n_classes) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (n_classes,) or not (weights > 0).all():
        raise ValueError(
            f"weights must be {n_classes} positive numbers (n_classes), got {weights!r}."
        )
    ends = np.rint(np.cumsum(weights) / weights.sum() * n_samples).astype(int)
    counts = np.diff(ends, prepend=0)
    if (counts == 0).any():
        raise ValueError(
            f"Class {int(np.argmin(counts))} would get none of the {n_samples} samples. Increase "
            "n_samples or the weight of the class."
        )
    return rng.permutation(np.repeat(np.arange(n_classes), counts))
