# SPDX-License-Identifier: BSD-3-Clause
"""The roles of tokens: added around the text, of the text, of its pair, or put in front of it."""

SPECIAL, TEXT, PAIR, PREFIX = -1, 0, 1, 2
# The start and end of a token whose characters could not be found.
UNALIGNED = -1
