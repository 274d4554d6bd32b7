# SPDX-License-Identifier: BSD-3-Clause
"""Texts and the spans in them: rows, tokens, alignment, windows, and checks."""
