# SPDX-License-Identifier: BSD-3-Clause
"""Run a model over tokenized texts, batch by batch, and pool its activations into a matrix."""
