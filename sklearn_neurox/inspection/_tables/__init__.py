# SPDX-License-Identifier: BSD-3-Clause
"""DataFrames that show what neurons respond to and which errors probes make."""
