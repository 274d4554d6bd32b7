# SPDX-License-Identifier: BSD-3-Clause
"""Probes: linear models that predict what a neuron may know."""

from sklearn_neurox.probes._elastic_net import ElasticNetProbeClassifier

__all__ = ["ElasticNetProbeClassifier"]
