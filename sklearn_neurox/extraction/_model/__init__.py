# SPDX-License-Identifier: BSD-3-Clause
"""Load and identify a language model, and read its activations."""
