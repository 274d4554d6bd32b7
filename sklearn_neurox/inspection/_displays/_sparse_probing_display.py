# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import is_classifier

from sklearn_neurox.evaluation._sparse_probing_curve import sparse_probing_curve
from sklearn_neurox.inspection._displays._drawing import (
    check_option,
    draw_band,
    draw_levels,
    finish_axes,
    gray,
    mark_cut_axis,
    open_axes,
    score_name,
    series_styles,
    style,
)
from sklearn_neurox.inspection._displays._frames import (
    BANDS,
    band_label,
    check_one_measurement,
    read_columns,
    read_levels,
    read_numbers,
    summarize,
)
from sklearn_neurox.inspection._displays._labels import fit_values, plain_label
from sklearn_neurox.inspection._displays._legend import (
    band_entries,
    legend_above,
    named_lines,
)
from sklearn_neurox.probes._default_probe import default_probe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = ["ranker", "labels", "n_neurons", "score"]
_SHUFFLED = "_neurox shuffled labels"  # not in the legend by itself


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

    baselines : dict of str to float, DataFrame or None, default=None
        Scores to draw as broken lines, by name, such as ``{"all neurons": 0.8}``; or a frame with
        the columns ``name`` and ``score``, such as `sklearn_neurox.evaluation.baseline_table`
        returns, without its row ``"probe"``.

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

    baseline_lines_ : list of Line2D
        One line per baseline.

    legend_ : Legend or None
        The legend.

    See Also
    --------
    sklearn_neurox.evaluation.sparse_probing_curve : Compute the curve.

    Notes
    -----
    Two slashes at the foot of the vertical axis mean that it does not start at zero.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> from sklearn_neurox.inspection import SparseProbingDisplay
    >>> planted = make_planted_neurons(200, 10, n_informative=2, n_classes=2, random_state=0)
    >>> display = SparseProbingDisplay.from_data(
    ...     planted.X, planted.y, n_neurons=[1, 2], groups=range(200),
    ...     estimator=LogisticRegression(), random_state=0
    ... )
    >>> display.lines_["best subset", "true"].get_xdata().tolist()
    [1, 2]
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        score_name: str = "score",
        band_name: str = "spread",
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
    ):
        self.frame = frame
        self.score_name = score_name
        self.band_name = band_name
        self.baselines = baselines

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
            Axes to draw on; None creates a figure. Lines already on the axes keep their colors.

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
        levels = read_levels(self.baselines, caller=type(self).__name__)
        is_own = ax is None and figsize is None
        ax = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=3.2)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: dict = {}
        self.bands_: dict = {}
        rankers = [name for name in self.frame["ranker"].unique() if name != "random"]
        looks = dict(zip(rankers, series_styles(ax, len(rankers)), strict=True))
        looks["random"] = {"color": gray(ax), "marker": "s"}
        measured = self.frame.groupby(["ranker", "labels"], sort=False, observed=True)
        for (ranker, labels), points in measured:
            self._draw(ranker, labels, points.sort_values("n_neurons"), looks, line_kw, band_kw)
        self.baseline_lines_ = draw_levels(ax, levels)
        self._label(ax, legend_kw, is_own)
        return self

    def _draw(self, ranker, labels, points, looks, line_kw, band_kw):
        ax, x = self.ax_, points["n_neurons"]
        is_control = labels == "shuffled"
        has_both = is_control and (self.frame["ranker"] == ranker).sum() > len(points)
        defaults = {
            **looks[ranker],
            "linestyle": "--" if is_control else "-",
            "markersize": 4,
            "label": _SHUFFLED if has_both else plain_label(ranker, longest=40),
        }
        (line,) = ax.plot(x, points["score"], **style(defaults, line_kw))
        self.lines_[ranker, labels] = line
        limits = points["low"], points["high"]
        self.bands_[ranker, labels] = draw_band(ax, line, x, *limits, band_kw, self.band_name)

    def _label(self, ax, legend_kw, is_own):
        from matplotlib.lines import Line2D

        ax.set_xscale("log", base=2)
        finish_axes(ax, x="number of neurons", y=self.score_name)
        mark_cut_axis(ax)
        handles = named_lines(ax)
        if any(labels == "shuffled" for _, labels in self.lines_):
            look = {"color": gray(ax), "linestyle": "--", "label": "shuffled labels"}
            handles.append(Line2D([], [], **look))
        handles += band_entries(ax)
        labels = [handle.get_label() for handle in handles]
        self.legend_ = legend_above(ax, handles, labels, user=legend_kw, grow=is_own)
        # Other displays may have drawn on the axes, too.
        curves = [line for line in ax.lines if line.get_marker() != "None"]
        sizes = sorted({float(size) for line in curves for size in line.get_xdata()})
        fit_values(ax, sizes, [f"{size:.15g}" for size in sizes])

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        band: str = "std",
        words: pd.DataFrame | None = None,
        confidence: float = 0.95,
        score_name: str = "score",
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
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

        baselines : dict of str to float, DataFrame or None, default=None
            Scores to draw as broken lines, as for the class.

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
            If a column is missing or has a wrong type, there are no rows, the frame holds
            measurements that a mean would mix, ``band`` is not one of the options, or intervals are
            asked for without ``words``.
        """
        caller = f"{cls.__name__}.from_frame"
        check_option("band", band, BANDS, caller=caller)
        frame = read_columns(frame, _COLUMNS, caller=caller)
        frame = read_numbers(frame, ["n_neurons", "score"], caller=caller)
        frame = frame.astype({"n_neurons": int})
        check_one_measurement(frame, _COLUMNS[:3], caller=caller)
        options = {"band": band, "confidence": confidence, "caller": caller}
        points = summarize(frame, words, _COLUMNS[:3], **options)
        label = band_label(band, confidence)
        display = cls(points, score_name=score_name, band_name=label, baselines=baselines)
        return display.plot(ax=ax, **plot_params)

    @classmethod
    def from_data(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        *,
        band: str = "std",
        confidence: float = 0.95,
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
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

        baselines : dict of str to float, DataFrame or None, default=None
            Scores to draw as broken lines, as for the class.

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
        read_levels(baselines, caller=cls.__name__)  # raise errors before the long computation
        check_option("band", band, BANDS, caller=f"{cls.__name__}.from_data")
        found = sparse_probing_curve(X, y, **curve_params, return_words=band == "interval")
        curve, words = found if band == "interval" else (found, None)
        scoring = curve_params.get("scoring")
        estimator = curve_params.get("estimator") or default_probe(np.asarray(y))
        if scoring is None and is_classifier(estimator):  # the default of the curve
            scoring = "matthews_corrcoef"
        return cls.from_frame(
            curve,
            band=band,
            words=words,
            confidence=confidence,
            score_name=score_name(scoring, estimator),
            baselines=baselines,
            ax=ax,
            figsize=figsize,
            line_kw=line_kw,
            band_kw=band_kw,
            legend_kw=legend_kw,
        )
