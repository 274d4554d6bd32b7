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


def progress_bar(total, verbose, *, desc, unit, unit_scale=False):
    """Make the bar of long work; silent unless ``verbose``.

    Parameters
    ----------
    total : int or None
        How many steps there are; None where ``bar.reset(total)`` tells later.

    verbose : bool or int

    desc, unit : str
        What is done, and to what.

    unit_scale : bool, default=False
        Whether to shorten large numbers.

    Returns
    -------
    bar : tqdm
    """
    return tqdm_class()(
        total=total, desc=desc, unit=unit, unit_scale=unit_scale, disable=not verbose
    )


def counted(bar, results):
    """Collect results, with a step of the bar for each.

    Parameters
    ----------
    bar : tqdm
        Iterating over it would do the same, but then a warning from the work that a generator
        puts off would point at tqdm, which called it.

    results : iterable

    Returns
    -------
    results : list
    """
    collected = []
    for result in results:
        collected.append(result)
        bar.update()
    return collected
