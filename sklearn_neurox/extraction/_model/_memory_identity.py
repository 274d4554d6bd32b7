# SPDX-License-Identifier: BSD-3-Clause
from sklearn_neurox.extraction._model._fingerprint import fingerprint
from sklearn_neurox.extraction._model._obstacle import check_memorable
from sklearn_neurox.utils._full_float32 import lowered_float32


def identify_for_memory(spec):
    """Return what identifies a model as it is now, for `joblib.Memory`."""
    check_memorable(spec, "what is computed from these activations")
    identity = fingerprint(spec, {})
    if spec.is_live and identity is None:
        raise ValueError(
            f"{spec.name} cannot be identified, as it has no fingerprint. So memory= of a "
            "Pipeline, or another joblib.Memory, cannot keep what is computed from these "
            "activations: set memory=None."
        )
    return identity, lowered_float32()
