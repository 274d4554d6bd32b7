# SPDX-License-Identifier: BSD-3-Clause
"""What neurons respond to: tables, text views, plots and a report."""

__all__ = []
