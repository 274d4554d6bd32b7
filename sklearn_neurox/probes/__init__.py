# SPDX-License-Identifier: BSD-3-Clause
"""Probes: estimators that predict a property of words from activations."""

from sklearn_neurox.probes._elastic_net._classifier import ElasticNetProbeClassifier
from sklearn_neurox.probes._elastic_net._classifier_cv import ElasticNetProbeClassifierCV
from sklearn_neurox.probes._elastic_net._regressor import ElasticNetProbeRegressor
from sklearn_neurox.probes._elastic_net._regressor_cv import ElasticNetProbeRegressorCV
from sklearn_neurox.probes._gaussian._gaussian import GaussianProbeClassifier
from sklearn_neurox.probes._low_rank._low_rank_probe_classifier import LowRankProbeClassifier
from sklearn_neurox.probes._mean_difference._mean_difference import MeanDifferenceProbeClassifier
from sklearn_neurox.probes._structural._structural_probe import StructuralProbe

__all__ = [
    "ElasticNetProbeClassifier",
    "ElasticNetProbeClassifierCV",
    "ElasticNetProbeRegressor",
    "ElasticNetProbeRegressorCV",
    "GaussianProbeClassifier",
    "LowRankProbeClassifier",
    "MeanDifferenceProbeClassifier",
    "StructuralProbe",
]
