# SPDX-License-Identifier: BSD-3-Clause
"""Find, rank, select and ablate neurons of transformer language models."""

from sklearn_neurox._version import __version__

__all__ = ["__version__"]
