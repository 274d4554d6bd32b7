# SPDX-License-Identifier: BSD-3-Clause
"""The structural probe, which predicts tree distances between words."""
