# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import BaseCrossValidator

from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.inspection._displays._drawing import (
    check_columns,
    check_unique,
    finish_axes,
    integer_ticks,
    legend_above,
    open_axes,
    score_name,
    series_style,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LayerProfileDisplay:
    """How well each layer alone does, with intervals.

    Make it with `from_frame` or `from_estimator`.

    Parameters
    ----------
    frame : DataFrame
        A row a layer, with the columns ``layer`` and ``score``; ``low`` and ``high``, the ends of
        an interval, and ``component``, where there are several lines, are optional. Other columns
        are not looked at.

    score_name : str, default="score"
        What the score is, for the axis.

    name : str or None, default=None
        What the line is called in the legend, where several displays share one plot.

    Attributes
    ----------
    ax_ : Axes
        The axes.

    figure_ : Figure
        The figure.

    lines_ : list of Line2D
        One line a component.

    bands_ : list of PolyCollection
        The intervals, one a component; empty where the frame has none.

    legend_ : Legend or None
        None where there is one line only.

    See Also
    --------
    sklearn_neurox.evaluation.layer_profile : The numbers behind `from_estimator`.
    sklearn_neurox.selection.LayerSelector : Selects layers.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_neurox.inspection import LayerProfileDisplay
    >>> frame = pd.DataFrame(
    ...     {"layer": [0, 1, 2], "score": [0.7, 0.9, 0.8], "low": [0.6, 0.8, 0.7],
    ...      "high": [0.8, 0.95, 0.85]}
    ... )
    >>> display = LayerProfileDisplay.from_frame(frame, score_name="accuracy")
    >>> display.lines_[0].get_ydata().tolist()
    [0.7, 0.9, 0.8]
    """

    def __init__(self, frame: pd.DataFrame, *, score_name: str = "score", name: str | None = None):
        self.frame = frame
        self.score_name = score_name
        self.name = name

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
        line_kw: dict | None = None,
        band_kw: dict | None = None,
        legend_kw: dict | None = None,
    ) -> "LayerProfileDisplay":
        """Draw it.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; None makes a figure. Lines already there keep their colours.

        figsize : tuple of float or None, default=None
            Width and height of a new figure in inches, such as ``(3.3, 2.2)`` for one column of
            a paper.

        line_kw, band_kw, legend_kw : dict or None, default=None
            Style of the lines (`matplotlib.lines.Line2D`), of the intervals
            (`matplotlib.axes.Axes.fill_between`) and of the legend.

        Returns
        -------
        display : LayerProfileDisplay
            Itself.

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        ax = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=3.0)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.bands_ = [], []
        for label, rows in self._series():
            defaults = {**series_style(len(ax.lines)), "markersize": 4, "label": label}
            (line,) = ax.plot(rows["layer"], rows["score"], **style(defaults, line_kw))
            self.lines_.append(line)
            if "low" in rows:
                defaults = {"color": line.get_color(), "alpha": 0.2, "linewidth": 0}
                band = ax.fill_between(
                    rows["layer"], rows["low"], rows["high"], **style(defaults, band_kw)
                )
                self.bands_.append(band)
        finish_axes(ax, x="layer", y=self.score_name)
        integer_ticks(ax.xaxis)
        named = [line for line in ax.lines if not line.get_label().startswith("_")]
        labels = [line.get_label() for line in named]
        self.legend_ = legend_above(ax, named, labels, user=legend_kw)
        return self

    def _series(self):
        if "component" not in self.frame:
            yield self.name or "_", self.frame.sort_values("layer")
            return
        several = self.frame["component"].nunique() > 1
        for component, rows in self.frame.groupby("component", sort=False, dropna=False):
            names = [self.name] * (self.name is not None) + [str(component)] * several
            yield " ".join(names) or "_", rows.sort_values("layer")

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        score_name: str = "score",
        name: str | None = None,
        ax: "Axes | None" = None,
        **plot_params: object,
    ) -> "LayerProfileDisplay":
        """Draw the scores of layers that are known.

        Parameters
        ----------
        frame : DataFrame
            A row a layer, such as `sklearn_neurox.evaluation.layer_profile` gives. Read are the
            columns ``layer`` and ``score``, and where they are there, ``low``, ``high`` and
            ``component``.

        score_name : str, default="score"
            What the score is, for the axis.

        name : str or None, default=None
            What the line is called in the legend.

        ax : Axes or None, default=None
            Where to draw; None makes a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : LayerProfileDisplay
            Drawn.

        Raises
        ------
        ValueError
            If a column is missing, or a layer comes twice.
        """
        caller = f"{cls.__name__}.from_frame"
        check_columns(frame, ["layer", "score"], caller=caller)
        if ("low" in frame) != ("high" in frame):
            check_columns(frame, ["low", "high"], caller=caller)
        columns = [c for c in ("component", "layer", "score", "low", "high") if c in frame]
        # Layers that are told by number alone are of no component.
        if "component" in columns and frame["component"].isna().all():
            columns.remove("component")
        check_unique(frame, [c for c in columns if c in ("component", "layer")], caller=caller)
        display = cls(frame[columns], score_name=score_name, name=name)
        return display.plot(ax=ax, **plot_params)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike,
        *,
        groups: ArrayLike,
        features: BaseEstimator | None = None,
        input_features: ArrayLike | None = None,
        n_layers: int | None = None,
        cv: int | Iterable | BaseCrossValidator | None = None,
        scoring: str | Callable | None = None,
        n_bootstrap: int = 1000,
        confidence: float = 0.95,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        name: str | None = None,
        ax: "Axes | None" = None,
        **plot_params: object,
    ) -> "LayerProfileDisplay":
        """Score the probe on each layer alone, by `layer_profile`, and draw that.

        The intervals come from a bootstrap of whole groups of held-out words.

        Parameters
        ----------
        estimator : estimator instance
            The probe, cloned and fitted for every layer and fold.

        X : array-like of shape (n_samples, n_features), or DataFrame of words
            The activations of several layers, or what ``features`` makes them of.

        y : array-like of shape (n_samples,)
            The labels or targets.

        groups : array-like of shape (n_samples,)
            What is resampled whole and must stay in one fold; for words, ``words["text"]``.

        features : transformer or None, default=None
            What makes the matrix of activations of X, cloned and fitted once a fold. None takes X.

        input_features : array-like of str of shape (n_features,) or None, default=None
            The neuron names; None takes those of X, or those that ``features`` gives.

        n_layers : int or None, default=None
            How many equal layers X has, where there are no names.

        cv : int, cross-validation generator, iterable or None, default=None
            How to split. None or an int makes 5 or so many folds of whole groups.

        scoring : str, callable or None, default=None
            The scorer; None is accuracy for classifiers and :math:`R^2` for regressors.

        n_bootstrap : int, default=1000
            How many resamples of the groups.

        confidence : float, default=0.95
            Of every single interval, in (0, 1).

        n_jobs : int or None, default=None
            How many layers to work on at a time.

        random_state : int, RandomState instance or None, default=None
            Fixes the resamples. The seed of the probe is its own.

        name : str or None, default=None
            What the line is called in the legend.

        ax : Axes or None, default=None
            Where to draw; None makes a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : LayerProfileDisplay
            Drawn; its ``frame`` has the columns ``component`` (not with ``n_layers``), ``layer``,
            ``score``, ``low`` and ``high``.

        Raises
        ------
        ValueError
            If neither names nor ``n_layers`` tell the layers, and for all that `layer_profile`
            refuses.
        """
        profile = layer_profile(
            estimator,
            X,
            y,
            groups=groups,
            features=features,
            input_features=input_features,
            n_layers=n_layers,
            cv=cv,
            scoring=scoring,
            n_bootstrap=n_bootstrap,
            confidence=confidence,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        return cls.from_frame(
            profile,
            score_name=score_name(scoring, estimator, is_classifier),
            name=name,
            ax=ax,
            **plot_params,
        )
