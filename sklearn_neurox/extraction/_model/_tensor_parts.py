# SPDX-License-Identifier: BSD-3-Clause
"""The parts of tensors that are not one block of numbers: quantized, nested and sparse ones."""

import torch

_ROWS, _COLUMNS = (
    ("crow_indices", "col_indices", "values"),
    ("ccol_indices", "row_indices", "values"),
)
# The methods that return the parts of a tensor that is not dense.
_SPARSE = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: _ROWS,
    torch.sparse_bsr: _ROWS,
    torch.sparse_csc: _COLUMNS,
    torch.sparse_bsc: _COLUMNS,
}


def parts_of(tensor):
    """Return a list of the tensors and settings that a tensor consists of; None for a plain one."""
    if tensor.device.type == "meta":
        return None
    if hasattr(tensor, "__tensor_flatten__"):  # a subclass made of several tensors
        names, context = tensor.__tensor_flatten__()
        return [context, *(getattr(tensor, part) for part in names)]
    if tensor.is_nested:
        return ["nested", *tensor.unbind()]
    if tensor.layout is not torch.strided:
        # Of a layout that is not listed, such as that of MKL-DNN.
        names = _SPARSE.get(tensor.layout, ("to_dense",))
        parts = (getattr(tensor, name)() for name in names)
        return [str(tensor.layout), *parts]
    if tensor.is_quantized and tensor.qscheme() == torch.per_tensor_affine:
        return [tensor.int_repr(), tensor.q_scale(), tensor.q_zero_point()]
    if tensor.is_quantized:
        scales = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
        return [tensor.int_repr(), *scales]
    return None
