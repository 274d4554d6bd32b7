# SPDX-License-Identifier: BSD-3-Clause
"""Check what `causal_effect` is given: the labels, the model, groups and the metric."""

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length

from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._validation import check_row_order
from sklearn_neurox.utils._warn_user import warn_user


def check_labels(words, y, positive):
    """Return which words have the label ``positive``."""
    check_no_missing_labels(y)
    check_consistent_length(words, y)
    check_row_order(words=words, y=y)
    carries = np.asarray(y, dtype=object) == positive
    if np.shape(carries) != (len(words),):
        raise ValueError(
            "The 'y' parameter of causal_effect must contain one label per word, comparable with "
            f"'positive'. Got labels of shape {np.shape(y)} and positive={positive!r}."
        )
    if not carries.any():
        present = pd.unique(np.asarray(y, dtype=object))
        raise ValueError(
            f"The 'positive' parameter of causal_effect is {positive!r}, but no word has this "
            f"label. The labels are {list(present[:10])}."
        )
    return carries.astype(bool)


def report_prompt_ends(words):
    """Warn about rows of ``chat_frame(rows="prompt_end")``, which the template writes."""
    if not {"text", "end", "chat", "turn", "role", "token_index"} <= set(words.columns):
        return
    # Other tokens of conversations may have these columns, but do not all end their texts.
    lengths = words["text"].astype(str).str.len()
    if (words["end"].to_numpy() == lengths.to_numpy()).all():
        warn_user(
            "causal_effect measures how the model predicts the rows themselves, and these rows are "
            "the ends of prompts, which the chat template writes. To measure what the model says "
            "next, give each conversation an answer, and pass the rows of the answers: "
            "chat_frame(chats, tokenizer, rows='assistant')."
        )


def reader_of(model, **reading):
    """Return an extractor that determines how texts are read, for a layer that every model has."""
    if not isinstance(model, ActivationExtractor):
        return ActivationExtractor(model, layers=0, **reading)
    model._validate_params()
    default = ActivationExtractor()
    twice = [name for name, value in reading.items() if value != getattr(default, name)]
    if twice:
        raise ValueError(
            f"The {twice[0]!r} parameter of causal_effect does not apply to a model given as an "
            "ActivationExtractor. Set it on the extractor with set_params, and omit it here."
        )
    if model.weights == "random":
        raise ValueError(
            "The 'model' parameter of causal_effect is an ActivationExtractor with "
            "weights='random', which has learned nothing to ablate. Use weights='pretrained'."
        )
    own = model._shallow_copy()
    own.layers, own.component, own.stack, own.cache = 0, "hidden", None, None
    return own


def report_unscored(predictor, n_rows):
    """Return which rows can be scored, and warn about the others."""
    is_scored = np.ones(n_rows, dtype=bool)
    for why, rows in predictor.unscored.items():
        is_scored[rows] = False
        if len(rows):
            warn_user(
                f"causal_effect cannot score {len(rows)} of {n_rows} words, because {why}; the "
                f"first is {predictor.rows.name(int(rows[0]))}. They are excluded from all means "
                "and counted in the column 'n_unscored'."
            )
    return is_scored


def check_groups(words, groups):
    """Return the number of the group of each word, from 0; the groups are the texts if None."""
    if groups is None:
        return pd.factorize(words["text"])[0]
    groups = to_pandas(groups)
    check_consistent_length(words, groups)
    check_row_order(words=words, groups=groups)
    codes = pd.factorize(np.asarray(groups, dtype=object))[0]
    if (codes < 0).any():
        raise ValueError(
            f"The 'groups' parameter of causal_effect is missing in {(codes < 0).sum()} rows; the "
            f"first is row {int(np.flatnonzero(codes < 0)[0])}. Give each word a group."
        )
    return codes


def checked_metric(metric, words):
    """Return the user's metric as a function of logits and the places of rows, or None."""
    if metric is None:
        return None

    def measure(logits, places):
        found = np.asarray(metric(logits, words.iloc[places]), dtype=np.float64)
        if found.shape != (len(places),):
            raise ValueError(
                "The 'metric' parameter of causal_effect must return one number per row: for "
                f"{len(places)} rows, it returned an array of shape {found.shape}."
            )
        wrong = np.flatnonzero(~np.isfinite(found))
        if len(wrong):
            row = words.iloc[places[wrong[:1]]]
            raise ValueError(
                f"The 'metric' parameter of causal_effect returned {found[wrong[0]]} for the row "
                f"with index label {row.index[0]!r} ({len(wrong)} of {len(places)} rows). It must "
                "return finite numbers."
            )
        return found

    return measure
