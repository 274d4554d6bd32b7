# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of words or spans of one text, one pair per row."""
