# SPDX-License-Identifier: BSD-3-Clause


def progress(n_tokens, verbose, note=""):
    """Make the bar of a long extraction, which says what is left; silent unless ``verbose``."""
    from tqdm.auto import tqdm

    return tqdm(
        total=n_tokens,
        desc=f"extracting, {note}" if note else "extracting",
        unit="token",
        unit_scale=True,
        disable=not verbose,
    )
