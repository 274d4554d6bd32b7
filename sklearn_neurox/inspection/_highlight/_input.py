# SPDX-License-Identifier: BSD-3-Clause
"""The input of `highlight`: sentences, and activations or their source."""

import os
import re
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

# Private, but nothing public reads the column names of any dataframe library, or asks whether an
# estimator is fitted without raising.
from sklearn.utils.validation import _get_feature_names, _is_fitted

from sklearn_neurox.extraction import (
    ActivationExtractor,
    Activations,
    SubwordAggregator,
    TorchModel,
)
from sklearn_neurox.extraction._text._rows import read_rows
from sklearn_neurox.inspection._highlight._text_pieces import text_pieces
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._names import neuron_indices, parse_neuron_names
from sklearn_neurox.words import words_frame

_CALLER = "highlight"


class Sentences(NamedTuple):
    """Sentences split into pieces, whose rows refer to a frame of words."""

    frame: pd.DataFrame
    words: list
    pieces: list
    sentence_of_word: np.ndarray


def read_sentences(words):
    """Turn the `words` of `highlight` into `Sentences`."""
    words = to_pandas(words)
    frame = words if isinstance(words, pd.DataFrame) else _frame_of(words)
    rows = read_rows(frame, caller=_CALLER)
    # Not groupby, which compares strings only up to their first NUL character.
    ids = frame["sentence_id"].tolist() if "sentence_id" in frame else [None] * len(frame)
    members = {}
    for row, key in enumerate(zip(ids, rows.text_of_row.tolist(), strict=True)):
        members.setdefault(key, []).append(row)
    pieces, sentence_of_word = [], np.empty(len(frame), dtype=np.intp)
    for number, ((_, text), of_sentence) in enumerate(members.items()):
        sentence_of_word[of_sentence] = number
        of_sentence = np.array(of_sentence)
        if rows.token_index is not None:
            of_sentence, start, end = _visible_tokens(rows, of_sentence)
        else:
            start, end = rows.start[of_sentence], rows.end[of_sentence]
        cut = text_pieces(rows.texts[text], start, end, caller=_CALLER)
        pieces.append([p if p.row is None else p._replace(row=of_sentence[p.row]) for p in cut])
    spans = zip(rows.text_of_row.tolist(), rows.start.tolist(), rows.end.tolist(), strict=True)
    shown = [rows.texts[text][start:end] for text, start, end in spans]
    return Sentences(frame, shown, pieces, sentence_of_word)


def _visible_tokens(rows, own):
    """Cut the spans of tokens that share characters, which then belong to the last of them."""
    order = own[np.lexsort((rows.token_index[own], rows.start[own]))]
    start, end = rows.start[order], rows.end[order].copy()
    end[:-1] = np.minimum(end[:-1], start[1:])
    shown = end > start
    return order[shown], start[shown], end[shown]


def _frame_of(words):
    sentences = [words] if isinstance(words, str) else list(words)
    if not sentences:
        raise ValueError(f"{_CALLER} got no sentences.")
    is_text = [isinstance(sentence, str) for sentence in sentences]
    if not any(is_text):
        return words_frame(sentences)
    if not all(is_text):
        raise TypeError(
            f"{_CALLER} accepts sentences that are all strings or all lists of words; sentence "
            f"{is_text.index(False)} is a {type(sentences[is_text.index(False)]).__name__}."
        )
    rows = [
        (text, match.start(), match.end(), number)
        for number, text in enumerate(sentences)
        for match in re.finditer(r"\S+", text)
    ]
    blank = sorted(set(range(len(sentences))) - {row[3] for row in rows})
    if blank:
        raise ValueError(
            f"{_CALLER}: sentence {blank[0]} has no words ({len(blank)} such sentences)."
        )
    return pd.DataFrame(rows, columns=["text", "start", "end", "sentence_id"])


def read_scores(frame, neurons, input_features):
    """Return the (n_words, n_chosen) float64 scores that a frame has, and their names."""
    found = [name for name in frame.columns if re.fullmatch("score(_.*)?", str(name), re.DOTALL)]
    chosen = found if neurons is None else [neurons] if isinstance(neurons, str) else list(neurons)
    if not chosen or input_features is not None:
        raise ValueError(
            f"{_CALLER} got no activations, and a frame without scores. Pass activations and "
            "neurons, or the frame that score_tokens(pipeline, texts) returns."
        )
    unknown = [name for name in chosen if name not in found]
    if unknown:
        raise ValueError(
            f"{_CALLER} got no activations, and {unknown[0]!r} is not a column of scores, which "
            f"are {found}. Pass activations, or choose among these."
        )
    return frame[chosen].to_numpy(dtype=np.float64), [str(name) for name in chosen]


def read_neurons(frame, activations, neurons, input_features):
    """Return the (n_words, n_chosen) float64 values of the chosen neurons and their names."""
    if neurons is None:
        raise ValueError(f"The 'neurons' parameter of {_CALLER} must say which neurons to show.")
    if isinstance(neurons, (str, int, np.integer)) and not isinstance(neurons, bool):
        neurons = [neurons]
    H, names = _matrix(frame, to_pandas(activations), neurons)
    if len(H.shape) != 2 or H.shape[0] != len(frame):
        raise ValueError(
            f"{_CALLER} needs activations of shape (n_words, n_neurons), one row for each of the "
            f"{len(frame)} words; got shape {tuple(H.shape)}."
        )
    if input_features is not None:
        names = np.asarray(input_features, dtype=object)
        if names.shape != (H.shape[1],):
            raise ValueError(
                f"The 'input_features' parameter of {_CALLER} must name the {H.shape[1]} columns, "
                f"got shape {names.shape}."
            )
    columns = neuron_indices(neurons, names=names, n_features=H.shape[1], caller=_CALLER)
    if not len(columns):
        raise ValueError(f"The 'neurons' parameter of {_CALLER} must select at least one neuron.")
    # Upcast only the chosen columns: the matrix can be float16 and memory-mapped.
    values = H.iloc[:, columns].to_numpy() if hasattr(H, "iloc") else H[:, columns]
    shown = [f"x{column}" for column in columns] if names is None else names[columns]
    values = np.asarray(values, dtype=np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        row, place = np.argwhere(infinite)[0]
        raise ValueError(
            f"{_CALLER} cannot color infinite activations: {shown[place]!s} is "
            f"{values[row, place]} in row {row} ({infinite.sum()} of {infinite.size} values). A "
            "model in float16 may have overflowed: extract in bfloat16 or float32."
        )
    return values, [str(name) for name in shown]


def _matrix(frame, activations, neurons):
    """Return the matrix of activations and the names of its columns, or None without names."""
    if isinstance(activations, Activations):
        aggregator = SubwordAggregator().fit(activations)
        return aggregator.transform(activations), aggregator.get_feature_names_out()
    if _is_model(activations):
        activations = _extractor(activations, neurons)
    if isinstance(activations, ActivationExtractor):
        activations = make_pipeline(activations, SubwordAggregator())
    if hasattr(activations, "transform") and not hasattr(activations, "iloc"):
        return _extract(frame, activations)
    if hasattr(activations, "predict"):
        raise ValueError(
            f"{_CALLER}: a {type(activations).__name__} that ends with a predictor returns no "
            "matrix of words and neurons. Leave the probe out: pipeline[:-1]. To show the scores "
            "of the probe, pass score_tokens(pipeline, texts) as words, without activations."
        )
    H = activations if hasattr(activations, "shape") else np.asarray(activations)
    return H, _get_feature_names(H)


def _is_model(activations):
    is_live = hasattr(activations, "get_input_embeddings")
    return is_live or isinstance(activations, (str, os.PathLike, TorchModel))


def _extractor(model, neurons):
    """Return an extractor for only the layers and components in the names of the neurons."""
    if not all(isinstance(neuron, str) for neuron in np.atleast_1d(neurons).tolist()):
        return ActivationExtractor(model)
    parts = parse_neuron_names(np.atleast_1d(neurons))
    unknown = parts["component"].isna()
    if unknown.any():
        raise ValueError(
            f"{_CALLER}: {parts.loc[unknown, 'neuron'].iloc[0]!r} is not the name of a neuron in "
            "a model; names look like 'hidden.3.127'."
        )
    components = list(dict.fromkeys(parts["component"]))
    # Embeddings and modules belong to no layer and are extracted whole.
    is_layered = ~(
        parts["component"].str.startswith("module:") | (parts["component"] == "embedding")
    )
    layers = sorted(set(parts.loc[is_layered, "layer"].tolist())) or None
    stacks = parts["stack"].dropna().unique().tolist()
    stack = "both" if len(stacks) > 1 else stacks[0] if stacks else None
    return ActivationExtractor(model, layers=layers, component=components, stack=stack)


def _extract(frame, transformer):
    if _is_fitted(transformer):
        H = transformer.transform(frame)
    else:
        transformer = clone(transformer)
        H = transformer.fit_transform(frame)
    if not hasattr(H, "shape") or len(H.shape) != 2:
        raise ValueError(
            f"{_CALLER}: {type(transformer).__name__} returns no matrix of words and neurons. Use "
            "a pipeline such as make_pipeline(ActivationExtractor(...), SubwordAggregator())."
        )
    return H, np.asarray(transformer.get_feature_names_out(), dtype=object)
