# SPDX-License-Identifier: BSD-3-Clause
"""How alike two representations or two rankings are."""

from sklearn_neurox.evaluation._cka import cka
from sklearn_neurox.evaluation._layer_profile import layer_profile
from sklearn_neurox.evaluation._pwcca import pwcca
from sklearn_neurox.evaluation._ranking_agreement import ranking_agreement
from sklearn_neurox.evaluation._svcca import svcca

__all__ = ["cka", "layer_profile", "pwcca", "ranking_agreement", "svcca"]
