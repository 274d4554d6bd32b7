# SPDX-License-Identifier: BSD-3-Clause
"""Letters are found again after a long run of letters that differ."""

import numpy as np

from sklearn_neurox.extraction._text._letters import _matching_blocks


def test_letters_after_many_others_are_found():
    tail = "".join(np.random.RandomState(0).choice(list("abcdefghijklmnop"), size=300))
    for n_others in (0, 1, 99, 150, 400, 700, 3000):
        blocks = _matching_blocks("x" * n_others + tail, "y" * n_others + tail)
        found = [(i + step, j + step) for i, j, size in blocks for step in range(size)]
        assert found == [(n_others + step,) * 2 for step in range(300)]
