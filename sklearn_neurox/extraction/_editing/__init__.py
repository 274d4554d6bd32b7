# SPDX-License-Identifier: BSD-3-Clause
"""Changing neurons while a model runs, and what a language model then predicts."""
