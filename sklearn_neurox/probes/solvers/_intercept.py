# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.probes.solvers._row_parts import row_parts


def newton_intercept(loss, scores, target, start):
    """Minimize the mean loss over the intercepts by damped Newton steps.

    ``scores`` are those without intercepts; ``start`` and the result have shape (n_rows,).
    """
    eps = torch.finfo(scores.dtype).eps
    intercept = start
    value = _value(loss, scores, target, intercept)
    for _ in range(100):
        gradient, hessian = _derivatives(loss, scores, target, intercept)
        if gradient.abs().max() < 50 * eps:
            break
        # Not lstsq, whose CPU driver is not deterministic; and on the CPU, because it takes a GPU
        # longer to decompose a matrix this small.
        inverse = torch.linalg.pinv(hessian.cpu(), hermitian=True).to(gradient.device)
        step = -inverse @ gradient
        decrease = float(-gradient @ step)
        length = 1.0
        # Smaller decreases are lost in rounding, and full Newton steps converge there anyway.
        while decrease > 4000 * eps:
            trial = _value(loss, scores, target, intercept + length * step)
            if trial <= value - 1e-4 * length * decrease or length < 1e-10:
                value = trial
                break
            length /= 2
        intercept = intercept + length * step
        if decrease < eps**2:
            break
    return intercept


def _value(loss, scores, target, intercept):
    parts = row_parts(scores, target)
    return sum(share * loss.value(part + intercept, own) for share, part, own in parts)


def _derivatives(loss, scores, target, intercept):
    """Compute the gradient and the Hessian in the intercepts."""
    gradient, hessian = 0.0, 0.0
    for share, part, own in row_parts(scores, target):
        predictions = loss.predict(part + intercept)
        gradient += share * own.weigh(loss.residual(predictions, own)).mean(0)
        hessian += share * loss.hessian(predictions, own)
    return gradient, hessian
