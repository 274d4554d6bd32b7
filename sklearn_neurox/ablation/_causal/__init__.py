# SPDX-License-Identifier: BSD-3-Clause
"""Measure how the predictions of a language model change when it is changed inside."""
