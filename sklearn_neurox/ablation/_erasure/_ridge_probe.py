# SPDX-License-Identifier: BSD-3-Clause
from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor


def ridge_probe(*, is_number, standardize=False):
    """Make the probe that reads what is left of a concept.

    Without an l1 penalty, coefficients that are all zero, as those of an erased concept, raise no
    warning.
    """
    kind = ElasticNetProbeRegressor if is_number else ElasticNetProbeClassifier
    return kind(alpha=1e-2, l1_ratio=0.0, standardize=standardize, random_state=0)
