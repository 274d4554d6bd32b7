# SPDX-License-Identifier: BSD-3-Clause
"""Whether to believe a probe, and how alike two representations or two rankings are."""

from sklearn_neurox.evaluation._baseline_table import baseline_table
from sklearn_neurox.evaluation._cka import cka
from sklearn_neurox.evaluation._layer_profile import layer_profile
from sklearn_neurox.evaluation._leakage_report import leakage_report
from sklearn_neurox.evaluation._pwcca import pwcca
from sklearn_neurox.evaluation._ranking_agreement import ranking_agreement
from sklearn_neurox.evaluation._svcca import svcca

__all__ = [
    "baseline_table",
    "cka",
    "layer_profile",
    "leakage_report",
    "pwcca",
    "ranking_agreement",
    "svcca",
]
