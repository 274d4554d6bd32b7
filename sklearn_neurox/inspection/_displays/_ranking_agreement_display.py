# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sklearn_neurox.evaluation import ranking_agreement
from sklearn_neurox.inspection._displays._drawing import (
    annotate_cells,
    numbers_fit,
    open_axes,
    shrink_ticks,
    style,
)
from sklearn_neurox.inspection._displays._frames import read_columns, read_numbers
from sklearn_neurox.inspection._displays._labels import fit_names, label_ticks
from sklearn_neurox.ranking._base import BaseRanker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIRST, _SECOND = "first", "second"
_MEASURES = ("rank_biased_overlap", "spearman")


class RankingAgreementDisplay:
    """Heat map of the agreement between rankings.

    Create it with `from_frame` or `from_rankings`.

    Parameters
    ----------
    frame : DataFrame of shape (n_rankings, n_rankings)
        The agreement of each pair of rankings, whose names are in the index and the columns. NaN
        has no color.

    measure : str, default="agreement"
        Name of the measure of agreement, for the color bar.

    Attributes
    ----------
    ax_ : Axes
        The axes.

    figure_ : Figure
        The figure.

    im_ : AxesImage
        The heat map.

    text_ : list of Text
        The numbers in the cells; empty if they do not fit.

    colorbar_ : Colorbar or None
        The color bar.

    See Also
    --------
    sklearn_neurox.evaluation.ranking_agreement : Measure the agreement.

    Examples
    --------
    >>> from sklearn_neurox.inspection import RankingAgreementDisplay
    >>> orders = {"one": [0, 1, 2, 3], "two": [0, 2, 1, 3], "three": [3, 2, 1, 0]}
    >>> display = RankingAgreementDisplay.from_rankings(orders, k=2)
    >>> display.measure
    'jaccard@2'
    >>> display.frame.round(2)
            one   two  three
    one    1.00  0.33   0.00
    two    0.33  1.00   0.33
    three  0.00  0.33   1.00
    """

    def __init__(self, frame: pd.DataFrame, *, measure: str = "agreement"):
        self.frame = frame
        self.measure = measure

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
        colorbar: bool = True,
        im_kw: dict | None = None,
        text_kw: dict | None = None,
    ) -> "RankingAgreementDisplay":
        """Draw the heat map.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        figsize : tuple of float or None, default=None
            Width and height of a new figure in inches, such as ``(3.3, 3)`` for one column of a
            paper.

        colorbar : bool, default=True
            Whether to add a color bar.

        im_kw, text_kw : dict or None, default=None
            Style of the heat map (`matplotlib.axes.Axes.imshow`) and of the numbers
            (`matplotlib.text.Text`). Colors range from 0 to 1, or from -1 to 1 if a value is
            negative or the measure is spearman.

        Returns
        -------
        display : RankingAgreementDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = open_axes(ax, caller=type(self).__name__, figsize=figsize, height=5.0)
        self.ax_, self.figure_ = ax, ax.figure
        values = self.frame.to_numpy(dtype=np.float64)
        is_signed = self.measure == "spearman" or np.nanmin(values) < 0
        defaults = {
            "cmap": "PuOr" if is_signed else "cividis",
            "vmin": -1.0 if is_signed else 0.0,
            "vmax": max(1.0, np.nanmax(values)),
        }
        self.im_ = ax.imshow(values, **style(defaults, im_kw))
        label_ticks(ax.xaxis, self.frame.columns)
        label_ticks(ax.yaxis, self.frame.index)
        shrink_ticks(ax)
        for text in ax.get_xticklabels():
            text.set(rotation=45, horizontalalignment="right", rotation_mode="anchor")
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(self.im_, ax=ax, shrink=0.8, label=self.measure)
            shrink_ticks(self.colorbar_.ax)
        for axis in (ax.xaxis, ax.yaxis, ax.xaxis):  # smaller names leave more room
            fit_names(ax, axis)
        self.text_ = []
        if numbers_fit(ax, values.shape, 4 + is_signed):
            self.text_ = annotate_cells(ax, self.im_, values, user=text_kw)
        return self

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        measure: str | None = None,
        ax: "Axes | None" = None,
        **plot_params: Any,
    ) -> "RankingAgreementDisplay":
        """Draw agreement measured by `sklearn_neurox.evaluation.ranking_agreement`.

        Parameters
        ----------
        frame : DataFrame
            One row per pair of rankings, with their names in ``first`` and ``second``, or in
            columns with these endings, such as ``method_first`` and ``method_second``.

        measure : str or None, default=None
            The column to show. By default, the first of ``jaccard@<k>``, ``rank_biased_overlap``
            and ``spearman``, or else the first other column of numbers, except for the unnamed
            column of row numbers that a CSV file may have.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : RankingAgreementDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a column is missing or no column holds numbers, or a pair occurs twice.
        """
        caller = f"{cls.__name__}.from_frame"
        frame = read_columns(frame, [], caller=caller)
        firsts = [c for c in map(str, frame.columns) if c == _FIRST or c.endswith("_" + _FIRST)]
        seconds = [c.removesuffix(_FIRST) + _SECOND for c in firsts] or [_SECOND]
        read_columns(frame, (firsts or [_FIRST]) + seconds, caller=caller)
        if measure is None:
            measure = _default_measure(frame.drop(columns=firsts + seconds))
        read_columns(frame, [measure], caller=caller)
        frame = read_numbers(frame, [measure], caller=caller)
        matrix = _matrix(_names(frame, firsts), _names(frame, seconds), frame[measure], caller)
        return cls(matrix, measure=measure).plot(ax=ax, **plot_params)

    @classmethod
    def from_rankings(
        cls,
        rankings: Mapping[Hashable, BaseRanker | ArrayLike],
        *,
        k: int | float = 0.1,
        p: float = 0.98,
        names: Sequence[str] | None = None,
        measure: str | None = None,
        ax: "Axes | None" = None,
        **plot_params: Any,
    ) -> "RankingAgreementDisplay":
        """Measure the agreement between rankings and draw it.

        Parameters
        ----------
        rankings : mapping from hashable to fitted ranker or array-like of shape (n_neurons,)
            Rankings by name.

        k, p, names : object
            See `sklearn_neurox.evaluation.ranking_agreement`.

        measure : str or None, default=None
            ``"rank_biased_overlap"``, ``"spearman"`` or ``"jaccard@<k>"``; None shows
            ``"jaccard@<k>"``.

        ax : Axes or None, default=None
            Axes to draw on; None creates a figure.

        **plot_params : dict
            The other parameters of `plot`.

        Returns
        -------
        display : RankingAgreementDisplay
            The display, drawn.
        """
        return cls.from_frame(
            ranking_agreement(rankings, k=k, p=p, names=names),
            measure=measure,
            ax=ax,
            **plot_params,
        )


def _default_measure(frame):
    """Return the first column of `ranking_agreement`, or else the first numbers."""
    names = [str(column) for column in frame.columns]
    measures = [name for name in names if name.startswith("jaccard") or name in _MEASURES]
    numbers = frame.select_dtypes("number").columns.tolist()
    others = [name for name in numbers if not str(name).startswith("Unnamed:")]
    return [*measures, *others, "jaccard"][0]


def _names(frame, columns):
    if len(columns) > 1:
        return frame[columns].astype(str).agg(" ".join, axis=1).tolist()
    values = frame[columns[0]]
    # pandas would turn tuples into the levels of an index.
    return [" ".join(map(str, value)) if isinstance(value, tuple) else value for value in values]


def _matrix(firsts, seconds, values, caller):
    names = list(dict.fromkeys([*firsts, *seconds]))
    place = {name: number for number, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    np.fill_diagonal(matrix, 1.0)
    seen = set()
    for first, second, value in zip(firsts, seconds, values, strict=True):
        pair = frozenset((first, second))
        if pair in seen or len(pair) < 2:
            raise ValueError(
                f"{caller} needs one row per pair of distinct rankings, but the pair {first!r} and "
                f"{second!r} occurs again or names one ranking twice. Select or aggregate the rows "
                "first."
            )
        seen.add(pair)
        matrix[[place[first], place[second]], [place[second], place[first]]] = value
    return pd.DataFrame(matrix, index=names, columns=names)
