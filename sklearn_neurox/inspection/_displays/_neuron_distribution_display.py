# SPDX-License-Identifier: BSD-3-Clause
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sklearn_neurox.inspection._displays._drawing import (
    N_COLORS,
    annotate_cells,
    check_option,
    finish_axes,
    numbers_fit,
    open_axes,
    series_color,
    shrink_ticks,
    style,
)
from sklearn_neurox.inspection._displays._labels import (
    fit_names,
    fit_values,
    integer_ticks,
    label_ticks,
)
from sklearn_neurox.inspection._displays._legend import legend_above
from sklearn_neurox.inspection._displays._neuron_counts import GROUPS, count_rows
from sklearn_neurox.inspection._tables._neuron_table import neuron_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = ("auto", "bar", "heatmap", "total")
# One color per part of a bar.
_MOST_PARTS = N_COLORS
# Further parts have the same colors again.
_HATCHES = ("", "////", "....", "xxxx")


class NeuronDistributionDisplay:
    """Plot of the number of selected neurons in each layer, by component or by class.

    Create it with `from_estimator` or `from_frame`.

    Parameters
    ----------
    frame : DataFrame of shape (n_groups, n_layers)
        Numbers of neurons, with components or classes in the index and layers in the columns.

    by : {"component", "class"}, default="component"
        Whether the groups are components or classes.

    Attributes
    ----------
    ax_ : Axes
        The axes.

    figure_ : Figure
        The figure.

    bars_ : list of BarContainer
        The bars, one container per group, or a single one for ``kind="total"``. Empty for a heat
        map.

    im_ : AxesImage or None
        The heat map.

    text_ : list of Text
        The numbers in the heat map; empty if they do not fit.

    legend_ : Legend or None
        The legend; None with a single group.

    See Also
    --------
    neuron_table : Compute the counts that `from_estimator` draws.
    sklearn_neurox.ranking : Rank and select neurons.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_neurox.inspection import NeuronDistributionDisplay
    >>> neurons = ["hidden.0.5", "hidden.2.1", "hidden.2.7", "mlp.2.3"]
    >>> display = NeuronDistributionDisplay.from_frame(pd.DataFrame({"neuron": neurons}))
    >>> display.frame
    layer      0  1  2
    component
    hidden     1  0  2
    mlp        0  0  1
    """

    def __init__(self, frame: pd.DataFrame, *, by: str = "component"):
        self.frame = frame
        self.by = by

    def plot(
        self,
        *,
        kind: str = "auto",
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
        bar_kw: dict | None = None,
        im_kw: dict | None = None,
        text_kw: dict | None = None,
        legend_kw: dict | None = None,
    ) -> "NeuronDistributionDisplay":
        """Draw the plot.

        Parameters
        ----------
        kind : {"auto", "bar", "heatmap", "total"}, default="auto"
            The kind of plot. ``"bar"`` draws one bar per layer, stacked by group; ``"heatmap"``
            draws one cell per group and layer; ``"total"`` draws one bar per group, over all
            layers. ``"auto"`` draws bars for up to 7 groups, which have distinguishable colors, and
            a heat map for more.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        figsize : tuple of float or None, default=None
            Width and height of a new figure in inches, such as ``(3.3, 2.2)`` for one column of
            a paper.

        bar_kw, im_kw, text_kw, legend_kw : dict or None, default=None
            Style of the bars (`matplotlib.axes.Axes.bar`), the heat map
            (`matplotlib.axes.Axes.imshow`), its numbers and the legend.

        Returns
        -------
        display : NeuronDistributionDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If the kind is unknown, or the axes already have bars.
        """
        check_option("kind", kind, _KINDS, caller=f"{type(self).__name__}.plot")
        n_groups = len(self.frame)
        if kind == "auto":
            kind = "bar" if n_groups <= _MOST_PARTS else "heatmap"
        is_own = ax is None and figsize is None
        height = 3.0 if kind == "bar" else 1.1 + 0.22 * n_groups
        ax = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=height)
        self.ax_, self.figure_ = ax, ax.figure
        self.bars_: list = []
        self.text_: list = []
        self.im_ = self.legend_ = None
        if kind == "bar":
            self._draw_bars(bar_kw, legend_kw, is_own)
        elif kind == "heatmap":
            self._draw_heat_map(im_kw, text_kw)
        else:
            self._draw_totals(bar_kw)
        return self

    def _draw_bars(self, bar_kw, legend_kw, is_own):
        if self.ax_.containers:
            raise ValueError(
                "The 'ax' parameter of NeuronDistributionDisplay.plot has bars already, which "
                "these would cover. Pass another axes, or count all neurons in one frame."
            )
        layers = self.frame.columns.to_numpy()
        bottom = np.zeros(len(layers))
        for number, counts in enumerate(self.frame.to_numpy()):
            defaults = {
                "color": series_color(self.ax_, number),
                "hatch": _HATCHES[number // _MOST_PARTS % len(_HATCHES)],
                "edgecolor": self.ax_.get_facecolor(),
                "linewidth": 0.5,
                "width": 0.8,
            }
            bars = self.ax_.bar(layers, counts, bottom=bottom, **style(defaults, bar_kw))
            self.bars_.append(bars)
            bottom += counts
        finish_axes(self.ax_, x="layer", y="neurons")
        integer_ticks(self.ax_.xaxis, self.ax_.yaxis)
        if len(layers) == 1:  # not one bar as wide as the axes
            self.ax_.set_xlim(layers[0] - 1.5, layers[0] + 1.5)
            self.ax_.set_xticks(layers)
        self.legend_ = legend_above(
            self.ax_, self.bars_, self.frame.index, user=legend_kw, grow=is_own
        )

    def _draw_heat_map(self, im_kw, text_kw):
        counts = self.frame.to_numpy(dtype=np.float64)
        # Even without neurons, the colors need a range.
        most = max(counts.max(), 1)
        defaults = {"cmap": "cividis", "vmin": 0, "vmax": most, "aspect": "auto"}
        self.im_ = self.ax_.imshow(counts, **style(defaults, im_kw))
        label_ticks(self.ax_.yaxis, self.frame.index)
        finish_axes(self.ax_, x="layer", y="", grid=None)
        # A color bar need not be as tall as 60 classes.
        height = self.ax_.get_window_extent().height / self.figure_.dpi
        place = {"shrink": min(1.0, 3.0 / height), "anchor": (0.0, 1.0)}
        bar = self.figure_.colorbar(self.im_, ax=self.ax_, label="neurons", **place)
        shrink_ticks(bar.ax)
        integer_ticks(bar.ax.yaxis)
        layers = [str(layer) for layer in self.frame.columns]
        fit_values(self.ax_, np.arange(len(layers)), layers)
        fit_names(self.ax_, self.ax_.yaxis)
        if numbers_fit(self.ax_, counts.shape, len(f"{most:.0f}")):
            self.text_ = annotate_cells(self.ax_, self.im_, counts, fmt="{:.0f}", user=text_kw)

    def _draw_totals(self, bar_kw):
        totals = self.frame.sum(axis=1)
        defaults = {"color": series_color(self.ax_, 0), "height": 0.75}
        bars = self.ax_.barh(np.arange(len(totals)), totals, **style(defaults, bar_kw))
        self.bars_ = [bars]
        label_ticks(self.ax_.yaxis, totals.index)
        self.ax_.set_ylim(len(totals) - 0.5, -0.5)
        finish_axes(self.ax_, x="neurons", y="", grid="x")
        integer_ticks(self.ax_.xaxis)
        fit_names(self.ax_, self.ax_.yaxis)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        by: str | None = None,
        ax: "Axes | None" = None,
        **plot_params: Any,
    ) -> "NeuronDistributionDisplay":
        """Count the neurons in a table and draw the counts.

        Parameters
        ----------
        frame : DataFrame
            One row per neuron, with its name in ``neuron`` or its layer in ``layer``. Optional
            columns are ``class``, for a neuron of one class; ``component``, which otherwise
            follows from the name; and ``n_selected``, for a row that stands for several neurons.

        by : {"component", "class"} or None, default=None
            The groups to count. None counts by class if the frame has that column, and otherwise
            by component.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : NeuronDistributionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If columns are missing, a layer is missing or not a whole number, a class is missing, or
            a number of neurons is missing or negative.
        """
        caller = f"{cls.__name__}.from_frame"
        table = count_rows(frame, by, caller=caller)
        return cls(table, by=table.index.name).plot(ax=ax, **plot_params)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        input_features: ArrayLike | None = None,
        n_layers: int | None = None,
        by: str = "component",
        n_neurons: int | float | None = None,
        mass: float | None = None,
        ax: "Axes | None" = None,
        **plot_params: Any,
    ) -> "NeuronDistributionDisplay":
        """Count the neurons that a fitted ranker or selector selects and draw the counts.

        Parameters
        ----------
        estimator : ranker or selector instance
            A fitted ranker or selector with ``get_support``, and for ``by="class"`` with
            ``class_order_``.

        input_features : array-like of str of shape (n_features,) or None, default=None
            The neuron names; None takes ``feature_names_in_``.

        n_layers : int or None, default=None
            The number of layers of equal size that the columns form, if they have no names.

        by : {"component", "class"}, default="component"
            The groups to count. ``"class"`` counts the best neurons of each class; a neuron counts
            once for each class for which it is among the best.

        n_neurons : int, float or None, default=None
            The number or fraction of best neurons to count: per class for ``by="class"``, overall
            otherwise. None counts the neurons that ``get_support`` marks or, by class, those that
            the ranker's own ``n_neurons`` or ``mass`` selects.

        mass : float or None, default=None
            Alternative to ``n_neurons`` for an `LCARanker`: count the neurons needed to make up
            this fraction, in (0, 1], of the weight mass: that of each class with ``by="class"``,
            and that of any class otherwise.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : NeuronDistributionDisplay
            The display, drawn, with all layers and groups of the columns, including those without
            selected neurons.

        Raises
        ------
        ValueError
            If the layers are unknown, if no neuron is selected or a ranker keeps all of them, or
            if there are no classes.
        """
        caller = f"{cls.__name__}.from_estimator"
        check_option("by", by, GROUPS, caller=caller)
        # With `n_layers`, columns have a layer but no component.
        keys = ["layer"] if by == "component" and n_layers is not None else [by, "layer"]
        table = neuron_table(
            estimator,
            by=keys,
            n_neurons=n_neurons,
            mass=mass,
            input_features=input_features,
            n_layers=n_layers,
        )
        # Layers that were not extracted have no count, not even zero.
        counts = count_rows(table, by, caller=caller, has_all_layers=True)
        return cls(counts, by=by).plot(ax=ax, **plot_params)
