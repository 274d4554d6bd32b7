# SPDX-License-Identifier: BSD-3-Clause
"""The linear probe with few directions."""
