# SPDX-License-Identifier: BSD-3-Clause
"""Count the values of a file that are NaN or infinite, and say so once."""

import numpy as np

from sklearn_neurox.utils._warn_user import warn_user


class NotFinite:
    """Counts values that are not finite, and remembers where the first is."""

    def __init__(self):
        self.n_values, self.n_bad, self.where = 0, 0, None

    def look(self, values, where):
        """Count the values of a sentence; ``where`` names it."""
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        self.n_values += values.size
        self.n_bad += bad
        if bad and self.where is None:
            self.where = where

    def warn(self):
        """Warn if there were any."""
        if self.n_bad:
            warn_user(
                f"{self.where} is the first with activations that are NaN or infinite: "
                f"{self.n_bad:,} of {self.n_values:,} values read. The model overflowed when they "
                "were extracted; extract them again in float32, or leave out these words."
            )
