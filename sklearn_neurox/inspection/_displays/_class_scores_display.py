# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import precision_recall_fscore_support
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import unique_labels

from sklearn_neurox.inspection._displays._drawing import (
    finish_axes,
    gray,
    open_axes,
    series_styles,
    style,
)
from sklearn_neurox.inspection._displays._frames import check_unique, read_numbers
from sklearn_neurox.inspection._displays._labels import fit_names, name_places, plain_label
from sklearn_neurox.inspection._displays._legend import legend_above, named_lines
from sklearn_neurox.utils._labels import check_no_missing_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_METRICS = {"precision": "precision", "recall": "recall", "f1": "F1"}


class ClassScoresDisplay:
    """Plot of the scores of a probe for each class, optionally compared with another run.

    Create it with `from_predictions` or `from_estimator`.

    Parameters
    ----------
    frame : DataFrame
        One row per class and run, with the columns ``class``, ``run``, ``score`` and ``support``
        (the number of samples in the class). Classes are drawn in this order, from the top. A run
        may lack classes.

    score_name : str, default="score"
        Name of the score, for the axis label.

    Attributes
    ----------
    ax_ : Axes
        The axes.

    figure_ : Figure
        The figure.

    lines_ : list of Line2D
        The scores, one line of markers per run.

    difference_ : LineCollection or None
        The segments that join the scores of two runs.

    legend_ : Legend or None
        The legend; None with a single run.

    See Also
    --------
    sklearn.metrics.classification_report : The same scores as a table.

    Examples
    --------
    >>> from sklearn_neurox.inspection import ClassScoresDisplay
    >>> y_true = ["NOUN", "NOUN", "VERB", "VERB"]
    >>> display = ClassScoresDisplay.from_predictions(
    ...     y_true, ["NOUN", "NOUN", "VERB", "NOUN"], metric="recall"
    ... )
    >>> display.frame[["class", "score", "support"]]
      class  score  support
    0  NOUN    1.0        2
    1  VERB    0.5        2
    """

    def __init__(self, frame: pd.DataFrame, *, score_name: str = "score"):
        self.frame = frame
        self.score_name = score_name

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
        line_kw: dict | None = None,
        legend_kw: dict | None = None,
    ) -> "ClassScoresDisplay":
        """Draw the plot.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to draw on; None creates a figure tall enough for all classes. Classes and runs
            already on the axes keep their places and colors.

        figsize : tuple of float or None, default=None
            Width and height of a new figure in inches.

        line_kw, legend_kw : dict or None, default=None
            Style of the markers (`matplotlib.lines.Line2D`) and of the legend.

        Returns
        -------
        display : ClassScoresDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If a run has two scores for a class.
        """
        caller = type(self).__name__
        check_unique(self.frame, ["class", "run"], caller=caller)
        frame = read_numbers(self.frame, ["score"], caller=caller)
        classes = frame["class"].drop_duplicates().tolist()
        is_own = ax is None and figsize is None
        height = 0.9 + 0.19 * len(classes)
        ax = open_axes(ax, caller=caller, figsize=figsize, height=height)
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        place = name_places(ax.yaxis, classes)
        runs = list(frame.groupby("run", sort=False, observed=True))
        self.difference_ = None
        if len(runs) == 2:
            one, other = (
                rows.set_index("class")["score"].reindex(classes).to_numpy() for _, rows in runs
            )
            y = [place[label] for label in classes]
            self.difference_ = ax.hlines(y, one, other, color=gray(ax), linewidth=1.5, zorder=2)
        n_before = len(ax.lines)
        looks = series_styles(ax, len(runs))
        for number, ((run, rows), look) in enumerate(zip(runs, looks, strict=True), n_before):
            defaults = {
                **look,
                "linestyle": "none",
                # Where both runs score the same, the second shows around the first.
                "markersize": 4.5 + 2 * min(number, 4),
                "label": plain_label(run, longest=40),
                "zorder": 3 - 0.1 * number,
            }
            places = [place[label] for label in rows["class"]]
            (line,) = ax.plot(rows["score"], places, **style(defaults, line_kw))
            self.lines_.append(line)
        self._label(place, frame["score"], legend_kw, is_own)
        return self

    def _label(self, place, scores, legend_kw, is_own):
        ax = self.ax_
        ax.set_ylim(len(place) - 0.5, -0.5)
        # From 0 to 1, or farther for a score that goes farther.
        low, high = scores.min(), scores.max()
        xlim = ax.get_xlim() if len(ax.lines) > len(self.lines_) else (-0.03, 1.03)
        ax.set_xlim(np.fmin(xlim[0], 1.05 * low), np.fmax(xlim[1], 1.05 * high - 0.02))
        finish_axes(ax, x=self.score_name, y="", grid="both")
        handles = named_lines(ax)
        labels = [line.get_label() for line in handles]
        self.legend_ = legend_above(ax, handles, labels, user=legend_kw, grow=is_own)
        fit_names(ax, ax.yaxis)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        other: ArrayLike | None = None,
        metric: str = "f1",
        labels: Sequence | None = None,
        names: Sequence[str] = ("this run", "other run"),
        sample_weight: ArrayLike | None = None,
        ax: "Axes | None" = None,
        **plot_params: Any,
    ) -> "ClassScoresDisplay":
        """Score predictions for each class and draw the scores.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The true labels.

        y_pred : array-like of shape (n_samples,)
            The predicted labels.

        other : array-like of shape (n_samples,) or None, default=None
            The predictions of another run for the same samples, such as a control, a baseline or a
            probe on fewer neurons.

        metric : {"f1", "precision", "recall"}, default="f1"
            The score, computed by `sklearn.metrics.precision_recall_fscore_support`. Where it is
            undefined, such as the recall of a class without samples, nothing is drawn.

        labels : sequence or None, default=None
            The classes, in drawing order. None takes all classes, sorted by the score of
            ``y_pred``, best first.

        names : (str, str), default=("this run", "other run")
            The names of the runs.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Sample weights.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : ClassScoresDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the metric is unknown, a label or a prediction is missing, or the numbers of labels
            and predictions differ.
        """
        caller = f"{cls.__name__}.from_predictions"
        if metric not in _METRICS:
            raise ValueError(
                f"The 'metric' parameter of {caller} must be one of {sorted(_METRICS)}, got "
                f"{metric!r}."
            )
        if isinstance(names, str) or len(names) < 1 + (other is not None):
            raise ValueError(
                f"The 'names' parameter of {caller} must name each run, got {names!r}."
            )
        for role, values in {"y_true": y_true, "y_pred": y_pred, "other": other}.items():
            if values is not None:
                check_no_missing_labels(values, input_name=role)
        runs = [column_or_1d(y_pred)] + ([] if other is None else [column_or_1d(other)])
        check_consistent_length(y_true, *runs)
        classes = unique_labels(y_true, *runs) if labels is None else np.asarray(labels)
        frames = [
            _scores(y_true, predicted, classes, metric, sample_weight, name)
            for name, predicted in zip(names, runs, strict=False)
        ]
        if labels is None:
            order = (-frames[0]["score"]).fillna(np.inf).argsort(kind="stable")
            frames = [frame.iloc[order] for frame in frames]
        display = cls(pd.concat(frames, ignore_index=True), score_name=_METRICS[metric])
        return display.plot(ax=ax, **plot_params)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike,
        *,
        other: BaseEstimator | None = None,
        other_X: ArrayLike | pd.DataFrame | None = None,
        ax: "Axes | None" = None,
        **params: Any,
    ) -> "ClassScoresDisplay":
        """Score the predictions of fitted classifiers for each class and draw the scores.

        Parameters
        ----------
        estimator : estimator instance
            A fitted classifier.

        X : array-like of shape (n_samples, n_features) or DataFrame of words
            Input that the classifier was not fitted on.

        y : array-like of shape (n_samples,)
            The true labels.

        other : estimator instance or None, default=None
            Another fitted classifier.

        other_X : array-like of shape (n_samples, n_other_features) or None, default=None
            The input of the other classifier; None takes ``X``.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **params : dict
            The other parameters of `from_predictions` (``metric``, ``labels``, ``names``,
            ``sample_weight``) and of `plot`.

        Returns
        -------
        display : ClassScoresDisplay
            The display, drawn.
        """
        predicted = None
        if other is not None:
            predicted = other.predict(X if other_X is None else other_X)
        return cls.from_predictions(y, estimator.predict(X), other=predicted, ax=ax, **params)


def _scores(y_true, y_pred, classes, metric, sample_weight, run):
    measured = precision_recall_fscore_support(
        y_true, y_pred, labels=classes, sample_weight=sample_weight, zero_division=np.nan
    )
    score = measured[list(_METRICS).index(metric)]
    return pd.DataFrame({"class": classes, "run": run, "score": score, "support": measured[3]})
