# SPDX-License-Identifier: BSD-3-Clause
"""Scores layer by layer, with confidence intervals and paired tests."""
