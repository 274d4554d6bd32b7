# SPDX-License-Identifier: BSD-3-Clause
"""Text colored by the activations of its words."""
