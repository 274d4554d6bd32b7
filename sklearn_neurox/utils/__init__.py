# SPDX-License-Identifier: BSD-3-Clause
"""Private functions and classes shared by all sub-packages."""
