# SPDX-License-Identifier: BSD-3-Clause
"""What functions read of a frame of words."""

import numpy as np
import pandas as pd


def check_columns(words, columns, *, caller):
    """Raise an error that names the first column a frame of words lacks.

    Parameters
    ----------
    words : DataFrame

    columns : sequence of str

    caller : str
        Who asks, for the message.

    Raises
    ------
    ValueError
    """
    missing = [column for column in columns if column not in words.columns]
    if missing:
        raise ValueError(
            f"{caller} reads the column {missing[0]!r} of the frame of words, which has "
            f"{list(words.columns)}. Make the frame with words_frame or read_conllu."
        )


def word_forms(words, *, caller):
    """Take the words out of a frame of words.

    Parameters
    ----------
    words : DataFrame with the column ``word``, or array-like of str

    caller : str
        Who asks, for messages.

    Returns
    -------
    forms : Series of str
        Under a fresh index.

    Raises
    ------
    ValueError
        If the column is absent, or a word is missing.
    """
    if isinstance(words, pd.DataFrame):
        check_columns(words, ["word"], caller=caller)
        words = words["word"]
    forms = pd.Series(np.asarray(words, dtype=object), dtype=object)
    missing = forms.isna()
    if missing.any():
        raise ValueError(
            f"{missing.sum()} of {len(forms)} words given to {caller} are missing, the first at "
            f"row {int(missing.to_numpy().argmax())}."
        )
    return forms
