# SPDX-License-Identifier: BSD-3-Clause
"""The information about labels that a family of probes can use."""
