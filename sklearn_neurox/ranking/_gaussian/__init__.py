# SPDX-License-Identifier: BSD-3-Clause
"""Greedy selection of neurons by a Gaussian probe."""
