# SPDX-License-Identifier: BSD-3-Clause
"""Numbers for the words that pairs consist of."""

import numpy as np
import pandas as pd


def number_words(pairs, tree):
    """Return the numbers of first and other words, how many there are, and their sentences."""
    # Words of a multi-word token may share a span, and byte pieces share a character.
    places = ["position"]
    if not {"position", "other_position"} <= set(pairs.columns):
        places = ["start", "end"]
        if {"token_index", "other_token_index"} <= set(pairs.columns):
            places.append("token_index")
    sides = [
        pd.DataFrame({name: pairs[f"{prefix}{name}"].to_numpy() for name in places})
        for prefix in ("", "other_")
    ]
    both = pd.concat([side.assign(_tree=tree) for side in sides], ignore_index=True)
    numbers = both.groupby(["_tree", *places]).ngroup().to_numpy()
    tree_of_word = np.empty(numbers.max() + 1, dtype=np.int64)
    tree_of_word[numbers] = both["_tree"]
    return numbers[: len(tree)], numbers[len(tree) :], len(tree_of_word), tree_of_word
