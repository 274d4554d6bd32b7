# SPDX-License-Identifier: BSD-3-Clause
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.inspection._displays._drawing import (
    COLORS,
    GRAY,
    band_label,
    draw_band,
    finish_axes,
    legend_above,
    mark_cut_axis,
    name_band,
    open_axes,
    read_columns,
    score_name,
    style,
    summarize,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = {
    "top": {"color": COLORS[0], "marker": "o"},
    "random": {"color": GRAY, "marker": "s"},
    "bottom": {"color": COLORS[1], "marker": "^"},
}
# Used when several ways share one plot.
_LINES = ("-", "--", ":", "-.")


class AblationCurveDisplay:
    """Plot of a probe's score on only the best, only random and only the worst neurons.

    Create it with `from_frame` or `from_estimator`. Each way of ablation (a fill value with the
    same probe, or a retrained probe) gets its own panel or, on axes that you pass, its own line
    style. The dashed line is the probe on all neurons.

    Parameters
    ----------
    frame : DataFrame
        One row per point, with the columns ``way`` (such as ``"filled: mean"`` or
        ``"retrained"``), ``which``, ``fraction``, ``score``, ``low`` and ``high``. For each way,
        one more row, with ``"all"`` as ``which``, holds the score on all neurons.

    score_name : str, default="score"
        Name of the score, for the axis label.

    band_name : str, default="spread"
        Name of the bands in the legend.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_panels,)
        The axes.

    ax_ : Axes
        The first axes.

    figure_ : Figure
        The figure.

    lines_ : dict of (str, str) to Line2D
        The line for each way and choice of neurons, such as ``("retrained", "top")``. The line for
        ``"all"`` has no points of its own.

    bands_ : dict of (str, str) to PolyCollection
        The spread around each line.

    legend_ : Legend
        The legend.

    See Also
    --------
    sklearn_neurox.ablation.ablation_curve : Compute the curve.

    Notes
    -----
    Two slashes at the foot of the vertical axis mean that it does not start at zero.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.inspection import AblationCurveDisplay
    >>> X, y = make_classification(n_informative=2, n_redundant=0, random_state=0)
    >>> display = AblationCurveDisplay.from_estimator(
    ...     LogisticRegression(), X, y, groups=range(100), retrain=False, random_state=0
    ... )
    >>> display.lines_["filled: mean", "top"].get_xdata().tolist()
    [10.0, 15.0, 20.0]
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
        ax: "Axes | ArrayLike | None" = None,
        figsize: tuple[float, float] | None = None,
        line_kw: dict | None = None,
        band_kw: dict | None = None,
        legend_kw: dict | None = None,
    ) -> "AblationCurveDisplay":
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, array-like of Axes or None, default=None
            Axes to draw on: one for all ways, or one per way. None creates a figure with one
            panel per way, side by side if the figure is at least 5 inches wide.

        figsize : tuple of float or None, default=None
            Width and height of a new figure in inches, such as ``(3.3, 4)`` for one column of a
            paper.

        line_kw, band_kw, legend_kw : dict or None, default=None
            Style of the lines (`matplotlib.lines.Line2D`), the spread
            (`matplotlib.axes.Axes.fill_between`) and the legend.

        Returns
        -------
        display : AblationCurveDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If `ax` holds neither one axes nor one per way.
        """
        ways = self.frame["way"].unique().tolist()
        self.axes_ = axes = self._open(ways, ax, figsize)
        self.ax_, self.figure_ = axes[0], axes[0].figure
        self.lines_: dict = {}
        self.bands_: dict = {}
        for number, way in enumerate(ways):
            panel = axes[number % len(axes)]
            linestyle = _LINES[number % 4] if len(axes) < len(ways) else "-"
            self._draw_way(panel, way, linestyle, line_kw, band_kw)
            if len(axes) > 1:
                panel.set_title(way, fontsize="small", loc="left")
        self._label(ways, legend_kw, is_own=ax is None)
        return self

    def _open(self, ways, ax, figsize):
        n_ways = len(ways)
        is_wide = figsize is None or figsize[0] >= 5
        panels = {"ncols" if is_wide else "nrows": n_ways, "sharex": True, "sharey": True}
        axes = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=3.0, **panels)
        axes = np.ravel(np.asarray(axes, dtype=object))
        if len(axes) not in (1, n_ways):
            raise ValueError(
                f"The 'ax' parameter of AblationCurveDisplay.plot must be one axes or {n_ways} "
                f"axes, one for each of {ways}; got {len(axes)}."
            )
        return axes

    def _draw_way(self, ax, way, linestyle, line_kw, band_kw):
        rows = self.frame[self.frame["way"] == way]
        everything = rows.loc[rows["which"] == "all", "score"]
        if len(everything):
            defaults = {"color": "black", "linestyle": (0, (4, 3)), "linewidth": 1}
            line = ax.axhline(everything.iloc[0], **style(defaults, line_kw))
            self.lines_[way, "all"] = line
        for which, look in _STYLES.items():
            points = rows[rows["which"] == which].sort_values("fraction")
            if points.empty:
                continue
            x = 100 * points["fraction"]
            defaults = {**look, "linestyle": linestyle, "markersize": 4}
            (line,) = ax.plot(x, points["score"], **style(defaults, line_kw))
            self.lines_[way, which] = line
            self.bands_[way, which] = draw_band(ax, line, x, points["low"], points["high"], band_kw)

    def _label(self, ways, legend_kw, is_own):
        for ax in self.axes_:
            finish_axes(ax, x="neurons kept (%)", y=self.score_name)
            mark_cut_axis(ax)
            if is_own:
                ax.label_outer()
        handles, labels = self._entries(ways)
        self.legend_ = legend_above(
            self.ax_,
            handles,
            labels,
            user=legend_kw,
            over_figure=is_own and len(self.axes_) > 1,
            over_title=len(self.axes_) > 1,
        )

    def _entries(self, ways):
        from matplotlib.lines import Line2D

        names = {"top": "top", "random": "random", "bottom": "bottom", "all": "all neurons"}
        lines = {which: line for (_, which), line in self.lines_.items()}
        entries = [(lines[which], name) for which, name in names.items() if which in lines]
        if 1 == len(self.axes_) < len(ways):
            for way, linestyle in zip(ways, cycle(_LINES)):
                entries.append((Line2D([], [], color=GRAY, linestyle=linestyle), way))
        bands = list(self.bands_.values())
        if bands and self.band_name:
            entries.append((name_band(bands[0], self.band_name), self.band_name))
        return list(zip(*entries, strict=True))

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        band: str = "std",
        words: pd.DataFrame | None = None,
        confidence: float = 0.95,
        score_name: str = "score",
        ax: "Axes | ArrayLike | None" = None,
        **plot_params: Any,
    ) -> "AblationCurveDisplay":
        """Draw a curve returned by `sklearn_neurox.ablation.ablation_curve`.

        Parameters
        ----------
        frame : DataFrame
            The curve, or the rows of an ``ablation_table`` for one probe and one ranking. The
            columns ``which``, ``fraction``, ``retrained``, ``fill`` and ``score`` are read.

        band : {"std", "range", "interval"}, default="std"
            The spread over folds, repeats and random draws: one standard deviation on either side
            of the mean, or the range from the lowest to the highest score. ``"interval"`` is the
            confidence interval of the mean over words, by groups; it says how the mean would vary
            with other texts. See `sklearn_neurox.evaluation.interval_table`.

        words : DataFrame or None, default=None
            For ``band="interval"``: the second frame that the curve returns with
            ``return_words=True``.

        confidence : float, default=0.95
            For ``band="interval"``: the confidence level.

        score_name : str, default="score"
            Name of the score, for the axis label.

        ax : Axes, array-like of Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : AblationCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a column is missing, the frame holds several probes or rankings, or intervals are
            asked for without ``words``.
        """
        caller = f"{cls.__name__}.from_frame"
        frame = read_columns(
            frame, ["which", "fraction", "retrained", "fill", "score"], caller=caller
        )
        _check_single(frame, caller)
        options = {"band": band, "confidence": confidence, "caller": caller}
        summary = _summary(frame, words, **options)
        label = band_label(band, confidence)
        display = cls(summary, score_name=score_name, band_name=label)
        return display.plot(ax=ax, **plot_params)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike,
        *,
        band: str = "std",
        confidence: float = 0.95,
        ax: "Axes | ArrayLike | None" = None,
        figsize: tuple[float, float] | None = None,
        line_kw: dict | None = None,
        band_kw: dict | None = None,
        legend_kw: dict | None = None,
        **curve_params,
    ) -> "AblationCurveDisplay":
        """Compute the ablation curve of a probe and draw it.

        Parameters
        ----------
        estimator : estimator instance
            The probe, or a pipeline that ends with it.

        X : array-like of shape (n_samples, n_features) or DataFrame of words
            The input of the estimator.

        y : array-like of shape (n_samples,)
            The labels or targets.

        band : {"std", "range", "interval"}, default="std"
            See `from_frame`.

        confidence : float, default=0.95
            The confidence level for ``band="interval"``.

        ax, figsize, line_kw, band_kw, legend_kw : object
            See `plot`.

        **curve_params : dict
            The other parameters of `sklearn_neurox.ablation.ablation_curve`, such as ``ranker``,
            ``fractions``, ``groups`` and ``random_state``.

        Returns
        -------
        display : AblationCurveDisplay
            The display, drawn.
        """
        found = ablation_curve(estimator, X, y, **curve_params, return_words=band == "interval")
        curve, words = found if band == "interval" else (found, None)
        probe = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        return cls.from_frame(
            curve,
            band=band,
            words=words,
            confidence=confidence,
            score_name=score_name(curve_params.get("scoring"), probe),
            ax=ax,
            figsize=figsize,
            line_kw=line_kw,
            band_kw=band_kw,
            legend_kw=legend_kw,
        )


def _check_single(frame, caller):
    for column in ("probe", "ranking"):
        if column not in frame:
            continue
        values = frame[column].unique().tolist()
        shared = {"all", "random"} if column == "ranking" else set()
        if len(set(values) - shared) > 1:
            others = ", together with those named 'all' and 'random'" if shared else ""
            raise ValueError(
                f"{caller} draws one {column}, but the column {column!r} has "
                f"{sorted(set(values) - shared)}. Keep the rows of one {column}{others}."
            )


def _summary(frame, words, *, caller, **options):
    """Reduce the scores to a mean and a band per point, and add the baseline of each way."""
    ablated = frame[frame["which"] != "all"]
    unknown = set(ablated["which"]) - set(_STYLES)
    if unknown or ablated.empty:
        raise ValueError(
            f"{caller} draws rows in which 'which' is 'top', 'random' or 'bottom', got "
            f"{sorted(map(str, unknown)) if unknown else 'none of these'}."
        )
    by = ["way", "which", "fraction"]
    points = summarize(_with_way(frame), _with_way(words), by, caller=caller, **options)
    everything = points["which"] == "all"
    summary = points[~everything].sort_values(by, ignore_index=True)
    if everything.any():
        ways = pd.DataFrame({"way": summary["way"].unique()})
        baseline = ways.merge(points[everything].drop(columns="way"), how="cross")
        summary = pd.concat([summary, baseline], ignore_index=True)
    return summary


def _with_way(frame):
    if frame is None or not {"retrained", "fill"} <= set(frame.columns):
        return frame
    way = np.where(frame["retrained"], "retrained", "filled: " + frame["fill"].astype(str))
    return frame.assign(way=way)
