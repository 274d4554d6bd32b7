# SPDX-License-Identifier: BSD-3-Clause
import torch


def newton_intercept(loss, scores, target, start):
    """Minimise the mean loss over the intercepts by damped Newton steps.

    Parameters
    ----------
    loss : MultinomialLoss or BinaryLoss

    scores : tensor of shape (n_samples, n_rows)
        Without intercepts.

    target : Target

    start : tensor of shape (n_rows,)

    Returns
    -------
    intercept : tensor of shape (n_rows,)
    """
    eps = torch.finfo(scores.dtype).eps
    intercept = start
    value = loss.value(scores + intercept, target)
    for _ in range(100):
        predictions = loss.predict(scores + intercept)
        gradient = target.weigh(loss.residual(predictions, target)).mean(0)
        if gradient.abs().max() < 50 * eps:
            break
        # Not lstsq, whose CPU driver does not give the same bits every time.
        step = -torch.linalg.pinv(loss.hessian(predictions, target), hermitian=True) @ gradient
        decrease = float(-gradient @ step)
        length = 1.0
        # Below this the value no longer resolves a decrease, and Newton converges anyway.
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
