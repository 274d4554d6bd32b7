# SPDX-License-Identifier: BSD-3-Clause
"""Rankers that treat every neuron as a detector of each class."""
