# SPDX-License-Identifier: BSD-3-Clause
"""Online code length: how many bits a probe needs to learn the labels (MDL)."""
