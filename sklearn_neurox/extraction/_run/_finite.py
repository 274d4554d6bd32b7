# SPDX-License-Identifier: BSD-3-Clause
"""Refuse states that are NaN or infinite, where they leave the model."""

import torch


def check_finite(state, mask, block, model, dtype):
    """Raise an error if the states of a block are not finite.

    Parameters
    ----------
    state : Tensor of shape (n_places, n_units)

    mask : callable
        Returns which places hold tokens (ndarray of bool); what padding becomes does not matter.

    block : str
        The name of the block.

    model : torch.nn.Module

    dtype : torch.dtype
        The dtype in which the model computed the states.

    Raises
    ------
    ValueError
        With the block, the share of such values, the dtype and the remedy.
    """
    # One pass; the sum of finite values may overflow too, which the second look tells apart.
    if torch.isfinite(state.sum()):
        return
    own = state[torch.from_numpy(mask()).to(state.device)]
    n_bad = int((~torch.isfinite(own)).sum())
    if n_bad:
        raise ValueError(
            f"{n_bad} of the {own.numel()} values of {block!r} ({n_bad / own.numel():.1%}) in a "
            f"batch of texts are NaN or infinite. {advise(model, dtype)} Lower layers may be "
            "finite: choose them with layers= (a cache stores only these with "
            "ActivationCache(..., layers='asked'))."
        )


def advise(model, dtype):
    """Return why the states of a model are not finite, and what to do."""
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not torch.isfinite(parameter).all():
            return (
                f"The parameter {name!r} of {type(model).__name__}, of dtype "
                f"{str(parameter.dtype).removeprefix('torch.')}, has such values itself."
            )
    largest = torch.finfo(dtype).max if dtype.is_floating_point else 0
    what = f"{type(model).__name__} computes in {str(dtype).removeprefix('torch.')}"
    if dtype == torch.float16:
        return (
            f"{what}, whose largest number is {largest:.0f}, and overflows. Load it with "
            "dtype='bfloat16' or dtype='float32', or convert it: model.float()."
        )
    if dtype == torch.float64:
        return f"{what}, and divides by zero or exceeds float32, to which activations are cast."
    return f"{what}, and divides by zero or overflows on the way."
