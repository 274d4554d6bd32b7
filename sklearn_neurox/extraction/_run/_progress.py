# SPDX-License-Identifier: BSD-3-Clause
from sklearn_neurox.utils._tqdm import progress_bar


def progress(n_tokens, verbose, note=""):
    """Return the progress bar of an extraction, silent unless ``verbose``."""
    desc = f"extracting, {note}" if note else "extracting"
    return progress_bar(n_tokens, verbose, desc=desc, unit="token", unit_scale=True)
