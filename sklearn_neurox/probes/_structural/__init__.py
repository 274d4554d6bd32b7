# SPDX-License-Identifier: BSD-3-Clause
"""The structural probe: distances between words that fit distances in a tree."""
