# SPDX-License-Identifier: BSD-3-Clause
import torch


def newton_intercept(loss, scores, target, start):
    """Minimize the mean loss over the intercepts by damped Newton steps.

    ``scores`` are those without intercepts; ``start`` and the result have shape (n_rows,).
    """
    eps = torch.finfo(scores.dtype).eps
    intercept = start
    value = loss.value(scores + intercept, target)
    for _ in range(100):
        predictions = loss.predict(scores + intercept)
        gradient = target.weigh(loss.residual(predictions, target)).mean(0)
        if gradient.abs().max() < 50 * eps:
            break
        # Not lstsq, whose CPU driver is not deterministic; and on the CPU, because it takes a GPU
        # longer to decompose a matrix this small.
        hessian = loss.hessian(predictions, target).cpu()
        inverse = torch.linalg.pinv(hessian, hermitian=True).to(gradient.device)
        step = -inverse @ gradient
        decrease = float(-gradient @ step)
        length = 1.0
        # Smaller decreases are lost in rounding, and full Newton steps converge there anyway.
        while decrease > 4000 * eps:
            trial = loss.value(scores + (intercept + length * step), target)
            if trial <= value - 1e-4 * length * decrease or length < 1e-10:
                value = trial
                break
            length /= 2
        intercept = intercept + length * step
        if decrease < eps**2:
            break
    return intercept
