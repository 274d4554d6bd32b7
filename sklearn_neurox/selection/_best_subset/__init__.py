# SPDX-License-Identifier: BSD-3-Clause
"""The search for the best subset of columns, and the bound below what any subset reaches."""
