# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.inspection._displays._drawing import (
    GRAY,
    check_unique,
    draw_band,
    finish_axes,
    integer_ticks,
    legend_above,
    mark_cut_axis,
    name_band,
    open_axes,
    read_columns,
    score_name,
    series_style,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BASELINE = "neurox-baseline"


class LayerProfileDisplay:
    """Plot of the score of each layer alone, with intervals.

    Create it with `from_frame` or `from_estimator`.

    Parameters
    ----------
    frame : DataFrame
        One row per layer, with the columns ``layer`` and ``score``. Optional columns are ``low``
        and ``high``, the ends of an interval, and ``component``, which draws one line per
        component. Other columns are ignored.

    score_name : str, default="score"
        Name of the score, for the axis label.

    name : str or None, default=None
        Name of the line in the legend, for several displays in one plot. None omits it, or names
        the line ``"probe"`` if there are baselines.

    band_name : str, default="interval"
        Name of the intervals in the legend.

    baselines : dict of str to float, DataFrame or None, default=None
        Scores to draw as dotted lines, by name; or a frame with the columns ``name`` and ``score``,
        such as `sklearn_neurox.evaluation.baseline_table` returns, without its row ``"probe"``.

    Attributes
    ----------
    ax_ : Axes
        The axes.

    figure_ : Figure
        The figure.

    lines_ : list of Line2D
        One line per component.

    bands_ : list of PolyCollection
        The intervals, one band per component; empty if the frame has no intervals.

    baseline_lines_ : list of Line2D
        One line per baseline.

    legend_ : Legend or None
        The legend; None with a single line without intervals and baselines.

    See Also
    --------
    sklearn_neurox.evaluation.layer_profile : Compute the scores that `from_estimator` draws.
    sklearn_neurox.selection.LayerSelector : Select layers.

    Notes
    -----
    Two slashes at the foot of the vertical axis mean that it does not start at zero.

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

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        score_name: str = "score",
        name: str | None = None,
        band_name: str = "interval",
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
    ):
        self.frame = frame
        self.score_name = score_name
        self.name = name
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
    ) -> "LayerProfileDisplay":
        """Draw the plot.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to draw on; None creates a figure. Lines already on the axes keep their colors.

        figsize : tuple of float or None, default=None
            Width and height of a new figure in inches, such as ``(3.3, 2.2)`` for one column of
            a paper.

        line_kw, band_kw, legend_kw : dict or None, default=None
            Style of the lines (`matplotlib.lines.Line2D`), the intervals
            (`matplotlib.axes.Axes.fill_between`) and the legend.

        Returns
        -------
        display : LayerProfileDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=3.0)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.bands_, self.baseline_lines_ = [], [], []
        levels = _levels(self.baselines)
        for label, rows in self._series():
            n_before = sum(line.get_gid() != _BASELINE for line in ax.lines)
            defaults = {**series_style(n_before), "markersize": 4, "label": label}
            (line,) = ax.plot(rows["layer"], rows["score"], **style(defaults, line_kw))
            self.lines_.append(line)
            if "low" in rows:
                band = draw_band(ax, line, rows["layer"], rows["low"], rows["high"], band_kw)
                self.bands_.append(band)
        finish_axes(ax, x="layer", y=self.score_name)
        integer_ticks(ax.xaxis)
        for number, (level, score) in enumerate(levels.items()):
            dashes = (0, (1 + 2 * number, 2))
            look: dict[str, Any] = {"color": GRAY, "linestyle": dashes, "linewidth": 1}
            line = ax.axhline(score, label=level, gid=_BASELINE, **look)
            self.baseline_lines_.append(line)
        mark_cut_axis(ax)
        named = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
        if self.bands_ and self.band_name:
            named.append(name_band(self.bands_[0], self.band_name))
        labels = [handle.get_label() for handle in named]
        least = 1 if self.bands_ or levels else 2
        self.legend_ = legend_above(ax, named, labels, user=legend_kw, least=least)
        return self

    def _series(self):
        # Beside named baselines, the reader must know what the line is.
        unnamed = "_" if self.baselines is None else "probe"
        if "component" not in self.frame:
            yield self.name or unnamed, self.frame.sort_values("layer")
            return
        several = self.frame["component"].nunique() > 1
        for component, rows in self.frame.groupby("component", sort=False, dropna=False):
            names = [self.name] * (self.name is not None) + [str(component)] * several
            yield " ".join(names) or unnamed, rows.sort_values("layer")

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        score_name: str = "score",
        name: str | None = None,
        band_name: str = "interval",
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
        ax: "Axes | None" = None,
        **plot_params: Any,
    ) -> "LayerProfileDisplay":
        """Draw scores that are already computed.

        Parameters
        ----------
        frame : DataFrame
            One row per layer, such as `sklearn_neurox.evaluation.layer_profile` returns. The
            columns ``layer`` and ``score`` are read, and ``low``, ``high`` and ``component`` if
            present.

        score_name : str, default="score"
            Name of the score, for the axis label.

        name : str or None, default=None
            Name of the line in the legend.

        band_name : str, default="interval"
            Name of the intervals in the legend, such as ``"95% interval"``; ``""`` omits it.

        baselines : dict of str to float, DataFrame or None, default=None
            Scores to draw as dotted lines, as for the class.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : LayerProfileDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a column is missing, or a layer occurs twice.
        """
        caller = f"{cls.__name__}.from_frame"
        frame = read_columns(frame, ["layer", "score"], caller=caller)
        if ("low" in frame) != ("high" in frame):
            read_columns(frame, ["low", "high"], caller=caller)
        columns = [c for c in ("component", "layer", "score", "low", "high") if c in frame]
        # With `n_layers`, layers have a number but no component.
        if "component" in columns and frame["component"].isna().all():
            columns.remove("component")
        check_unique(frame, [c for c in columns if c in ("component", "layer")], caller=caller)
        display = cls(
            frame[columns],
            score_name=score_name,
            name=name,
            band_name=band_name,
            baselines=baselines,
        )
        return display.plot(ax=ax, **plot_params)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike,
        *,
        groups: ArrayLike,
        name: str | None = None,
        baselines: "Mapping[str, float] | pd.DataFrame | None" = None,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
        line_kw: dict | None = None,
        band_kw: dict | None = None,
        legend_kw: dict | None = None,
        **profile_params: Any,
    ) -> "LayerProfileDisplay":
        """Score a probe on each layer alone and draw the scores.

        The intervals are those of `layer_profile`, by groups of held-out words.

        Parameters
        ----------
        estimator : estimator instance
            The probe, cloned and fitted for each layer and fold.

        X : array-like of shape (n_samples, n_features), or DataFrame of words
            The activations of several layers, or the input of ``features``.

        y : array-like of shape (n_samples,)
            The labels or targets.

        groups : array-like of shape (n_samples,)
            Groups that the intervals treat as independent, never split across folds; for words,
            ``words["text"]``.

        name : str or None, default=None
            Name of the line in the legend.

        baselines : dict of str to float, DataFrame or None, default=None
            Scores to draw as dotted lines, as for the class.

        ax, figsize, line_kw, band_kw, legend_kw : object
            See `plot`.

        **profile_params : dict
            The other parameters of `sklearn_neurox.evaluation.layer_profile`, such as
            ``features``, ``n_layers``, ``cv``, ``scoring`` and ``n_jobs``.

        Returns
        -------
        display : LayerProfileDisplay
            The display, drawn; its ``frame`` has the columns ``component`` (not with
            ``n_layers``), ``layer``, ``score``, ``low`` and ``high``.

        Raises
        ------
        ValueError
            If neither names nor ``n_layers`` give the layers, or `layer_profile` rejects a
            parameter.
        """
        _levels(baselines)  # an error now, not after minutes
        profile = layer_profile(estimator, X, y, groups=groups, **profile_params)
        if isinstance(profile, tuple):  # with tables of words or pairs, which are not drawn
            profile = profile[0]
        return cls.from_frame(
            profile,
            score_name=score_name(profile_params.get("scoring"), estimator),
            name=name,
            band_name=f"{100 * profile_params.get('confidence', 0.95):g}% interval",
            baselines=baselines,
            ax=ax,
            figsize=figsize,
            line_kw=line_kw,
            band_kw=band_kw,
            legend_kw=legend_kw,
        )


def _levels(baselines):
    """Return the scores of baselines by name."""
    if baselines is None or isinstance(baselines, Mapping):
        scores = dict(baselines or {})
    else:
        caller = "LayerProfileDisplay"
        table = read_columns(baselines, ["name", "score"], caller=caller, name="baselines")
        scores = dict(zip(table["name"].astype(str), table["score"], strict=True))
    for name, score in scores.items():
        if isinstance(score, bool) or not isinstance(score, Real):
            raise TypeError(
                "The 'baselines' parameter of LayerProfileDisplay must hold one number for each "
                f"baseline, but that of {name!r} is {score!r:.60}."
            )
    return {name: score for name, score in scores.items() if name != "probe"}
