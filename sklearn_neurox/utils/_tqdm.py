# SPDX-License-Identifier: BSD-3-Clause
"""Progress bars for terminals and notebooks."""

import warnings


def tqdm_class():
    """Import the tqdm class for this terminal or notebook, without a warning about ipywidgets.

    In a notebook without ipywidgets, tqdm warns on import, even if no bar is ever shown, and falls
    back to terminal bars. transformers imports tqdm too, so call this before importing it.
    """
    from tqdm.std import TqdmWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm


def progress_bar(total, verbose, *, desc, unit, unit_scale=False):
    """Make a progress bar, hidden unless ``verbose``.

    ``total`` may be None if ``bar.reset(total)`` follows; ``unit_scale`` shortens large numbers.
    """
    return tqdm_class()(
        total=total, desc=desc, unit=unit, unit_scale=unit_scale, disable=not verbose
    )


def counted(bar, results):
    """Collect results in a list, advancing the bar by one step for each.

    Iterating over the bar would do the same, but warnings raised inside a lazy ``results`` would
    then point at tqdm.
    """
    collected = []
    for result in results:
        collected.append(result)
        bar.update()
    return collected
