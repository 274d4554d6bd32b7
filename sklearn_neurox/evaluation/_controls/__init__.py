# SPDX-License-Identifier: BSD-3-Clause
"""Control tasks: random labels that a probe can only memorize."""
