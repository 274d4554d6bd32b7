# SPDX-License-Identifier: BSD-3-Clause
"""Change neurons while a model runs, and read the predictions of a language model."""
