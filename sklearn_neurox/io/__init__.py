# SPDX-License-Identifier: BSD-3-Clause
"""Activations to and from NeuroX's files, and what skops may load."""

from sklearn_neurox.io._read_neurox import read_neurox
from sklearn_neurox.io._skops import SKOPS_TRUSTED
from sklearn_neurox.io._write_neurox import write_neurox

__all__ = ["SKOPS_TRUSTED", "read_neurox", "write_neurox"]
