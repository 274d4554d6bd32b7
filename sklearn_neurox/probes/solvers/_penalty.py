# SPDX-License-Identifier: BSD-3-Clause
import torch


class ElasticNetPenalty:
    """``sum_j l1_j |w_j| + l2_j / 2 w_j^2`` over all rows, with weights per column or coefficient.

    The weights differ because the solvers always work on columns of unit variance, while the user
    may want the original scale penalized.
    """

    def __init__(self, l1, l2):
        self.l1 = l1
        self.l2 = l2

    def value(self, coef):
        """Compute the penalty of the coefficients."""
        return (coef.abs() * self.l1).sum() + 0.5 * (coef.square() * self.l2).sum()

    def conjugate(self, gradient, shrink=1.0):
        """Compute the conjugate at ``shrink * gradient``, which must be feasible if l2 is zero."""
        excess = (shrink * gradient.abs() - self.l1).clamp_(min=0)
        return torch.where(self.l2 > 0, excess.square() / (2 * self.l2), 0.0).sum()

    def largest_shrink(self, gradient):
        """Return the largest factor, up to one, at which the conjugate is finite."""
        lasso = self.l2 == 0
        ratio = self.l1 / gradient.abs()
        return float(torch.where(lasso & (ratio < 1), ratio, 1.0).min())

    @property
    def is_zero(self):
        """Whether nothing is penalized."""
        return not bool((self.l1 > 0).any() or (self.l2 > 0).any())

    @property
    def has_l1(self):
        """Whether the optimum has exact zeros."""
        return bool(self.l1.any())

    def saturation(self, gradient):
        """Return the largest gradient at zero over the l1 penalty; up to one, zero is optimal."""
        return float((gradient.abs() / self.l1).nan_to_num(0.0).amax())

    def without_rounding(self, gradient, rounding):
        """Return the gradient that remains if each entry may be wrong by a rounding error."""
        return (gradient.abs() - rounding).clamp_(min=0)

    def prox(self, length):
        """Return the proximal operator for a step length."""
        return ProximalOperator(length * self.l1, 1 / (1 + length * self.l2))

    def to(self, dtype, device):
        """Convert to another precision and device."""
        # The weights of a nearly constant column may overflow, and infinity times zero is NaN.
        largest = torch.finfo(dtype).max
        return ElasticNetPenalty(
            self.l1.clamp(max=largest).to(device=device, dtype=dtype),
            self.l2.clamp(max=largest).to(device=device, dtype=dtype),
        )


class ProximalOperator:
    """Soft threshold and shrinkage, computed once for all steps of the same length.

    For a single row of coefficients, computing them takes as long as applying them.
    """

    def __init__(self, threshold, shrinkage):
        self.bounds = -threshold, threshold
        self.shrinkage = shrinkage

    def apply_(self, coef, buffer):
        """Change coefficients in place, using a buffer of the same shape."""
        torch.clamp(coef, *self.bounds, out=buffer)
        return coef.sub_(buffer).mul_(self.shrinkage)
