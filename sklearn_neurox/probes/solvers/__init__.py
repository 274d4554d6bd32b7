# SPDX-License-Identifier: BSD-3-Clause
"""Solvers of the probes: losses, penalty, design, certificate and algorithms, all in torch.

Nothing here is imported before a fit, because importing torch takes about a second.
"""

__all__ = []
