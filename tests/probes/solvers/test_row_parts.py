# SPDX-License-Identifier: BSD-3-Clause
"""A mean over blocks of rows is the mean over all rows, whatever the size of a block."""

import pytest
import torch

from sklearn_neurox.probes.solvers import _row_parts


class Loss:
    @_row_parts.mean_by_parts
    def value(self, table, target):
        return (table * target[:, None]).sum(dim=1).mean()


def test_means_of_blocks_are_the_mean_of_all(monkeypatch):
    table = torch.rand(13, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = torch.arange(13.0, dtype=torch.float64)
    expected = float((table * target[:, None]).sum() / 13)
    for n_numbers in (1, 3, 6, 18, 36, 39, 1000):
        monkeypatch.setattr(_row_parts, "_BLOCK_NUMBERS", n_numbers)
        parts = list(_row_parts.row_parts(table, target))
        assert sum(share for share, *_ in parts) == pytest.approx(1)
        assert torch.equal(torch.cat([part for _, part, _ in parts]), table)
        assert torch.equal(torch.cat([own for _, _, own in parts]), target)
        assert max(len(part) for _, part, _ in parts) <= max(1, n_numbers // 3)
        assert float(Loss().value(table, target)) == pytest.approx(expected, rel=1e-12)
