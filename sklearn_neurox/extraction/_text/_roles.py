# SPDX-License-Identifier: BSD-3-Clause
"""The roles of tokens: added around the text, of the text, or of its pair."""

SPECIAL, TEXT, PAIR = -1, 0, 1
# The start and end of a token whose characters could not be found.
UNALIGNED = -1
