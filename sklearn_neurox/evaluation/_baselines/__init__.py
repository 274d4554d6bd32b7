# SPDX-License-Identifier: BSD-3-Clause
"""Baselines: scores of the words alone, of an untrained model and of shuffled labels."""
