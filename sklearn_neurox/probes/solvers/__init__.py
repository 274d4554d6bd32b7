# SPDX-License-Identifier: BSD-3-Clause
"""Solvers of the probes in torch: losses, penalty, design, certificate and algorithms.

They are imported only during the first fit, because importing torch takes about a second.
"""

__all__ = []
