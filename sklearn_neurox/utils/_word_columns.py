# SPDX-License-Identifier: BSD-3-Clause
"""Access to the columns of a frame of words."""

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_neurox.utils._containers import describe, read_frame, to_pandas
from sklearn_neurox.utils._labels import is_hashable


def word_forms(words, *, caller):
    """Return the column ``word`` of a frame, or a list of words, as a Series with a fresh index.

    Raise an error if the column is absent or a word is missing.
    """
    words = to_pandas(words)
    if isinstance(words, pd.DataFrame):
        words = read_frame(words, ["word"], caller=caller)["word"]
    values = np.asarray(words, dtype=object)
    if values.ndim != 1:
        raise InvalidParameterError(
            f"The 'words' parameter of {caller} must be a frame of words or a flat list of words, "
            f"got {describe(words)}."
        )
    forms = pd.Series(values, dtype=object)
    missing = forms.isna()
    if missing.any():
        raise ValueError(
            f"{missing.sum()} of {len(forms)} words given to {caller} are missing, the first at "
            f"row {int(missing.to_numpy().argmax())}. Drop the rows without a word."
        )
    odd = next((row for row, form in enumerate(values) if not is_hashable(form)), None)
    if odd is not None:
        raise TypeError(
            f"The words given to {caller} have {values[odd]!r:.60} of type "
            f"{type(values[odd]).__name__} at row {odd}. Give one word per row, as a string."
        )
    return forms
