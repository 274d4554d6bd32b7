# SPDX-License-Identifier: BSD-3-Clause
"""Running a model over tokenized texts, batch by batch, into one matrix with a row per span."""
