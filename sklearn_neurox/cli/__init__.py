# SPDX-License-Identifier: BSD-3-Clause
"""The ``sklearn-neurox`` command."""

from sklearn_neurox.cli._main import main

__all__ = ["main"]
