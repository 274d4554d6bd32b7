# SPDX-License-Identifier: BSD-3-Clause
"""The loss of squared distances in a linear projection, its gradient and a starting point."""

import numpy as np

from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._torch import to_numpy, to_tensor


class DistanceLoss:
    """Weighted mean loss of ``||B d||^2`` against the targets, over rows ``d`` of X.

    B acts on columns divided by their root mean square, so that no column dominates the steps of
    the solver. Rows stay where they are; on a GPU, they are sent once.
    """

    def __init__(self, X, y, weight, device):
        import torch

        self.dtype = torch.float64 if X.dtype == np.float64 else torch.float32
        weight = np.ones(len(X)) if weight is None else weight
        # Rows without weight must not move the blocks, and with them the rounding errors.
        if not weight.all():
            X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        self.device, self.y = device, y
        self.weight = weight / weight.sum()
        self._X = X if device.type == "cpu" else to_tensor(X, device=device)
        self._slices = list(row_blocks(X))
        self.scale = self._root_mean_squares()

    def _rows(self):
        """Yield blocks of rows in the dtype of the solver, and where they are."""
        for rows in self._slices:
            block = self._X[rows]
            if self.device.type == "cpu":
                block = to_tensor(block)
            yield rows, block.to(self.dtype)

    def _weights(self, rows):
        return to_tensor(self.weight[rows], device=self.device, dtype=self.dtype)

    def _root_mean_squares(self):
        squares = np.zeros(self._X.shape[1])
        for rows, block in self._rows():
            squares += to_numpy(self._weights(rows) @ block.square())
        scale = np.sqrt(squares)
        return np.where(scale > 0, scale, 1.0)

    def start(self, rank):
        """Return the principal axes of the rows, scaled to fit the targets."""
        moment = np.zeros((self._X.shape[1],) * 2)
        scale = to_tensor(self.scale, device=self.device, dtype=self.dtype)
        for rows, block in self._rows():
            block = block / scale
            moment += to_numpy((block * self._weights(rows)[:, None]).T @ block)
        axes = np.linalg.eigh(moment)[1][:, ::-1][:, :rank].T
        distances = self.distances(axes)
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = (self.weight * distances) @ self.y / ((self.weight * distances) @ distances)
        return axes * np.sqrt(np.nan_to_num(factor, posinf=0.0))

    def distances(self, components):
        """Return the squared distance of every row."""
        scaled = self._scaled(components)
        parts = [(block @ scaled.T).square().sum(dim=1) for _, block in self._rows()]
        return np.concatenate([to_numpy(part) for part in parts]).astype(np.float64)

    def _scaled(self, components):
        return to_tensor(components / self.scale, device=self.device, dtype=self.dtype)

    def absolute(self, components):
        """Return the weighted mean of the absolute errors."""
        return float(self.weight @ np.abs(self.distances(components) - self.y))

    def smoothed(self, components, width):
        """Return the loss and its gradient, with errors below ``width`` smoothed.

        The loss of an error e is ``sqrt(e^2 + width^2) - width``, between ``|e| - width`` and |e|.
        """
        scaled = self._scaled(components)
        loss, gradient = 0.0, np.zeros(components.shape)
        for rows, block in self._rows():
            projected = block @ scaled.T
            squared = to_numpy(projected.square().sum(dim=1))
            error = squared.astype(np.float64) - self.y[rows]
            root = np.sqrt(error**2 + width**2)
            loss += float(self.weight[rows] @ (root - width))
            slope = 2 * self.weight[rows] * error / root
            slope = to_tensor(slope, device=self.device, dtype=self.dtype)
            gradient += to_numpy((projected * slope[:, None]).T @ block)
        return loss, gradient / self.scale
