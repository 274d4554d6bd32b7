# SPDX-License-Identifier: BSD-3-Clause
"""What all sub-packages share."""
