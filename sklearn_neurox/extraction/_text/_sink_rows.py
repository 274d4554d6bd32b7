# SPDX-License-Identifier: BSD-3-Clause
"""A warning about rows that stand on an attention sink."""

import numpy as np

from sklearn_neurox.utils._warn_user import warn_user


def report_sinks(parts, n_rows, blocks):
    """Warn about rows with the first token of an input, if it is a sink in some of the blocks.

    Parameters
    ----------
    parts : Parts
        The tokens of each row.

    n_rows : int

    blocks : tuple of str
        The names of the blocks in which the first token of an input is a sink.
    """
    if not blocks:
        return
    rows = np.unique(parts.row[parts.position[parts.first] == 0])
    if not len(rows):
        return
    where = blocks[0] if len(blocks) == 1 else f"{len(blocks)} blocks, such as {blocks[0]}"
    warn_user(
        f"{len(rows)} of {n_rows} {parts.noun} have the first token of the model's input, whose "
        f"state is many times longer than any other in {where} (an attention sink), so that these "
        f"{parts.noun} dominate variances and extremes. If this token belongs to a chat template, "
        f"leave these {parts.noun} out (in a token_frame, their token_index is 0). Otherwise, put "
        "a token that belongs to no row in front of each input, with "
        "ActivationExtractor(prefix='bos'), or with prefix='\\n' if the tokenizer has no BOS token."
    )
