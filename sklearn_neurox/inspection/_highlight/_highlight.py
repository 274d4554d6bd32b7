# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sklearn_neurox.inspection._highlight._html import html_fragment, html_page
from sklearn_neurox.inspection._highlight._input import read_neurons, read_sentences
from sklearn_neurox.inspection._highlight._svg import svg_document
from sklearn_neurox.inspection._highlight._view import View
from sklearn_neurox.inspection._palette import fit_color_scale
from sklearn_neurox.utils._output_files import check_writable, write_whole

_DIRECTIONS = ("auto", "ltr", "rtl")


class Highlight:
    """Sentences whose words are coloured by the activations of neurons; made by `highlight`.

    A notebook shows it. All of the text is escaped, and nothing is loaded from elsewhere.

    Parameters
    ----------
    view : object
        The sentences, the values and their colours.

    See Also
    --------
    highlight : Makes it.

    Examples
    --------
    >>> from sklearn_neurox.inspection import highlight
    >>> shown = highlight([["Dogs", "bark"]], [[1.5], [-0.5]], 0)
    >>> shown.to_frame()
       sentence  word    x0
    0         0  Dogs   1.5
    1         0  bark  -0.5
    >>> shown.to_svg(width=3.3)[:4]
    '<svg'
    """

    def __init__(self, view: object):
        self._view = view

    def __repr__(self):
        n_sentences, n_words = len(self._view.sentences), len(self._view.words)
        return f"<Highlight of {self._view.names} in {n_words} words of {n_sentences} sentences>"

    def _repr_html_(self):
        return self.to_html()

    def to_frame(self) -> pd.DataFrame:
        """Give the values as a table.

        Returns
        -------
        frame : DataFrame of shape (n_words, 2 + n_neurons)
            A row a word, in the order and with the index of the words given: the number of its
            sentence, in the order shown, in ``sentence``; ``word``; and a column a neuron.
        """
        view = self._view
        values = pd.DataFrame(view.values, columns=view.names, index=view.index)
        values.insert(0, "sentence", view.sentence_of_word)
        values.insert(1, "word", view.words)
        return values

    def to_html(self, *, full: bool = False) -> str:
        """Write it as HTML.

        Parameters
        ----------
        full : bool, default=False
            Whether to make a whole page, not a part of one.

        Returns
        -------
        html : str
            Without scripts. Colours follow the preference for light or dark.
        """
        return html_page(self._view) if full else html_fragment(self._view)

    def to_svg(self, *, width: float = 6.9, font_size: float = 8.0) -> str:
        """Draw it as SVG, with lines that are wrapped at a width.

        Parameters
        ----------
        width : float, default=6.9
            In inches; a column of a paper is about 3.3.

        font_size : float, default=8.0
            In points.

        Returns
        -------
        svg : str
            The text is text, in a monospaced font, so that it keeps its place in any viewer.
            Viewers that know the preference for dark follow it; others show light.

        Raises
        ------
        ValueError
            If there is no room for ten characters a line.
        """
        for name, value in (("width", width), ("font_size", font_size)):
            if not isinstance(value, Real) or not 0 < value < np.inf:
                raise ValueError(
                    f"The {name!r} parameter of Highlight.to_svg must be positive, got {value!r}."
                )
        return svg_document(self._view, width=72.0 * width, font_size=float(font_size))

    def write_html(self, path: str | os.PathLike) -> None:
        """Write a whole page to a file.

        Parameters
        ----------
        path : str or path
            The file; it is replaced.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._write(path, self.to_html(full=True))

    def write_svg(
        self, path: str | os.PathLike, *, width: float = 6.9, font_size: float = 8.0
    ) -> None:
        """Write the SVG to a file.

        Parameters
        ----------
        path : str or path
            The file; it is replaced.

        width, font_size : float
            See `to_svg`.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._write(path, self.to_svg(width=width, font_size=font_size))

    def _write(self, path, content):
        path = Path(path)
        check_writable(path, "The highlighted text")
        write_whole(path, lambda scratch: Path(scratch).write_text(content, encoding="utf-8"))


def highlight(
    words: pd.DataFrame | str | Sequence[str] | Sequence[Sequence[str]],
    activations: object,
    neurons: int | str | ArrayLike,
    *,
    input_features: ArrayLike | None = None,
    center: float | str | ArrayLike = 0.0,
    limit: float | ArrayLike | None = None,
    top_words: int | None = None,
    min_share: float | None = None,
    unit: str = "activation",
    direction: str = "auto",
) -> Highlight:
    """Colour the words of sentences by the activations of neurons.

    What is between the words is shown as it stands in the text. Values above the center are
    orange, those below it blue, and the further the fuller; a bar says how far, and the value of a
    word shows when the pointer rests on it.

    Parameters
    ----------
    words : DataFrame of shape (n_words, n_columns), str, or sequence of str or of sequences of str
        A frame of words with the columns ``text``, ``start`` and ``end``, as `words_frame` and
        `read_conllu` make it; its texts are shown once for each ``sentence_id``, where it has
        such a column, in the order in which they come. Or sentences: as lists of words, or as
        strings, whose words are what stands between blanks.

    activations : array-like of shape (n_words, n_neurons), or what makes it
        The stored activations of the words, as a matrix, a frame or `Activations`. Or what makes
        them of the words: a model, by its name, its folder or itself; an `ActivationExtractor`;
        or a pipeline that begins with one, which is fitted to the words unless it has been fitted
        before.

    neurons : int, str, or array-like of such
        The neurons to show, as columns or by name. Of a model, names such as ``"mlp.3.127"`` say
        which layers and components are extracted; columns are those of all its hidden layers.

    input_features : array-like of str of shape (n_neurons,) or None, default=None
        The names of all columns; None takes those that ``activations`` has.

    center : float, "mean" or array-like of shape (n_shown,), default=0.0
        The value that is not coloured, for all neurons or for each; ``"mean"`` takes the neuron's
        mean over the words.

    limit : float, array-like of shape (n_shown,) or None, default=None
        How far from the center the colour is full. None takes each neuron's largest distance, so
        that colours of neurons do not compare.

    top_words : int or None, default=None
        Colour only so many words of a sentence, those furthest from the center; None colours all.

    min_share : float or None, default=None
        Colour only the words that are at least so far from the center as this share, in (0, 1],
        of the furthest of their sentence; 0.8 is the filter ``"top_tokens"`` of NeuroX.

    unit : str, default="activation"
        What the values are, for the bar.

    direction : {"auto", "ltr", "rtl"}, default="auto"
        The direction of the sentences; ``"auto"`` goes by the first letter of each.

    Returns
    -------
    shown : Highlight
        Shows itself in a notebook; has ``to_svg``, ``write_svg``, ``to_html``, ``write_html`` and
        ``to_frame``.

    Raises
    ------
    ValueError
        If there are more or fewer rows than words, for unknown neurons, for spans that overlap
        in part or do not hold the word of their row, and for parameters out of range.

    See Also
    --------
    sklearn_neurox.words.words_frame : Makes the frame of words.
    sklearn_neurox.extraction.ActivationExtractor : Extracts activations.

    Notes
    -----
    Words whose activation is missing (NaN) are not coloured, and do not count for center and
    limit. A span that comes again in a sentence is shown once, with the value of its first row.

    Examples
    --------
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> from sklearn_neurox.inspection import highlight
    >>> model = make_tiny_model("bert", n_layers=2, hidden_size=8)
    >>> highlight(["The cat sleeps.", "Dogs bark."], model, "hidden.2.5", top_words=1)
    <Highlight of ['hidden.2.5'] in 5 words of 2 sentences>
    """
    _check_parameters(top_words, min_share, unit, direction)
    sentences = read_sentences(words)
    values, names = read_neurons(sentences.frame, activations, neurons, input_features)
    scales = [
        fit_color_scale(column, center=middle, limit=end)
        for column, middle, end in zip(
            values.T,
            _for_each("center", center, len(names)),
            _for_each("limit", limit, len(names)),
            strict=True,
        )
    ]
    return Highlight(
        View.color(
            sentences, values, names, scales, top_words, min_share, unit=unit, direction=direction
        )
    )


def _check_parameters(top_words, min_share, unit, direction):
    is_count = isinstance(top_words, Integral) and not isinstance(top_words, bool)
    if top_words is not None and not (is_count and top_words >= 1):
        _refuse("top_words", "a positive integer or None", top_words)
    if min_share is not None and not (isinstance(min_share, Real) and 0 < min_share <= 1):
        _refuse("min_share", "in (0, 1] or None", min_share)
    if not isinstance(unit, str):
        _refuse("unit", "a string", unit)
    if direction not in _DIRECTIONS:
        _refuse("direction", f"one of {_DIRECTIONS}", direction)


def _for_each(name, value, n_neurons):
    """Give the center or the limit of every neuron."""
    is_mean = isinstance(value, str) and value == "mean" and name == "center"
    if is_mean or (value is None and name == "limit"):
        return [value] * n_neurons
    what = "finite" if name == "center" else "finite and positive"
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        _refuse(name, f"{what}, or for center 'mean'", value)
    if numbers.shape not in ((), (n_neurons,)):
        _refuse(name, f"one number or one for each of the {n_neurons} neurons shown", value)
    if not np.isfinite(numbers).all() or (name == "limit" and (numbers <= 0).any()):
        _refuse(name, what, value)
    return np.broadcast_to(numbers, n_neurons).tolist()


def _refuse(name, what, value):
    raise ValueError(f"The {name!r} parameter of highlight must be {what}, got {value!r}.")
