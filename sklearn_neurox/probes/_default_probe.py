# SPDX-License-Identifier: BSD-3-Clause
from sklearn.utils.multiclass import type_of_target

from sklearn_neurox.probes._elastic_net._classifier import ElasticNetProbeClassifier
from sklearn_neurox.probes._elastic_net._regressor import ElasticNetProbeRegressor

# A probe whose weights are ranked needs a closer solution than its predictions do.
RANKING_TOL = 1e-5


def default_probe(y, *, tol=1e-3):
    """Make an elastic-net classifier or regressor, depending on the type of the target."""
    is_number = type_of_target(y).startswith("continuous")
    probe = ElasticNetProbeRegressor if is_number else ElasticNetProbeClassifier
    return probe(standardize=True, tol=tol, random_state=0)
