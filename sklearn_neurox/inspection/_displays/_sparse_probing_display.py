# SPDX-License-Identifier: BSD-3-Clause
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import ArrayLike

from sklearn_neurox.evaluation._sparse_probing_curve import sparse_probing_curve
from sklearn_neurox.inspection._displays._drawing import (
    GRAY,
    band_label,
    draw_band,
    finish_axes,
    legend_above,
    name_band,
    open_axes,
    read_columns,
    series_style,
    style,
    summarize,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = ["ranker", "labels", "n_neurons", "score"]


class SparseProbingDisplay:
    """Plot of the scores of probes on k neurons, by the method that chose them.

    Create it with `from_frame` or `from_data`. Each method has a line; random neurons are gray, and
    the dashed lines are those of shuffled labels.

    Parameters
    ----------
    frame : DataFrame
        One row per point, with the columns ``ranker``, ``labels``, ``n_neurons``, ``score``,
        ``low`` and ``high``.

    score_name : str, default="score"
        Name of the score, for the axis label.

    band_name : str, default="spread"
        Name of the bands in the legend; ``""`` omits it.

    Attributes
    ----------
    ax_ : Axes
        The axes.

    figure_ : Figure
        The figure.

    lines_ : dict of (str, str) to Line2D
        The line for each method and kind of labels, such as ``("best subset", "true")``.

    bands_ : dict of (str, str) to PolyCollection
        The spread around each line.

    legend_ : Legend or None
        The legend.

    See Also
    --------
    sklearn_neurox.evaluation.sparse_probing_curve : Compute the curve.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> from sklearn_neurox.inspection import SparseProbingDisplay
    >>> planted = make_planted_neurons(200, 10, n_informative=2, random_state=0)
    >>> display = SparseProbingDisplay.from_data(
    ...     planted.X, planted.y, n_neurons=[1, 2], groups=range(200),
    ...     estimator=LogisticRegression(), random_state=0
    ... )
    >>> display.lines_["best subset", "true"].get_xdata().tolist()
    [1, 2]
    """

    def __init__(
        self, frame: pd.DataFrame, *, score_name: str = "score", band_name: str = "spread"
    ):
        self.frame = frame
        self.score_name = score_name
        self.band_name = band_name

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
        line_kw: dict | None = None,
        band_kw: dict | None = None,
        legend_kw: dict | None = None,
    ) -> "SparseProbingDisplay":
        """Draw the plot.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to draw on. None creates a figure.

        figsize : tuple of float or None, default=None
            Width and height of a new figure in inches, such as ``(3.3, 3)`` for one column of a
            paper.

        line_kw, band_kw, legend_kw : dict or None, default=None
            Style of the lines (`matplotlib.lines.Line2D`), the spread
            (`matplotlib.axes.Axes.fill_between`) and the legend.

        Returns
        -------
        display : SparseProbingDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=3.2)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: dict = {}
        self.bands_: dict = {}
        rankers = [name for name in self.frame["ranker"].unique() if name != "random"]
        looks = {name: series_style(number) for number, name in enumerate(rankers)}
        looks["random"] = {"color": GRAY, "marker": "s"}
        for (ranker, labels), points in self.frame.groupby(["ranker", "labels"], sort=False):
            points = points.sort_values("n_neurons")
            is_control = labels == "shuffled"
            defaults = {
                **looks[ranker],
                "linestyle": "--" if is_control else "-",
                "markersize": 4,
                "label": f"{ranker}, shuffled labels" if is_control else ranker,
            }
            x = points["n_neurons"]
            (line,) = ax.plot(x, points["score"], **style(defaults, line_kw))
            self.lines_[ranker, labels] = line
            band = draw_band(ax, line, x, points["low"], points["high"], band_kw)
            self.bands_[ranker, labels] = band
        self._label(ax, legend_kw)
        return self

    def _label(self, ax, legend_kw):
        sizes = sorted(self.frame["n_neurons"].unique())
        ax.set_xscale("log", base=2)
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.minorticks_off()
        finish_axes(ax, x="neurons", y=self.score_name)
        handles, labels = ax.get_legend_handles_labels()
        if self.bands_ and self.band_name:
            handles.append(name_band(next(iter(self.bands_.values())), self.band_name))
            labels.append(self.band_name)
        self.legend_ = legend_above(ax, handles, labels, user=legend_kw)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        band: str = "std",
        words: pd.DataFrame | None = None,
        confidence: float = 0.95,
        score_name: str = "score",
        ax: "Axes | None" = None,
        **plot_params: Any,
    ) -> "SparseProbingDisplay":
        """Draw a curve returned by `sklearn_neurox.evaluation.sparse_probing_curve`.

        Parameters
        ----------
        frame : DataFrame
            The curve. The columns ``ranker``, ``labels``, ``n_neurons`` and ``score`` are read.

        band : {"std", "range", "interval"}, default="std"
            The spread over folds and draws: one standard deviation on either side of the mean, or
            the range from the lowest to the highest score. ``"interval"`` is the confidence
            interval of the mean over words, by groups; it says how the mean would vary with other
            texts. See `sklearn_neurox.evaluation.interval_table`.

        words : DataFrame or None, default=None
            For ``band="interval"``: the second frame that the curve returns with
            ``return_words=True``.

        confidence : float, default=0.95
            For ``band="interval"``: the confidence level.

        score_name : str, default="score"
            Name of the score, for the axis label.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : SparseProbingDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a column is missing, there are no rows, ``band`` is not one of the options, or
            intervals are asked for without ``words``.
        """
        caller = f"{cls.__name__}.from_frame"
        frame = read_columns(frame, _COLUMNS, caller=caller)
        options = {"band": band, "confidence": confidence, "caller": caller}
        points = summarize(frame, words, _COLUMNS[:3], **options)
        display = cls(points, score_name=score_name, band_name=band_label(band, confidence))
        return display.plot(ax=ax, **plot_params)

    @classmethod
    def from_data(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        *,
        band: str = "std",
        confidence: float = 0.95,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
        line_kw: dict | None = None,
        band_kw: dict | None = None,
        legend_kw: dict | None = None,
        **curve_params,
    ) -> "SparseProbingDisplay":
        """Compute the curve and draw it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,)
            Labels or targets.

        band : {"std", "range", "interval"}, default="std"
            See `from_frame`.

        confidence : float, default=0.95
            The confidence level for ``band="interval"``.

        ax, figsize, line_kw, band_kw, legend_kw : object
            See `plot`.

        **curve_params : dict
            The other parameters of `sklearn_neurox.evaluation.sparse_probing_curve`, such as
            ``n_neurons``, ``rankers``, ``groups`` and ``random_state``.

        Returns
        -------
        display : SparseProbingDisplay
            The display, drawn.
        """
        found = sparse_probing_curve(X, y, **curve_params, return_words=band == "interval")
        curve, words = found if band == "interval" else (found, None)
        scoring = curve_params.get("scoring")
        return cls.from_frame(
            curve,
            band=band,
            words=words,
            confidence=confidence,
            score_name=scoring if isinstance(scoring, str) else "score",
            ax=ax,
            figsize=figsize,
            line_kw=line_kw,
            band_kw=band_kw,
            legend_kw=legend_kw,
        )
