# SPDX-License-Identifier: BSD-3-Clause
"""Attention heads that pick the partner of a word, such as its syntactic head."""
