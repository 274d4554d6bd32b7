# SPDX-License-Identifier: BSD-3-Clause
"""Time this package against its peers in the same run: ``python -m benchmarks``."""
