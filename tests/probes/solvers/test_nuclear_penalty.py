# SPDX-License-Identifier: BSD-3-Clause
"""The nuclear norm: its value, its limits and what rounding errors may have added to a gradient."""

import numpy as np
import pytest
import torch

from sklearn_neurox.probes.solvers._nuclear_penalty import NuclearPenalty


def test_known_answers():
    penalty = NuclearPenalty(0.5)
    coef = torch.diag(torch.tensor([3.0, 1.0, 0.0], dtype=torch.float64))
    assert float(penalty.value(coef)) == pytest.approx(0.5 * 4)
    assert penalty.saturation(coef) == pytest.approx(3 / 0.5)
    assert penalty.largest_shrink(coef) == pytest.approx(0.5 / 3)
    assert penalty.largest_shrink(coef / 100) == 1


def test_rounding_errors_shorten_a_gradient_by_their_norm():
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e3):
        gradient = torch.from_numpy(scale * rng.normal(size=(4, 7)))
        length = float(gradient.norm())
        for rounding in (0.0, 0.01 * scale, 10 * scale):
            # All entries wrong by this much have this norm together.
            expected = max(length - rounding * 28**0.5, 0)
            remaining = NuclearPenalty(1.0).without_rounding(gradient, rounding)
            assert float(remaining.norm()) == pytest.approx(expected)
            torch.testing.assert_close(remaining * length, gradient * expected)
