# SPDX-License-Identifier: BSD-3-Clause
"""Files that other programs wrote, and files that must be whole or not be there."""
