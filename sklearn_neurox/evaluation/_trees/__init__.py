# SPDX-License-Identifier: BSD-3-Clause
"""Scores of distances between words that should be those of a tree."""
