# SPDX-License-Identifier: BSD-3-Clause
from sklearn.utils.multiclass import type_of_target

from sklearn_neurox.probes._elastic_net._classifier import ElasticNetProbeClassifier
from sklearn_neurox.probes._elastic_net._regressor import ElasticNetProbeRegressor


def default_probe(y):
    """Make an elastic-net classifier or regressor, depending on the type of the target."""
    is_number = type_of_target(y).startswith("continuous")
    probe = ElasticNetProbeRegressor if is_number else ElasticNetProbeClassifier
    return probe(standardize=True, random_state=0)
