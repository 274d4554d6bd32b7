# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy against the complexity of the probe."""
