# SPDX-License-Identifier: BSD-3-Clause
import torch


class NuclearPenalty:
    """``alpha`` times the sum of the singular values of the coefficients of standardized columns.

    It has the methods of `ElasticNetPenalty` that full-batch algorithms and certificates need.
    """

    is_zero = False
    has_l1 = True

    def __init__(self, alpha):
        self.alpha = alpha

    def value(self, coef):
        """Compute the penalty of the coefficients."""
        return self.alpha * torch.linalg.svdvals(coef).sum()

    def conjugate(self, gradient, shrink=1.0):
        """Compute the conjugate at ``shrink * gradient``, which must be feasible."""
        return 0.0

    def largest_shrink(self, gradient):
        """Return the largest factor, up to one, at which the conjugate is finite."""
        return min(1.0, 1 / max(self.saturation(gradient), 1e-300))

    def saturation(self, gradient):
        """Return the spectral norm of a gradient over alpha; up to one, zero is optimal."""
        return float(torch.linalg.matrix_norm(gradient, ord=2)) / self.alpha

    def without_rounding(self, gradient, rounding):
        """Return the gradient that remains if each entry may be wrong by a rounding error."""
        share = rounding * gradient.numel() ** 0.5 / float(gradient.norm())
        return gradient * max(1 - share, 0.0)

    def prox(self, length):
        """Return the proximal operator for a step length."""
        return _SingularValueThreshold(length * self.alpha)

    def to(self, dtype, device):
        """Return itself: a number has no precision and no device."""
        return self


class _SingularValueThreshold:
    """Subtracts a number from all singular values; those below it become zero."""

    def __init__(self, threshold):
        self.threshold = threshold

    def apply_(self, coef, buffer):
        """Return changed coefficients; the buffer is not needed."""
        left, values, right = torch.linalg.svd(coef, full_matrices=False)
        rank = int((values > self.threshold).sum())
        return (left[:, :rank] * (values[:rank] - self.threshold)) @ right[:rank]
