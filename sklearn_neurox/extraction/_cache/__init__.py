# SPDX-License-Identifier: BSD-3-Clause
"""Activations kept on disk: shards, their index, filling, and reading them back."""
