# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.inspection._displays._drawing import (
    draw_band,
    draw_levels,
    finish_axes,
    mark_cut_axis,
    open_axes,
    score_name,
    series_styles,
    style,
)
from sklearn_neurox.inspection._displays._frames import (
    band_label,
    check_unique,
    confidence_of,
    read_columns,
    read_levels,
    read_numbers,
)
from sklearn_neurox.inspection._displays._labels import (
    fit_names,
    integer_ticks,
    name_places,
    plain_label,
)
from sklearn_neurox.inspection._displays._legend import (
    band_entries,
    legend_above,
    named_lines,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        Scores to draw as broken lines, by name; or a frame with the columns ``name`` and ``score``,
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
        is_own = ax is None and figsize is None
        ax = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=3.0)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.bands_ = [], []
        levels = read_levels(self.baselines, caller=type(self).__name__)
        frame, names = self._placed()
        series = self._series(frame)
        for (label, rows), look in zip(series, series_styles(ax, len(series)), strict=True):
            rows = rows.sort_values("place")
            defaults = {**look, "markersize": 4, "label": label}
            (line,) = ax.plot(rows["place"], rows["score"], **style(defaults, line_kw))
            self.lines_.append(line)
            if "low" in rows:
                low, high = (rows[end].where(rows["score"].notna()) for end in ("low", "high"))
                band = draw_band(ax, line, rows["place"], low, high, band_kw, self.band_name)
                self.bands_.append(band)
        finish_axes(ax, x="layer", y=self.score_name)
        self.baseline_lines_ = draw_levels(ax, levels, self.name)
        mark_cut_axis(ax)
        bands = band_entries(ax)
        handles = [*named_lines(ax), *bands]
        labels = [handle.get_label() for handle in handles]
        least = 1 if bands or levels else 2
        self.legend_ = legend_above(ax, handles, labels, user=legend_kw, least=least, grow=is_own)
        if names is None:
            integer_ticks(ax.xaxis)
        else:
            fit_names(ax, ax.xaxis)
        return self

    def _placed(self):
        """Return the frame with the place of each layer on the axis, and the names of layers."""
        layers = self.frame["layer"]
        numbers = pd.to_numeric(layers.astype(object), errors="coerce")
        if numbers.notna().all():
            return self.frame.assign(place=numbers.astype(float)), None
        names = layers.astype(str).tolist()
        places = name_places(self.ax_.xaxis, names)
        return self.frame.assign(place=[places[name] for name in names]), names

    def _series(self, frame):
        """Return the label and the rows of each line."""
        # Beside named baselines, the reader must know what the line is.
        unnamed = "_" if self.baselines is None else "probe"
        if "component" not in frame:
            return [(_shown(self.name) or unnamed, frame)]
        series = []
        several = frame["component"].nunique(dropna=False) > 1
        for component, rows in frame.groupby("component", sort=False, dropna=False, observed=True):
            names = [self.name] * (self.name is not None) + [str(component)] * several
            series.append((_shown(" ".join(names)) or unnamed, rows))
        return series

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        score_name: str = "score",
        name: str | None = None,
        band_name: str | None = None,
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
            present. Layers are numbers, or names that are drawn in the order of the frame.

        score_name : str, default="score"
            Name of the score, for the axis label.

        name : str or None, default=None
            Name of the line in the legend.

        band_name : str or None, default=None
            Name of the intervals in the legend; ``""`` omits it. None takes the level from
            ``frame.attrs["confidence"]``, as in ``"95% interval"``. Without this entry, as in a
            frame that was read from a CSV file, the name is ``"interval"``.

        baselines : dict of str to float, DataFrame or None, default=None
            Scores to draw as broken lines, as for the class.

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
            If a column is missing, a layer is missing or occurs twice, a score, bound or baseline
            is not a number, or a lower bound exceeds the upper one.
        """
        caller = f"{cls.__name__}.from_frame"
        if band_name is None:
            level = confidence_of(frame)
            band_name = "interval" if level is None else band_label("interval", level)
        frame = read_columns(frame, ["layer", "score"], caller=caller)
        if ("low" in frame) != ("high" in frame):
            read_columns(frame, ["low", "high"], caller=caller)
        columns = [c for c in ("component", "layer", "score", "low", "high") if c in frame]
        # With `n_layers`, layers have a number but no component.
        if "component" in columns and frame["component"].isna().all():
            columns.remove("component")
        check_unique(frame, [c for c in columns if c in ("component", "layer")], caller=caller)
        frame = read_numbers(
            frame, [c for c in columns if c not in ("component", "layer")], caller=caller
        )
        _check_rows(frame, caller)
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
            Scores to draw as broken lines, as for the class.

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
        read_levels(baselines, caller=cls.__name__)  # raise errors before the long computation
        profile = layer_profile(estimator, X, y, groups=groups, **profile_params)
        if isinstance(profile, tuple):  # with tables of words or pairs, which are not drawn
            profile = profile[0]
        return cls.from_frame(
            profile,
            score_name=score_name(profile_params.get("scoring"), estimator),
            name=name,
            baselines=baselines,
            ax=ax,
            figsize=figsize,
            line_kw=line_kw,
            band_kw=band_kw,
            legend_kw=legend_kw,
        )


def _shown(name):
    """Return a name that matplotlib does not hide for its underscore; keep None."""
    return plain_label(name, longest=len(str(name))) if str(name or "").startswith("_") else name


def _check_rows(frame, caller):
    """Raise an error for rows without a layer, and for bounds in the wrong order."""
    checks = [("has no layer", frame["layer"].isna())]
    if "low" in frame:
        checks.append(("has a 'low' above its 'high'", frame["low"] > frame["high"]))
    for what, wrong in checks:
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise ValueError(f"{caller}: row {row} {what} ({int(wrong.sum())} such rows).")
