# SPDX-License-Identifier: BSD-3-Clause
"""Linear probes with an elastic-net penalty, and their cross-validated twins."""
