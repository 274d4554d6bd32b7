# SPDX-License-Identifier: BSD-3-Clause
"""How similar two representations are: CKA and canonical correlations."""
