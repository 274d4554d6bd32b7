# SPDX-License-Identifier: BSD-3-Clause
"""How fast, compared with peers in one run: ``python -m benchmarks``."""
