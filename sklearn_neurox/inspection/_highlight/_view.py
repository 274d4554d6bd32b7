# SPDX-License-Identifier: BSD-3-Clause
"""What `Highlight` shows, before it is HTML or SVG."""

import html
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sklearn_neurox.inspection._highlight._text_pieces import text_direction
from sklearn_neurox.inspection._palette import color_strengths

# What XML cannot hold, and what HTML would replace.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class View:
    """Sentences, and the value and the strength of every word and neuron."""

    sentences: list  # of lists of pieces
    words: list
    sentence_of_word: np.ndarray
    index: pd.Index
    values: np.ndarray  # (n_words, n_neurons)
    strengths: np.ndarray  # the same in [-1, 1], 0 where nothing is coloured
    names: list
    scales: list
    unit: str
    direction: str

    @classmethod
    def color(
        cls, sentences, values, names, scales, top_words, min_share, *, unit, direction
    ) -> "View":
        """Give every word its strength, and take it from those that are not to be coloured.

        Parameters
        ----------
        sentences : Sentences
            The sentences.

        values : ndarray of shape (n_words, n_neurons)
            The activations.

        names : list of str
            The neurons.

        scales : list of ColorScale
            One a neuron.

        top_words, min_share, unit, direction : object
            See `highlight`.

        Returns
        -------
        view : View
        """
        strengths = np.column_stack(
            [color_strengths(column, s) for column, s in zip(values.T, scales, strict=True)]
        )
        distances = np.abs(values - [scale.center for scale in scales])
        hidden = np.isnan(values)
        distances[hidden] = -1.0
        for number in range(len(sentences.pieces)):
            rows = np.flatnonzero(sentences.sentence_of_word == number)
            hidden[rows] |= _filtered(distances[rows], top_words, min_share)
        return cls(
            sentences.pieces,
            sentences.words,
            sentences.sentence_of_word,
            sentences.frame.index,
            values,
            np.where(hidden, 0.0, strengths),
            names,
            scales,
            unit,
            direction,
        )

    def direction_of(self, sentence: int) -> str:
        """Tell the direction of a sentence."""
        if self.direction != "auto":
            return self.direction
        return text_direction("".join(piece.text for piece in self.sentences[sentence]))

    def tooltip(self, row: int, neuron: int) -> str:
        """Write what a word says when the pointer rests on it."""
        return f"{self.words[row]}: {format_value(self.values[row, neuron])}"

    def legend(self, neuron: int) -> tuple[str, str, str]:
        """Write the ends of a neuron's bar and what it shows."""
        center, limit = self.scales[neuron]
        unit = self.unit
        if center:
            unit += f", uncoloured: {format_value(center)}"
        return format_value(center - limit), format_value(center + limit), unit


def escape(text: str) -> str:
    """Escape a text for the content and the attributes of HTML and XML alike."""
    return html.escape(_ILLEGAL.sub("\ufffd", text), quote=True)


def format_value(value: float) -> str:
    """Write a value with three digits and a proper minus."""
    if np.isnan(value):
        return "missing"
    return f"{value:.3g}".replace("-", "\u2212")


def _filtered(distances, top_words, min_share):
    """Tell which words of a sentence are not to be coloured."""
    filtered = np.zeros(distances.shape, dtype=bool)
    if min_share is not None:
        filtered |= distances < min_share * distances.max(axis=0)
    if top_words is not None:
        order = np.argsort(-distances, axis=0, kind="stable")
        np.put_along_axis(filtered, order[top_words:], True, axis=0)
    return filtered
