# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.inspection._displays._ablation_points import ablation_points
from sklearn_neurox.inspection._displays._drawing import (
    check_option,
    draw_band,
    draw_levels,
    finish_axes,
    gray,
    ink,
    kept_color,
    mark_cut_axis,
    open_axes,
    score_name,
    share_labels,
    style,
    title_panels,
)
from sklearn_neurox.inspection._displays._frames import BANDS, band_label, read_levels
from sklearn_neurox.inspection._displays._labels import fit_measured
from sklearn_neurox.inspection._displays._legend import band_entries, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = {"top": "o", "random": "s", "bottom": "^"}
# Used when several ways share one plot.
_LINES = ("-", "--", ":", "-.")
# The names of the ways on axes that hold several, in the order of their line styles.
_WAYS: WeakKeyDictionary = WeakKeyDictionary()


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
        Name of the bands in the legend; ``""`` omits it.

    name : str or None, default=None
        Name of the curve in the legend, for several displays on one axes. Each of them has its own
        line style.

    baselines : dict of str to float, DataFrame or None, default=None
        Scores to draw as broken lines, by name, such as ``{"chance": 0.5}``; or a frame with the
        columns ``name`` and ``score``, such as `sklearn_neurox.evaluation.baseline_table` returns,
        without its row ``"probe"``.

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

    baseline_lines_ : list of Line2D
        One line per baseline and panel.

    legend_ : Legend
        The legend.

    See Also
    --------
    sklearn_neurox.ablation.ablation_curve : Compute the curve.

    Notes
    -----
    Two slashes at the foot of the vertical axis mean that it does not start at zero. The horizontal
    axis is logarithmic if the largest fraction is at least 100 times the smallest.

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
        self,
        frame: pd.DataFrame,
        *,
        score_name: str = "score",
        band_name: str = "spread",
        name: str | None = None,
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
    ):
        self.frame = frame
        self.score_name = score_name
        self.band_name = band_name
        self.name = name
        self.baselines = baselines

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
            Axes to draw on: one for all ways, or one per way. None creates a figure with a panel
            per way. Panels are side by side, or one above the other if ``figsize`` is less than 5
            inches wide and has at least 1.5 inches of height for each.

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
        levels = read_levels(self.baselines, caller=type(self).__name__)
        ways = self.frame["way"].unique().tolist()
        self.axes_ = axes = self._open(ways, ax, figsize)
        self.ax_, self.figure_ = axes[0], axes[0].figure
        self.lines_: dict = {}
        self.bands_: dict = {}
        self.baseline_lines_: list = []
        for number, way in enumerate(ways):
            panel = axes[number % len(axes)]
            shared = _WAYS.setdefault(panel, [])
            self._draw_way(panel, way, _LINES[len(shared) % 4], line_kw, band_kw)
            names = [self.name] * (self.name is not None) + [way] * (len(axes) < len(ways))
            shared.append(", ".join(names) or way)
        if len(axes) > 1:
            title_panels(axes, ways)
        for panel in axes:
            self.baseline_lines_ += draw_levels(panel, levels, self.name)
        self._label(legend_kw, ax is None, grow=ax is None and figsize is None)
        return self

    def _open(self, ways, ax, figsize):
        n_ways = len(ways)
        is_stacked = figsize is not None and figsize[0] < 5 and figsize[1] >= 1.5 * n_ways
        panels = {"nrows" if is_stacked else "ncols": n_ways, "sharex": True, "sharey": True}
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
            defaults = {"color": ink(ax), "linestyle": (0, (4, 3)), "linewidth": 1}
            line = ax.axhline(everything.iloc[0], **style(defaults, line_kw))
            self.lines_[way, "all"] = line
        for which, marker in _MARKERS.items():
            points = rows[rows["which"] == which].sort_values("fraction")
            if points.empty:
                continue
            x = 100 * points["fraction"]
            look = {"color": kept_color(ax, which), "marker": marker, "markersize": 4}
            defaults = {**look, "linestyle": linestyle}
            (line,) = ax.plot(x, points["score"], **style(defaults, line_kw))
            self.lines_[way, which] = line
            band = draw_band(ax, line, x, points["low"], points["high"], band_kw, self.band_name)
            self.bands_[way, which] = band

    def _label(self, legend_kw, is_own, grow):
        n_panels = len(self.axes_)
        ablated = self.frame[self.frame["which"] != "all"]
        for ax in self.axes_:
            finish_axes(ax, x="neurons kept (%)", y=self.score_name)
            mark_cut_axis(ax)
            if is_own:
                ax.label_outer()
        if is_own and n_panels > 1:
            share_labels(self.axes_, self.score_name)
        self.legend_ = legend_above(
            self.ax_,
            *self._entries(),
            user=legend_kw,
            over_figure=is_own and n_panels > 1,
            over_title=n_panels > 1,
            grow=grow,
        )
        fit_measured(self.axes_, 100 * ablated["fraction"])

    def _entries(self):
        from matplotlib.lines import Line2D

        lines = {which: line for (_, which), line in self.lines_.items()}
        names = {which: which for which in _MARKERS} | {"all": "all neurons"}
        entries = [(lines[which], name) for which, name in names.items() if which in lines]
        shared = _WAYS[self.ax_]
        if len(shared) > 1:
            for number, way in enumerate(shared):
                look = {"color": gray(self.ax_), "linestyle": _LINES[number % 4]}
                entries.append((Line2D([], [], **look), way))
        levels = {line.get_label(): line for line in self.baseline_lines_}
        entries += [(line, label) for label, line in levels.items()]
        entries += [(band, band.get_label()) for band in band_entries(*self.axes_)]
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
        name: str | None = None,
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
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

        name : str or None, default=None
            Name of the curve in the legend, as for the class.

        baselines : dict of str to float, DataFrame or None, default=None
            Scores to draw as broken lines, as for the class.

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
            If a column is missing or has a wrong type, the frame holds several probes, rankings or
            other measurements that a mean would mix, or intervals are asked for without ``words``.
        """
        caller = f"{cls.__name__}.from_frame"
        check_option("band", band, BANDS, caller=caller)
        summary = ablation_points(frame, words, band=band, confidence=confidence, caller=caller)
        label = band_label(band, confidence)
        display = cls(
            summary, score_name=score_name, band_name=label, name=name, baselines=baselines
        )
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
        name: str | None = None,
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
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

        name, baselines : object
            See `from_frame`.

        ax, figsize, line_kw, band_kw, legend_kw : object
            See `plot`.

        **curve_params : dict
            The other parameters of `ablation_curve`, such as ``ranker`` and ``groups``.

        Returns
        -------
        display : AblationCurveDisplay
            The display, drawn.
        """
        read_levels(baselines, caller=cls.__name__)  # raise errors before the long computation
        check_option("band", band, BANDS, caller=f"{cls.__name__}.from_estimator")
        found = ablation_curve(estimator, X, y, **curve_params, return_words=band == "interval")
        curve, words = found if band == "interval" else (found, None)
        probe = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        return cls.from_frame(
            curve,
            band=band,
            words=words,
            confidence=confidence,
            score_name=score_name(curve_params.get("scoring"), probe),
            name=name,
            baselines=baselines,
            ax=ax,
            figsize=figsize,
            line_kw=line_kw,
            band_kw=band_kw,
            legend_kw=legend_kw,
        )
