# SPDX-License-Identifier: BSD-3-Clause
"""Displays: one class per plot."""
