# SPDX-License-Identifier: BSD-3-Clause
"""A NUL character in a path is named, wherever a path is given."""

import numpy as np
import pytest

from sklearn_neurox.inspection import highlight
from sklearn_neurox.io import read_neurox, write_neurox
from sklearn_neurox.words import read_conllu, read_parallel, words_frame


def test_a_nul_character_in_a_path():
    words, H = words_frame([["a", "b"]]), np.ones((2, 1))
    calls = [
        lambda: read_conllu("a\0b"),
        lambda: read_parallel("a\0b", "c"),
        lambda: read_neurox("a\0b.json"),
        lambda: read_neurox("a\0b.hdf5", words),
        lambda: write_neurox("a\0b.json", H, words, n_layers=1),
        lambda: highlight(words, np.array([[1.0], [2.0]]), [0]).write_html("a\0b.html"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"'a\\x00b.*contains a NUL character"):
            call()
