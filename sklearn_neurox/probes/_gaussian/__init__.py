# SPDX-License-Identifier: BSD-3-Clause
"""The Gaussian probe and the moments that it is computed from."""
