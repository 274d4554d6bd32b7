# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about files gets the right result."""

import numpy as np
import pytest

from sklearn_neurox import io
from sklearn_neurox.words import words_frame
from tests.followed_advice import Followed, follow


@pytest.mark.slow
def test_order_of_rows(example, tmp_path):
    words, H = example.words, example.H
    values = H.to_numpy()
    order = np.random.default_rng(0).permutation(len(words))
    mixed, mixed_H = words.iloc[order], H.iloc[order]
    sorting = mixed.reset_index(drop=True).sort_values(["sentence_id", "position"]).index
    path = tmp_path / "acts.json"

    def written(rows, matrix):
        io.write_neurox(path, matrix, rows)
        return io.read_neurox(path, rows)[0].pool("last")

    follow(
        [
            Followed(
                lambda: written(mixed, mixed_H),
                r"words.iloc\[order\] and H\[order\]",
                lambda: written(mixed.iloc[sorting], mixed_H.iloc[sorting]),
                values,
            ),
        ]
    )


def test_files(example, tmp_path):
    words, H = example.words, example.H
    numbers = H.to_numpy()
    stored = tmp_path / "acts.json"
    io.write_neurox(stored, H, words)
    short = words[words["sentence_id"] != words["sentence_id"].iloc[0]]
    other = words.drop(index=words.index[0])
    follow(
        [
            Followed(
                lambda: io.write_neurox(tmp_path / "acts.npy", H, words),
                "must end with .hdf5 or .json",
                lambda: io.write_neurox(tmp_path / "acts2.json", H, words),
            ),
            Followed(
                lambda: _as_value_error(
                    lambda: io.write_neurox(tmp_path / "no" / "acts.json", H, words)
                ),
                "Create it first",
                lambda: (
                    (tmp_path / "no").mkdir(),
                    io.write_neurox(tmp_path / "no" / "acts.json", H, words),
                )[1],
            ),
            Followed(
                lambda: io.write_neurox(tmp_path / "a.json", numbers, words),
                "number of equal layers as n_layers=",
                lambda: io.write_neurox(tmp_path / "a.json", numbers, words, n_layers=3),
            ),
            Followed(
                lambda: io.read_neurox(stored, short),
                "Pass the words of exactly the sentences",
                lambda: io.read_neurox(stored, words)[0].pool("last"),
                numbers,
            ),
            Followed(
                lambda: io.read_neurox(stored, other),
                "or drop them with mismatched='drop'",
                lambda: _dropped(stored, other),
            ),
            Followed(
                lambda: io.read_neurox(stored, [["a"]]),
                r"words_frame\(sentences\)",
                lambda: io.read_neurox(
                    stored, words_frame(words.groupby("sentence_id")["word"].agg(list))
                )[0].pool("last"),
                numbers,
            ),
        ]
    )


def _as_value_error(call):
    try:
        call()
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error


def _dropped(stored, other):
    with pytest.warns(UserWarning, match="They are dropped"):
        return io.read_neurox(stored, other, mismatched="drop")
