# SPDX-License-Identifier: BSD-3-Clause
from sklearn_neurox.utils._tqdm import tqdm_class


def progress(n_tokens, verbose, note=""):
    """Make the bar of a long extraction, which says what is left; silent unless ``verbose``."""
    return tqdm_class()(
        total=n_tokens,
        desc=f"extracting, {note}" if note else "extracting",
        unit="token",
        unit_scale=True,
        disable=not verbose,
    )
