# SPDX-License-Identifier: BSD-3-Clause
"""Evaluation of probes, and similarity of representations and of rankings."""

from sklearn_neurox.evaluation._attention_heads._attention_head_table import (
    attention_head_table,
)
from sklearn_neurox.evaluation._baselines._baseline_table import baseline_table
from sklearn_neurox.evaluation._codelength._online_code import OnlineCode
from sklearn_neurox.evaluation._codelength._online_codelength import online_codelength
from sklearn_neurox.evaluation._compare import compare
from sklearn_neurox.evaluation._controls._control_heads import control_heads
from sklearn_neurox.evaluation._controls._control_labels import control_labels
from sklearn_neurox.evaluation._controls._control_task_classifier import ControlTaskClassifier
from sklearn_neurox.evaluation._controls._selectivity_score import selectivity_score
from sklearn_neurox.evaluation._controls._selectivity_scorer import SelectivityScorer
from sklearn_neurox.evaluation._information._v_information import v_information
from sklearn_neurox.evaluation._interval_table import interval_table
from sklearn_neurox.evaluation._layers._layer_profile import layer_profile
from sklearn_neurox.evaluation._leakage_report import leakage_report
from sklearn_neurox.evaluation._pareto._pareto_curve import pareto_curve
from sklearn_neurox.evaluation._pareto._pareto_hypervolume import pareto_hypervolume
from sklearn_neurox.evaluation._ranking_agreement import ranking_agreement
from sklearn_neurox.evaluation._similarity._cka import cka
from sklearn_neurox.evaluation._similarity._maxcorr import maxcorr
from sklearn_neurox.evaluation._similarity._pwcca import pwcca
from sklearn_neurox.evaluation._similarity._svcca import svcca
from sklearn_neurox.evaluation._sparse_probing_curve import sparse_probing_curve
from sklearn_neurox.evaluation._trees._distance_spearman_score import distance_spearman_score
from sklearn_neurox.evaluation._trees._uuas_score import uuas_score

__all__ = [
    "ControlTaskClassifier",
    "OnlineCode",
    "SelectivityScorer",
    "attention_head_table",
    "baseline_table",
    "cka",
    "compare",
    "control_heads",
    "control_labels",
    "distance_spearman_score",
    "interval_table",
    "layer_profile",
    "leakage_report",
    "maxcorr",
    "online_codelength",
    "pareto_curve",
    "pareto_hypervolume",
    "pwcca",
    "ranking_agreement",
    "selectivity_score",
    "sparse_probing_curve",
    "svcca",
    "uuas_score",
    "v_information",
]
