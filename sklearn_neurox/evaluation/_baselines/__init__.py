# SPDX-License-Identifier: BSD-3-Clause
"""Baselines: what the words alone, an untrained model or shuffled labels give away."""
