# SPDX-License-Identifier: BSD-3-Clause
"""Rankers that score each neuron as a detector of each class."""
