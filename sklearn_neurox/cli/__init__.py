# SPDX-License-Identifier: BSD-3-Clause
"""The command ``sklearn-neurox``."""

from sklearn_neurox.cli._main import main

__all__ = ["main"]
