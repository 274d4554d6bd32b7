# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sklearn_neurox.inspection._highlight._html import html_fragment, html_page
from sklearn_neurox.inspection._highlight._input import read_neurons, read_scores, read_sentences
from sklearn_neurox.inspection._highlight._svg import svg_document
from sklearn_neurox.inspection._highlight._view import View
from sklearn_neurox.inspection._palette import fit_color_scale
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._files._foreign_files import as_path
from sklearn_neurox.utils._files._output_files import check_writable, write_whole
from sklearn_neurox.utils._validation import check_row_order

_DIRECTIONS = ("auto", "ltr", "rtl")


class Highlight:
    """Sentences with words colored by the activations of neurons, as returned by `highlight`.

    A notebook displays it directly. All text is escaped, and no external resources are loaded.

    Parameters
    ----------
    view : object
        The sentences, the values and their colors.

    See Also
    --------
    highlight : Create a `Highlight`.

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

    def __init__(self, view: View):
        self._view = view

    def __repr__(self):
        sentences = self._view.sentences
        n_sentences, n_words = len(sentences.pieces), len(sentences.words)
        return f"<Highlight of {self._view.names} in {n_words} words of {n_sentences} sentences>"

    def _repr_html_(self):
        return self.to_html()

    def to_frame(self) -> pd.DataFrame:
        """Return the values as a table.

        Returns
        -------
        frame : DataFrame of shape (n_words, 2 + n_neurons)
            One row per word, with the order and the index of the input words. The columns are
            ``sentence`` (the number of the sentence, in display order), ``word``, and one column
            per neuron.
        """
        view, sentences = self._view, self._view.sentences
        values = pd.DataFrame(view.values, columns=view.names, index=sentences.frame.index)
        values.insert(0, "sentence", sentences.sentence_of_word)
        values.insert(1, "word", sentences.words)
        return values

    def to_html(self, *, full: bool = False) -> str:
        """Return HTML.

        Parameters
        ----------
        full : bool, default=False
            Whether to return a whole page instead of a fragment.

        Returns
        -------
        html : str
            HTML without scripts. Colors follow the reader's preference for light or dark mode.
        """
        return html_page(self._view) if full else html_fragment(self._view)

    def to_svg(self, *, width: float = 6.9, font_size: float = 8.0) -> str:
        """Return an SVG with lines wrapped at a given width.

        Parameters
        ----------
        width : float, default=6.9
            The width in inches; one column of a paper is about 3.3.

        font_size : float, default=8.0
            The font size in points.

        Returns
        -------
        svg : str
            An SVG with real text in a monospaced font, which keeps the layout the same in every
            viewer. Viewers that support dark mode follow the reader's preference; others show
            light colors.

        Raises
        ------
        ValueError
            If a line has no room for ten characters.
        """
        for name, value in (("width", width), ("font_size", font_size)):
            if not isinstance(value, Real) or not 0 < value < np.inf:
                raise ValueError(
                    f"The {name!r} parameter of Highlight.to_svg must be positive, got {value!r}."
                )
        return svg_document(self._view, width=72.0 * width, font_size=float(font_size))

    def write_html(self, path: str | os.PathLike) -> None:
        """Write a whole HTML page to a file.

        Parameters
        ----------
        path : str or path
            The file, which is replaced if it exists.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        self._write(path, self.to_html(full=True))

    def write_svg(
        self, path: str | os.PathLike, *, width: float = 6.9, font_size: float = 8.0
    ) -> None:
        """Write the SVG to a file.

        Parameters
        ----------
        path : str or path
            The file, which is replaced if it exists.

        width, font_size : float
            See `to_svg`.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        self._write(path, self.to_svg(width=width, font_size=font_size))

    def _write(self, path, content):
        path = as_path(path, "The path of the highlighted text")
        check_writable(path, "The highlighted text")
        write_whole(path, lambda scratch: Path(scratch).write_text(content, encoding="utf-8"))


def highlight(
    words: pd.DataFrame | str | Sequence[str] | Sequence[Sequence[str]],
    activations: object = None,
    neurons: int | str | ArrayLike | None = None,
    *,
    input_features: ArrayLike | None = None,
    center: float | str | ArrayLike = 0.0,
    limit: float | ArrayLike | None = None,
    top_words: int | None = None,
    min_share: float | None = None,
    unit: str = "activation",
    direction: str = "auto",
) -> Highlight:
    """Color the words of sentences by the activations of neurons.

    Values above the center are orange and values below it are blue; the farther a value is from the
    center, the stronger its color. A bar shows the scale, and hovering over a word shows its value.
    Text between the words is shown uncolored.

    Parameters
    ----------
    words : table of shape (n_words, n_columns), str, or sequence of str or of sequences of str
        A frame of words with the columns ``text``, ``start`` and ``end``, as created by
        `words_frame` and `read_conllu`. Texts are shown in the order of the frame, once per
        ``sentence_id`` if there is such a column. Sentences can also be given as lists of words, or
        as strings that are split into words at white space.

    activations : array-like of shape (n_words, n_neurons), model, transformer or None, default=None
        The stored activations of the words, as a matrix, a frame or `Activations`; or the source of
        the activations: a model, given as its name, its folder or the model itself; an
        `ActivationExtractor`; or a pipeline that starts with one, which is fitted on the words
        unless it is already fitted. None shows the scores that ``words`` has, a frame of
        `score_tokens`.

    neurons : int, str, array-like of these or None, default=None
        The neurons to show, as column numbers or names. For a model, names such as
        ``"mlp.3.127"`` determine which layers and components are extracted, and column numbers
        refer to all of its hidden layers. Without activations, these are columns of ``words``, and
        None shows all columns of scores.

    input_features : array-like of str of shape (n_neurons,) or None, default=None
        The names of all columns; None takes those of ``activations``.

    center : float, "mean" or array-like of shape (n_shown,), default=0.0
        The value without color, for all neurons or for each; ``"mean"`` takes the neuron's mean
        over the words.

    limit : float, array-like of shape (n_shown,) or None, default=None
        The distance from the center at which the color is full. None takes each neuron's largest
        distance, so colors are not comparable between neurons.

    top_words : int or None, default=None
        Color only this many words per sentence, those farthest from the center. None colors all.

    min_share : float or None, default=None
        Color only words whose distance from the center is at least this share, in (0, 1], of the
        largest distance in their sentence. 0.8 matches the filter ``"top_tokens"`` of NeuroX.

    unit : str, default="activation"
        The name of the values, for the bar.

    direction : {"auto", "ltr", "rtl"}, default="auto"
        The direction of the sentences. ``"auto"`` determines it from the first letter of each
        sentence.

    Returns
    -------
    shown : Highlight
        The highlighted text, which displays itself in a notebook and has the methods ``to_svg``,
        ``write_svg``, ``to_html``, ``write_html`` and ``to_frame``.

    Raises
    ------
    ValueError
        If the numbers of rows and words differ, a neuron is unknown, an activation is infinite,
        spans overlap partially or do not match the word of their row, or a parameter is out of
        range.

    See Also
    --------
    sklearn_neurox.words.words_frame : Create a frame of words.
    sklearn_neurox.extraction.ActivationExtractor : Extract activations.
    score_tokens : Compute the score of a probe on every token of texts.

    Notes
    -----
    Words with a missing activation (NaN) are not colored and do not affect the center and the
    limit. A span that is repeated in a sentence is shown once, with the value of its first row.
    Where tokens (rows with a column ``token_index``) share characters, these have the color of the
    last one.

    Examples
    --------
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> from sklearn_neurox.inspection import highlight
    >>> model = make_tiny_model("bert", n_layers=2, hidden_size=8)
    >>> highlight(["The cat sleeps.", "Dogs bark."], model, "hidden.2.5", top_words=1)
    <Highlight of ['hidden.2.5'] in 5 words of 2 sentences>
    """
    words = to_pandas(words)
    if not isinstance(words, str) and not hasattr(words, "__iter__"):
        _refuse("words", "a frame of words, a str, or a list of sentences", words)
    _check_parameters(top_words, min_share, unit, direction)
    sentences = read_sentences(words)
    if activations is None:
        values, names = read_scores(sentences.frame, neurons, input_features)
    else:
        check_row_order(words=words, activations=activations)
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
    """Return the center or the limit of each neuron."""
    is_mean = isinstance(value, str) and value == "mean" and name == "center"
    if is_mean or (value is None and name == "limit"):
        return [value] * n_neurons
    what = "finite or 'mean'" if name == "center" else "finite and positive"
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        _refuse(name, what, value)
    if numbers.shape not in ((), (n_neurons,)):
        _refuse(name, f"one number or one per neuron shown ({n_neurons})", value)
    if not np.isfinite(numbers).all() or (name == "limit" and (numbers <= 0).any()):
        _refuse(name, what, value)
    return np.broadcast_to(numbers, n_neurons).tolist()


def _refuse(name, what, value):
    raise ValueError(f"The {name!r} parameter of highlight must be {what}, got {value!r}.")
