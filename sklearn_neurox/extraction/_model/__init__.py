# SPDX-License-Identifier: BSD-3-Clause
"""Loading and identifying a language model, and reading its activations."""
