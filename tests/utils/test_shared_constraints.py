# SPDX-License-Identifier: BSD-3-Clause
"""Parameters that several functions share accept the same values in each of them."""

import inspect

from sklearn_neurox import ablation, evaluation
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS

_SHARED = ("scoring", "cv", "confidence", "return_words")
# These score nothing.
_OTHERS = {"compare", "interval_table"}


def test_functions_that_score_probes_share_their_constraints():
    n_shared = 0
    for package in (ablation, evaluation):
        for name in set(package.__all__) - _OTHERS:
            function = getattr(package, name)
            constraints = getattr(function, "_skl_parameter_constraints", {})
            for parameter in set(_SHARED) & set(inspect.signature(function).parameters):
                if parameter in constraints:
                    shared = MEASUREMENT_CONSTRAINTS[parameter]
                    assert constraints[parameter] is shared, (name, parameter)
                    n_shared += 1
    assert n_shared > 15
