# SPDX-License-Identifier: BSD-3-Clause
import torch


class ElasticNetPenalty:
    """``sum_j l1_j |w_j| + l2_j / 2 w_j^2`` over all rows, one weight a column, or a coefficient.

    Columns have weights of their own because the solvers work on columns of unit variance,
    whatever the scale the user wants penalised.
    """

    def __init__(self, l1, l2):
        self.l1 = l1
        self.l2 = l2

    def value(self, coef):
        """Penalty of the coefficients."""
        return (coef.abs() * self.l1).sum() + 0.5 * (coef.square() * self.l2).sum()

    def conjugate(self, gradient, shrink=1.0):
        """Convex conjugate at ``shrink * gradient``, which must be feasible where l2 is zero."""
        excess = (shrink * gradient.abs() - self.l1).clamp_(min=0)
        return torch.where(self.l2 > 0, excess.square() / (2 * self.l2), 0.0).sum()

    def largest_shrink(self, gradient):
        """Largest factor up to one at which the conjugate is finite."""
        lasso = self.l2 == 0
        ratio = self.l1 / gradient.abs()
        return float(torch.where(lasso & (ratio < 1), ratio, 1.0).min())

    def prox(self, length):
        """Return the proximal operator of steps of one length."""
        return ProximalOperator(length * self.l1, 1 / (1 + length * self.l2))

    def to(self, dtype, device):
        """Return the same penalty for another precision."""
        # The weights of a nearly constant column may overflow, and infinity times zero is NaN.
        largest = torch.finfo(dtype).max
        return ElasticNetPenalty(
            self.l1.clamp(max=largest).to(device=device, dtype=dtype),
            self.l2.clamp(max=largest).to(device=device, dtype=dtype),
        )


class ProximalOperator:
    """Soft threshold and shrinkage, computed once for all steps of a length.

    Of one row of coefficients, to compute them would take as long as to apply them.
    """

    def __init__(self, threshold, shrinkage):
        self.bounds = -threshold, threshold
        self.shrinkage = shrinkage

    def apply_(self, coef, buffer):
        """Change coefficients in place; the buffer is of their shape."""
        torch.clamp(coef, *self.bounds, out=buffer)
        return coef.sub_(buffer).mul_(self.shrinkage)
