# SPDX-License-Identifier: BSD-3-Clause
"""Read and write NeuroX's activation files, and load estimators with skops."""

from sklearn_neurox.io._read_neurox import read_neurox
from sklearn_neurox.io._skops import SKOPS_TRUSTED
from sklearn_neurox.io._write_neurox import write_neurox

__all__ = ["SKOPS_TRUSTED", "read_neurox", "write_neurox"]
