# SPDX-License-Identifier: BSD-3-Clause
"""Change states, as tensors, while a model runs: some units of them, or along directions."""

import numpy as np

from sklearn_neurox.utils._autocast import without_autocast
from sklearn_neurox.utils._full_float32 import full_float32


class _Change:
    """Arrays that become tensors of a state's device and dtype, once for each."""

    # What states become or are moved by, which their dtype must be able to represent.
    represented = ("values", "vector", "targets")

    def __init__(self, name, **arrays):
        self.name, self.arrays = name, arrays
        self._tensors = {}

    def tensors(self, state, dtype):
        """Return the arrays as tensors, in the order in which they were given.

        Raises an OverflowError if the dtype of the state cannot represent one of their numbers.
        """
        key = state.device, state.dtype
        if key not in self._tensors:
            import torch

            # Tensors made in inference mode could not be used in a forward pass that trains.
            with torch.inference_mode(False):
                self._tensors[key] = [self._to_tensor(name, state, dtype) for name in self.arrays]
        return self._tensors[key]

    def _to_tensor(self, name, state, dtype):
        import torch

        from sklearn_neurox.utils._torch import to_tensor

        array = self.arrays[name]
        if array.dtype.kind in "iu":
            return to_tensor(array, device=state.device)
        tensor = to_tensor(array)
        is_finite = name not in self.represented or torch.isfinite(tensor.to(state.dtype)).all()
        if not bool(is_finite):
            raise OverflowError(
                f"A neuron of {self.name!r} would be set to or changed by "
                f"{abs(array).max():.6g}, which {state.dtype} cannot represent."
            )
        return tensor.to(dtype).to(state.device)


class UnitChange(_Change):
    """Changes some units: to a constant or to rows of a table, by a factor or by a shift."""

    def __init__(self, kind, units, values, name):
        super().__init__(name, units=units, values=values)
        self.kind = kind

    def __call__(self, state, slots=None):
        """Return a copy of a state with changed units."""
        units, values = self.tensors(state, state.dtype)
        changed = state.clone()
        if self.kind == "constant":
            changed[..., units] = values
        elif self.kind == "interchange":
            changed[..., units] = values[slots]
        elif self.kind == "scale":
            changed[..., units] = state[..., units] * values
        else:
            changed[..., units] = state[..., units] + values
        return changed


class _FullPrecision(_Change):
    """A change that half precision would round too often: computed in float32, or in float64."""

    in_double = False

    def __call__(self, state, slots=None):
        """Return a changed state, without the autocast and TF32 with which the model may run."""
        with without_autocast(), full_float32(state.device):
            return self._changed(state, slots)

    def _changed(self, state, slots):
        import torch

        dtype = torch.promote_types(state.dtype, torch.float32)
        if self.in_double and state.device.type != "mps":  # which has no float64
            dtype = torch.float64
        tensors = self.tensors(state, dtype)
        changed = self.change(state.to(dtype), slots, *tensors).to(state.dtype)
        # bfloat16 reaches as far as float32.
        if state.dtype == torch.float16 and bool((changed.isinf() & state.isfinite()).any()):
            raise OverflowError(
                f"A state of {self.name!r} would be moved to where float16 cannot represent it. "
                "Move it less far, or load the model in bfloat16 or float32."
            )
        return changed


class Translation(_FullPrecision):
    """Adds a vector."""

    def __init__(self, vector, name):
        super().__init__(name, vector=vector)

    def change(self, state, slots, vector):
        """Return state + vector."""
        return state + vector


class RelativeTranslation(Translation):
    """Adds a vector times the norm of the state, for each token by itself."""

    def change(self, state, slots, vector):
        """Return state + norm * vector."""
        return state + state.norm(dim=-1, keepdim=True) * vector


class Coordinates(_FullPrecision):
    """Sets the coordinates of a state along directions of unit length, and keeps the rest.

    Parameters
    ----------
    directions : ndarray of shape (n_directions, n_units)
        Of unit length.

    targets : ndarray of shape (n_directions,) or (n_slots, n_directions)
        What the coordinates become; or, for ``kind="scale"``, the factors.

    kind : {"constant", "interchange", "scale"}
    """

    def __init__(self, kind, directions, targets, name):
        super().__init__(
            name,
            directions=directions,
            # Moves one coordinate by 1, and the others not at all, as far as they are independent.
            moves=np.linalg.pinv(directions, rcond=1e-6).T,
            targets=targets,
        )
        self.kind = kind

    def change(self, state, slots, directions, moves, targets):
        """Return state + (targets - state @ directions.T) @ moves."""
        now = state @ directions.T
        if self.kind == "scale":
            targets = targets * now
        elif self.kind == "interchange":
            targets = targets[slots]
        return state + (targets - now) @ moves


class Erasure(_FullPrecision):
    """Applies the affine map of an eraser."""

    # LEACE reads small differences of large states; see ConceptEraser.transform.
    in_double = True

    def __init__(self, directions, readouts, center, name):
        super().__init__(name, directions=directions, readouts=readouts, center=center)

    def change(self, state, slots, directions, readouts, center):
        """Return state - (state - center) @ readouts.T @ directions."""
        return state - (state - center) @ readouts.T @ directions
