# SPDX-License-Identifier: BSD-3-Clause
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.inspection._displays._drawing import (
    draw_band,
    finish_axes,
    gray,
    ink,
    mark_cut_axis,
    open_axes,
    score_name,
    series_styles,
    style,
)
from sklearn_neurox.inspection._displays._labels import fit_values, plain_label
from sklearn_neurox.inspection._displays._legend import band_entries, legend_above, named_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAND = "± 1 standard error"
_WEIGHTS = "neurox-nonzero-weights"
_FITTED = ("alphas_", "scores_", "n_nonzero_", "alpha_", "l1_ratio_")


class RegularizationPathDisplay:
    """Plot of the score and the number of non-zero weights against the penalty strength.

    Create it with `from_estimator`. The score is the mean over folds, with its standard error if
    there are several. The dotted lines, on the right axis, are the number of non-zero weights,
    averaged over folds.

    Parameters
    ----------
    frame : DataFrame
        One row per penalty, with the columns ``l1_ratio``, ``alpha``, ``score``,
        ``standard_error`` and ``n_nonzero``.

    alpha, l1_ratio : float
        The chosen penalty.

    score_name : str, default="score"
        Name of the score, for the axis label.

    name : str or None, default=None
        Name of the path in the legend, for several displays on one axes.

    Attributes
    ----------
    ax_ : Axes
        The axes of the scores.

    ax_nonzero_ : Axes
        The axes of the numbers of weights.

    figure_ : Figure
        The figure.

    lines_, bands_, nonzero_lines_ : list
        The scores, their standard errors, and the numbers of weights, one element per
        ``l1_ratio``.

    chosen_line_, chosen_point_ : Line2D
        The vertical line at the chosen alpha, and the star at its score.

    legend_ : Legend
        The legend.

    See Also
    --------
    sklearn_neurox.probes.ElasticNetProbeClassifierCV : Compute the path.

    Notes
    -----
    Two slashes at the foot of the vertical axis mean that it does not start at zero.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import KFold
    >>> from sklearn_neurox.inspection import RegularizationPathDisplay
    >>> from sklearn_neurox.probes import ElasticNetProbeClassifierCV
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = ElasticNetProbeClassifierCV(
    ...     alphas=[0.01, 0.1], cv=KFold(3), standardize=True, random_state=0
    ... ).fit(X, y)
    >>> display = RegularizationPathDisplay.from_estimator(probe)
    >>> display.lines_[0].get_xdata().tolist()
    [0.1, 0.01]
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        alpha: float,
        l1_ratio: float,
        score_name: str = "score",
        name: str | None = None,
    ):
        self.frame = frame
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.score_name = score_name
        self.name = name

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
        line_kw: dict | None = None,
        band_kw: dict | None = None,
        nonzero_kw: dict | None = None,
        legend_kw: dict | None = None,
    ) -> "RegularizationPathDisplay":
        """Draw the plot.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to draw on; a second axes over it holds the weights. None creates a figure. Lines
            already on the axes keep their colors.

        figsize : tuple of float or None, default=None
            Width and height of a new figure in inches, such as ``(3.3, 2.4)`` for one column of
            a paper.

        line_kw, band_kw, nonzero_kw, legend_kw : dict or None, default=None
            Style of the scores (`matplotlib.lines.Line2D`), their standard errors
            (`matplotlib.axes.Axes.fill_between`), the numbers of weights
            (`matplotlib.lines.Line2D`) and the legend.

        Returns
        -------
        display : RegularizationPathDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        is_own = ax is None and figsize is None
        ax = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=3.2)
        self.ax_, self.figure_ = ax, ax.figure
        self.ax_nonzero_ = _second_axes(ax)
        self.lines_: list = []
        self.bands_: list = []
        self.nonzero_lines_: list = []
        ratios = self.frame.sort_values("alpha", ascending=False).groupby("l1_ratio")
        for (ratio, rows), look in zip(ratios, series_styles(ax, len(ratios)), strict=True):
            self._draw_ratio(ratio, rows, look, line_kw, band_kw, nonzero_kw)
        self._mark_chosen()
        self._scale()
        finish_axes(ax, x="alpha", y=self.score_name)
        finish_axes(self.ax_nonzero_, x="", y="non-zero weights", grid=None)
        self.ax_nonzero_.spines["right"].set_visible(True)
        self.ax_nonzero_.set_ylim(bottom=0)
        mark_cut_axis(ax)
        self.legend_ = legend_above(ax, *self._entries(), user=legend_kw, grow=is_own)
        alphas = sorted(self.frame["alpha"].unique())
        if alphas[-1] < 10 * alphas[0] or not alphas[0]:
            fit_values(ax, alphas, [f"{alpha:.3g}" for alpha in alphas])
        return self

    def _scale(self):
        """Make the axis logarithmic; a penalty of zero has a place at its end."""
        alphas = self.frame["alpha"]
        if (alphas == 0).any():
            smallest = alphas[alphas > 0].min()
            self.ax_.set_xscale("symlog", linthresh=smallest if smallest > 0 else 1.0)
            return
        if alphas.nunique() == 1:
            self.ax_.set_xlim(alphas.min() / 10, alphas.max() * 10)
        self.ax_.set_xscale("log")

    def _draw_ratio(self, ratio, rows, look, line_kw, band_kw, nonzero_kw):
        several = self.frame["l1_ratio"].nunique() > 1
        names = [self.name] * (self.name is not None) + [f"l1_ratio={ratio:g}"] * several
        label = plain_label(" ".join(names) or self.score_name, longest=40)
        defaults = {**look, "markersize": 4, "label": label, "zorder": 3}
        (line,) = self.ax_.plot(rows["alpha"], rows["score"], **style(defaults, line_kw))
        low = rows["score"] - rows["standard_error"]
        high = rows["score"] + rows["standard_error"]
        band = draw_band(self.ax_, line, rows["alpha"], low, high, band_kw, _BAND)
        defaults = {"color": line.get_color(), "linestyle": ":", "linewidth": 1.5}
        (nonzero,) = self.ax_nonzero_.plot(
            rows["alpha"], rows["n_nonzero"], **style(defaults, nonzero_kw)
        )
        self.lines_.append(line)
        self.bands_.append(band)
        self.nonzero_lines_.append(nonzero)

    def _mark_chosen(self):
        look = {"color": ink(self.ax_), "linewidth": 0.8, "zorder": 1}
        self.chosen_line_ = self.ax_.axvline(self.alpha, label="_neurox chosen", **look)
        rows = self.frame
        chosen = rows[(rows["alpha"] == self.alpha) & (rows["l1_ratio"] == self.l1_ratio)]
        (self.chosen_point_,) = self.ax_.plot(
            chosen["alpha"],
            chosen["score"],
            color=ink(self.ax_),
            linestyle="none",
            marker="*",
            markersize=11,
            markeredgecolor=self.ax_.get_facecolor(),
            zorder=4,
        )

    def _entries(self):
        from matplotlib.lines import Line2D

        handles = named_lines(self.ax_)
        weights = Line2D([], [], color=gray(self.ax_), linestyle=":", label="non-zero weights")
        bands = band_entries(self.ax_)
        handles += [*bands, weights]
        labels = [handle.get_label() for handle in handles]
        return [*handles, self.chosen_point_], [*labels, "chosen"]

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        name: str | None = None,
        ax: "Axes | None" = None,
        **plot_params: Any,
    ) -> "RegularizationPathDisplay":
        """Draw the regularization path that a fitted probe searched.

        Parameters
        ----------
        estimator : ElasticNetProbeClassifierCV or ElasticNetProbeRegressorCV
            A fitted probe.

        name : str or None, default=None
            Name of the path in the legend.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : RegularizationPathDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the probe is not fitted.

        TypeError
            If the probe has no path.
        """
        check_is_fitted(estimator)
        lacking = [name for name in _FITTED if not hasattr(estimator, name)]
        if lacking:
            raise TypeError(
                f"{cls.__name__}.from_estimator draws the path of an ElasticNetProbeClassifierCV "
                f"or ElasticNetProbeRegressorCV; {type(estimator).__name__} has no {lacking[0]!r}."
            )
        display = cls(
            _path(estimator),
            alpha=estimator.alpha_,
            l1_ratio=estimator.l1_ratio_,
            score_name=score_name(estimator.scoring, estimator),
            name=name,
        )
        return display.plot(ax=ax, **plot_params)


def _second_axes(ax):
    """Return the axes of the weights over the axes of the scores, which may be there already."""
    for other in ax.figure.axes:
        if other.get_gid() == _WEIGHTS and ax.get_shared_x_axes().joined(ax, other):
            return other
    twin = ax.twinx()
    twin.set_gid(_WEIGHTS)
    return twin


def _path(probe):
    scores, n_folds = probe.scores_, len(probe.scores_)
    ratios = np.atleast_1d(probe.l1_ratio)
    alphas = np.broadcast_to(probe.alphas_, scores.shape[1:])
    error = scores.std(axis=0, ddof=1) / np.sqrt(n_folds) if n_folds > 1 else np.nan * scores[0]
    return pd.DataFrame(
        {
            "l1_ratio": np.repeat(ratios, alphas.shape[1]),
            "alpha": alphas.ravel(),
            "score": scores.mean(axis=0).ravel(),
            "standard_error": error.ravel(),
            "n_nonzero": probe.n_nonzero_.mean(axis=0).ravel(),
        }
    )
