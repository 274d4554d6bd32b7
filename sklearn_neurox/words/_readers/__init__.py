# SPDX-License-Identifier: BSD-3-Clause
"""Readers of annotated text files, one per format."""
