# SPDX-License-Identifier: BSD-3-Clause
"""Words in their texts, one per row, with their annotations; and pairs of them."""

from sklearn_neurox.words._annotate import annotate
from sklearn_neurox.words._frame import words_frame
from sklearn_neurox.words._pairs._pair_frame import pair_frame
from sklearn_neurox.words._readers._read_conllu import read_conllu
from sklearn_neurox.words._readers._read_parallel import read_parallel

__all__ = ["annotate", "pair_frame", "read_conllu", "read_parallel", "words_frame"]
