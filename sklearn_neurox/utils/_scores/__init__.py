# SPDX-License-Identifier: BSD-3-Clause
"""Scores of rows, and their intervals over groups."""
