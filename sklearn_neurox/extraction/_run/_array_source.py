# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.utils import check_array

from sklearn_neurox.extraction._run._numpy_pooling import NumpyPooler
from sklearn_neurox.utils._ragged import ranges


@dataclass(frozen=True)
class ArraySource:
    """Activations in memory, as one block of neurons."""

    values: np.ndarray  # (n_tokens, n_neurons)
    ptr: np.ndarray  # sequence i has the tokens ptr[i]:ptr[i + 1]
    feature_names: np.ndarray = field(repr=False)

    @property
    def block_widths(self):
        """The number of neurons in the only block."""
        return (self.values.shape[1],)

    def take(self, which):
        """Return a source with only the given sequences."""
        places, ptr = ranges(self.ptr[:-1][which], np.diff(self.ptr)[which])
        return replace(self, values=self.values[places], ptr=ptr)

    def pool(self, parts, out):
        """Pool the activations into the rows of a matrix."""
        pooler = NumpyPooler(parts, out)
        batch = parts.of_batch(np.arange(len(self.ptr) - 1), self.ptr[:-1])
        with np.errstate(over="ignore"):
            values = self.values.astype(np.float32, copy=False)
        pooler.add(batch, [(slice(0, values.shape[1]), values)])
        pooler.finish()


def check_arrays(arrays):
    """Check arrays of (n_subwords, n_neurons), which must have the same number of neurons."""
    checked = [
        check_array(
            _as_array(array),
            dtype=[np.float64, np.float32, np.float16],
            ensure_min_samples=0,
            input_name=f"arrays[{number}]",
            estimator="Activations.from_arrays",
        )
        for number, array in enumerate(arrays)
    ]
    if not checked:
        raise ValueError("Found array with 0 sample(s): give at least one array.")
    widths = [array.shape[1] for array in checked]
    wrong = next((i for i, width in enumerate(widths) if width != widths[0]), None)
    if wrong is not None:
        raise ValueError(
            f"All arrays must have the same number of neurons, but array {wrong} has "
            f"{widths[wrong]} and array 0 has {widths[0]}."
        )
    return checked


def check_fits_float32(values, ptr, names):
    """Raise an error if values of float64 become infinite, or all values of a neuron zero."""
    if values.dtype != np.float64 or not values.size:
        return
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    lost = ~np.isfinite(single)
    if not lost.any():
        lost = (values != 0) & ~single.any(axis=0)
    if not lost.any():
        return
    token, unit = (int(i[0]) for i in np.nonzero(lost))
    row = int(np.searchsorted(ptr, token, "right")) - 1
    raise ValueError(
        f"arrays[{row}] has the value {values[token, unit]:.3g} for the neuron {names[unit]!r}, "
        f"which float32 cannot hold ({int(lost.sum())} such values). Activations are pooled in "
        "float32. Rescale the neuron, for example divide it by its largest value."
    )


def _as_array(array):
    """Return a tensor as an array; NumPy has no bfloat16, and refuses tensors with gradients."""
    if not callable(getattr(array, "detach", None)):
        return array
    tensor = array.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:
        return tensor.float().numpy()
