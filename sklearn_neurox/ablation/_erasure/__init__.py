# SPDX-License-Identifier: BSD-3-Clause
"""Erase a concept from a matrix of activations, and measure what is lost."""
