# SPDX-License-Identifier: BSD-3-Clause
"""The Gaussian probe and its class moments."""
