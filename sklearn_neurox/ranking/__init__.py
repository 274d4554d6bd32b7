# SPDX-License-Identifier: BSD-3-Clause
"""Rankers: selectors that order neurons by importance."""

from sklearn_neurox.ranking._consensus_ranker import ConsensusRanker
from sklearn_neurox.ranking._cross_model_ranker import CrossModelRanker
from sklearn_neurox.ranking._detectors._average_precision_ranker import AveragePrecisionRanker
from sklearn_neurox.ranking._detectors._iou_ranker import IoURanker
from sklearn_neurox.ranking._gaussian._gaussian_ranker import GaussianRanker
from sklearn_neurox.ranking._lca_ranker import LCARanker
from sklearn_neurox.ranking._probeless_ranker import ProbelessRanker
from sklearn_neurox.ranking._random_ranker import RandomRanker

__all__ = [
    "AveragePrecisionRanker",
    "ConsensusRanker",
    "CrossModelRanker",
    "GaussianRanker",
    "IoURanker",
    "LCARanker",
    "ProbelessRanker",
    "RandomRanker",
]
