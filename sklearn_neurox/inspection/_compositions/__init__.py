# SPDX-License-Identifier: BSD-3-Clause
"""Logical formulas of annotations that explain where a neuron is active."""
