# SPDX-License-Identifier: BSD-3-Clause
"""Selectors of layers and neurons that do not rank."""

from sklearn_neurox.selection._layer_selector import LayerSelector

__all__ = ["LayerSelector"]
