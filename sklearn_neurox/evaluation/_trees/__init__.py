# SPDX-License-Identifier: BSD-3-Clause
"""Scores of predicted tree distances between words."""
