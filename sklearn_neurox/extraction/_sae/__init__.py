# SPDX-License-Identifier: BSD-3-Clause
"""Sparse autoencoders: read them, encode tokens with them, and pool the codes into sparse rows."""
