# SPDX-License-Identifier: BSD-3-Clause
"""A language model: loading it, identifying it, and reading what its layers compute."""
