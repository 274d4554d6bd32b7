# SPDX-License-Identifier: BSD-3-Clause
"""A baseline for pairs of words that only knows how far apart they are, and in which order."""

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

# Fewer pairs would let the tree remember single training pairs of rare distances.
_PAIRS_IN_LEAF = 10


def are_pairs(rows):
    """Return whether a table contains pairs of spans."""
    return isinstance(rows, pd.DataFrame) and {"start", "other_start"} <= set(rows.columns)


def distance_baseline(*, classes):
    """Return a decision tree on the distance and direction of pairs of words."""
    tree = DecisionTreeClassifier if classes else DecisionTreeRegressor
    reader = tree(min_samples_leaf=_PAIRS_IN_LEAF, random_state=0)
    return make_pipeline(FunctionTransformer(_distance_and_direction), reader)


def _distance_and_direction(pairs):
    """Return the number of words, or else characters, between two spans, and which is first."""
    columns = set(pairs.columns)
    if "distance" in columns:
        steps = pairs["distance"]
    elif {"position", "other_position"} <= columns:
        steps = pairs["other_position"] - pairs["position"]
    else:
        steps = pairs["other_start"] - pairs["start"]
    steps = steps.to_numpy(dtype=np.float64)
    return np.column_stack([np.abs(steps), np.sign(steps)])
