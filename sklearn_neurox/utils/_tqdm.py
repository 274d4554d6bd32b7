# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar of a terminal or a notebook, whichever this is."""

import warnings


def tqdm_class():
    """Import the class of bars that suits, without a word on those that are missing.

    In a notebook without ipywidgets tqdm warns as soon as it is imported, shown bar or not, and
    then prints the bars of a terminal, which serve as well. transformers imports it too, so this
    comes before transformers.

    Returns
    -------
    tqdm : type
    """
    from tqdm.std import TqdmWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm
