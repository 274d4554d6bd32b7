# SPDX-License-Identifier: BSD-3-Clause
"""Texts and their spans: rows, tokens, alignment, windows and checks."""
