# SPDX-License-Identifier: BSD-3-Clause
"""Solvers of the probes in torch: losses, penalty, design, certificate and algorithms.

They are imported during the first fit only, because importing torch takes about a second.
"""

__all__ = []
