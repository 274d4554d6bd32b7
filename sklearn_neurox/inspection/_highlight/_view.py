# SPDX-License-Identifier: BSD-3-Clause
"""The contents of a `Highlight`, independent of HTML and SVG."""

import html
import re
from dataclasses import dataclass

import numpy as np

from sklearn_neurox.inspection._highlight._input import Sentences
from sklearn_neurox.inspection._highlight._text_pieces import text_direction
from sklearn_neurox.inspection._palette import color_strengths

# Characters that XML forbids or HTML replaces.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class View:
    """Sentences, and the value and the color strength of each word and neuron."""

    sentences: Sentences
    values: np.ndarray  # (n_words, n_neurons)
    strengths: np.ndarray  # (n_words, n_neurons), in [-1, 1]; 0 for an uncolored word
    names: list
    scales: list
    unit: str
    direction: str
    filters: str  # which words are colored, with {center}; "" for all

    @classmethod
    def color(
        cls, sentences, values, names, scales, top_words, min_share, *, unit, direction
    ) -> "View":
        """Compute the color strength of each word; words that are filtered out get zero.

        `values` has the shape (n_words, n_neurons), and there is one scale per neuron. See
        `highlight` for the other parameters.
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
            sentences=sentences,
            values=values,
            strengths=np.where(hidden, 0.0, strengths),
            names=names,
            scales=scales,
            unit=unit,
            direction=direction,
            filters=_name_filters(top_words, min_share),
        )

    def direction_of(self, sentence: int) -> str:
        """Return the direction of a sentence."""
        if self.direction != "auto":
            return self.direction
        return text_direction("".join(piece.text for piece in self.sentences.pieces[sentence]))

    def tooltip(self, row: int, neuron: int) -> str:
        """Return the tooltip of a word."""
        return f"{self.sentences.words[row]}: {format_value(self.values[row, neuron])}"

    def legend(self, neuron: int) -> tuple[str, str, str]:
        """Return the two ends of a neuron's bar and what the colors mean."""
        center, limit = self.scales[neuron]
        middle = format_value(center)
        meaning = f"{self.unit}: orange above {middle}, blue below, uncolored at {middle}"
        values = self.values[:, neuron]
        if self.filters:
            meaning += f"; {self.filters.format(center=middle)}"
        if np.isnan(values).any():
            meaning += "; missing values uncolored"
        low, high = center - limit, center + limit
        # Beyond the ends of the scale, the color does not change any more.
        slack = 1e-9 * limit
        below = "≤ " if (values < low - slack).any() else ""
        above = "≥ " if (values > high + slack).any() else ""
        return below + format_value(low), above + format_value(high), meaning


def escape(text: str) -> str:
    """Escape a text for the content and the attributes of both HTML and XML."""
    return html.escape(_ILLEGAL.sub("\ufffd", text), quote=True)


def format_value(value: float) -> str:
    """Format a value with three digits and a proper minus sign."""
    if np.isnan(value):
        return "missing"
    return f"{value:.3g}".replace("-", "\u2212")


def _name_filters(top_words, min_share):
    """Describe which words of a sentence are colored."""
    parts = []
    if top_words is not None:
        words = "word" if top_words == 1 else f"{top_words} words"
        parts.append(f"the {words} farthest from {{center}}")
    if min_share is not None:
        parts.append(f"words at least {min_share:g} times as far from {{center}} as the farthest")
    return f"in each sentence, only {' and '.join(parts)}" if parts else ""


def _filtered(distances, top_words, min_share):
    """Mark the words of a sentence that are not colored."""
    filtered = np.zeros(distances.shape, dtype=bool)
    if min_share is not None:
        filtered |= distances < min_share * distances.max(axis=0)
    if top_words is not None:
        order = np.argsort(-distances, axis=0, kind="stable")
        np.put_along_axis(filtered, order[top_words:], True, axis=0)
    return filtered
