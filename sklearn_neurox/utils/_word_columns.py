# SPDX-License-Identifier: BSD-3-Clause
"""Access to the columns of a frame of words."""

import numpy as np
import pandas as pd


def check_columns(words, columns, *, caller):
    """Raise an error that names the first missing column, if a frame of words lacks any."""
    missing = [column for column in columns if column not in words.columns]
    if missing:
        raise ValueError(
            f"{caller} reads the column {missing[0]!r} of the frame of words, which has only "
            f"{list(words.columns)}. Make the frame with words_frame or read_conllu."
        )


def word_forms(words, *, caller):
    """Return the column ``word`` of a frame, or a list of words, as a Series with a fresh index.

    Raise an error if the column is absent or a word is missing.
    """
    if isinstance(words, pd.DataFrame):
        check_columns(words, ["word"], caller=caller)
        words = words["word"]
    forms = pd.Series(np.asarray(words, dtype=object), dtype=object)
    missing = forms.isna()
    if missing.any():
        raise ValueError(
            f"{missing.sum()} of {len(forms)} words given to {caller} are missing, the first at "
            f"row {int(missing.to_numpy().argmax())}. Drop the rows without a word."
        )
    return forms
