# SPDX-License-Identifier: BSD-3-Clause
"""The probe whose coefficients are differences between class means."""
