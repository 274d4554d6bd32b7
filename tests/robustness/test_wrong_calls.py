# SPDX-License-Identifier: BSD-3-Clause
"""Wrong calls of the whole public API, generated from signatures and parameter constraints.

Every wrong value of every parameter must raise an error of scikit-learn's kind or ours that names
the parameter. A new public name needs a right call in `_right_calls`; a new estimator, only its
instance in `tests/instances.py`.
"""

import functools
import inspect
import re
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import (
    generate_invalid_param_val,
    make_constraint,
)
from transformers import AutoTokenizer

from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.evaluation import ControlTaskClassifier, SelectivityScorer
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.words import pair_frame
from tests.instances import numeric_estimators
from tests.public_names import public_names


class _Nothing:
    """An object that is none of the types that any parameter takes."""

    def __repr__(self):
        return "<nothing>"


# Values that some parameter might take by mistake.
WRONG = (_Nothing(), "no such option", -1, -0.5, np.nan, np.inf, 2.5, 10**9)
# Names of classes that their own functions make, not users; and those without parameters.
MADE_BY_THE_PACKAGE = {
    "Activations", "Highlight", "OnlineCode", "AblationCurveDisplay", "ClassScoresDisplay",
    "LayerProfileDisplay", "NeuronDistributionDisplay", "RankingAgreementDisplay",
    "RegularizationPathDisplay", "SKOPS_TRUSTED", "SparseProbingDisplay", "clear_loaded_models",
    "demo_model_path",
}  # fmt: skip
# Any value may be a label.
ANY_VALUE = {
    ("annotate", "positive"), ("annotate", "negative"), ("sparse_probing_curve", "label"),
}  # fmt: skip
# Other words for a parameter that a message may use.
ALSO = {"folder": ["PathLike"], "words": ["iterable"]}
RNG = np.random.RandomState(0)
X, Y, GROUPS = RNG.randn(60, 8), np.tile(["a", "b", "c"], 20), np.arange(60) // 2
NAMES = [f"hidden.{layer}.{unit}" for layer in (0, 1) for unit in range(4)]


@functools.cache
def _words():
    return make_tagged_words(12, random_state=0).head(60).reset_index(drop=True)


@functools.cache
def _right_calls(folder):
    """Return a right call of every function: its arguments by name."""
    words, probe, ranker = _words(), LogisticRegression(), ProbelessRanker().fit(X, Y)
    model = make_tiny_model("bert")
    folds = {"groups": GROUPS, "cv": 2}
    fitted = LogisticRegression().fit(X, Y)
    control = np.where(np.arange(60) % 2, "a", "b")
    path = str(folder)
    chat = AutoTokenizer.from_pretrained(model)
    turns = "{% for turn in messages %}{{ turn.role }}: {{ turn.content }} {% endfor %}"
    chat.chat_template = turns
    return {
        "ablate_model": {"model": model, "neurons": ["hidden.1.0"]},
        "ablation_curve": {"estimator": probe, "X": X, "y": Y, **folds},
        "ablation_table": {"X": X, "y": Y, "rankings": [ranker], "probes": [probe], **folds},
        "causal_effect": {
            "model": model, "words": words, "y": np.arange(60) < 30, "neurons": ["hidden.1.0"],
        },
        "erasure_table": {"X": X, "concept": Y, "probe": probe, "n_draws": 1, **folds},
        "steer_model": {"model": model, "direction": np.ones(32), "layer": 1},
        "make_planted_neurons": {},
        "make_tagged_words": {},
        "make_tiny_model": {},

        "SelectivityScorer": {},
        "attention_head_table": _heads(),
        "baseline_table": {"words": words, "y": Y, "estimator": probe, "X": X, **folds},
        "compare": {"outcomes_a": X[:, 0], "outcomes_b": X[:, 1], "groups": words["text"]},
        "cka": {"X": X, "Y": X},
        "control_heads": {"words": _sentences()},
        "control_labels": {"words": words, "y": Y},
        "distance_spearman_score": {**_distances(), "lengths": (2, 9)},
        "interval_table": {
            "words": pd.DataFrame({"group": GROUPS, "outcome": X[:, 0], "row": range(60)})
        },
        "layer_profile": {"estimator": probe, "X": X, "y": Y, "n_layers": 2, **folds},
        "leakage_report": {"words": words, **folds},
        "maxcorr": {"X": X, "Y": X},
        "online_codelength": {"estimator": probe, "X": X, "y": Y, "groups": GROUPS},
        "pareto_curve": {"X": X, "y": Y, "alphas": [0.1], **folds},
        "pareto_hypervolume": {"complexity": [0, 1, 2], "score": [0.1, 0.2, 0.3]},
        "pwcca": {"X": X, "Y": X},
        "ranking_agreement": {"rankings": {"a": ranker, "b": ranker}},
        "selectivity_score": {
            "estimator": probe, "X": X, "y": Y, "control_y": control, **folds
        },
        "sparse_probing_curve": {"X": X, "y": Y, "n_neurons": 1, "estimator": probe, **folds},
        "svcca": {"X": X, "Y": X},
        "uuas_score": _distances(),
        "v_information": {"estimator": probe, "X": X, "y": Y, **folds},
        "ActivationCache": {"folder": path},
        "chat_frame": {"chats": [[{"role": "assistant", "content": "One"}]], "tokenizer": chat},
        "score_tokens": {"pipeline": _scored(model, words), "texts": ["One text", "Another"]},
        "token_frame": {"texts": ["One text", "Another"], "tokenizer": model},
        "TorchModel": {"module": _module(), "encode": _encode},
        "NeuronReport": {"ranker": ranker, "X": X, "y": Y, "words": words},
        "compositional_explanations": {"X": X, "concepts": words[["upos"]]},
        "highlight": {"words": words, "activations": X, "neurons": [0]},
        "neuron_summary": {"estimator": ranker, "X": X, "y": Y, "words": words},
        "neuron_table": {"selection": ranker, "n_neurons": 2, "n_layers": 2},
        "predictions_frame": {"estimator": fitted, "X": X, "y": Y, "words": words},
        "top_contexts": {"words": words, "X": X, "neurons": [0]},
        "top_words": {"words": words, "X": X},
        "read_neurox": {"path": f"{path}/none.json", "words": words},
        "write_neurox": {"path": f"{path}/acts.json", "H": X, "words": words, "n_layers": 2},
        "annotate": {"words": words, "by": "^a"},
        "pair_frame": {"words": words, "rows": ([0, 2], [1, 3])},
        "read_conllu": {"path": f"{path}/none.conllu"},
        "read_parallel": {"text": f"{path}/none.txt", "labels": f"{path}/none.txt"},
        "words_frame": {"words": [["a", "b"], ["c"]]},
    }  # fmt: skip


def _sentences():
    return make_tagged_words(3, random_state=0)


def _heads():
    words = _sentences()
    heads = words.groupby("sentence_id").cumcount()
    pairs = pair_frame(words.assign(head=heads), heads="head", negatives="all")
    return {"X": pairs[["distance"]], "pairs": pairs, "groups": pairs["sentence_id"], "cv": 2}


def _distances():
    """Return the distances and pairs of one sentence of three words."""
    spans = {"start": [0, 0, 2], "end": [1, 1, 3], "other_start": [2, 4, 4], "other_end": [3, 5, 5]}
    pairs = pd.DataFrame({"text": "a b c", **spans})
    return {"y_true": [1, 2, 1], "y_pred": [0.5, 2.5, 1.5], "pairs": pairs}


def _scored(model, words):
    probe = make_pipeline(ActivationExtractor(model), SubwordAggregator(), LogisticRegression())
    return probe.fit(words, words["upos"])


def _module():
    import torch

    return torch.nn.Linear(2, 2)


def _encode(texts):
    raise AssertionError("a wrong call should not get this far")


def _constraints(function):
    return getattr(function, "_skl_parameter_constraints", {})


def _wrong_values(allowed):
    """Return values that no constraint of a parameter allows."""
    if not isinstance(allowed, list):
        return [_Nothing()]
    allowed = [make_constraint(one) for one in allowed]
    values = list(WRONG)
    for one in allowed:
        try:
            values.append(generate_invalid_param_val(one))
        except NotImplementedError:
            continue
    return [value for value in values if not any(one.is_satisfied_by(value) for one in allowed)]


def _check(call, parameter, where):
    names = [parameter, *ALSO.get(parameter, [])]
    try:
        call()
    except (ValueError, TypeError) as error:
        message = str(error)
        if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message) for name in names):
            return None
        return f"{where}: {type(error).__name__} without {parameter!r}: {message[:150]}"
    except Exception as error:
        return f"{where}: raw {type(error).__name__}: {str(error)[:150]}"
    return f"{where}: no error"


@pytest.mark.filterwarnings("ignore")
def test_wrong_parameters_of_functions(tmp_path):
    faults, count = [], 0
    calls = _right_calls(tmp_path)
    for package, name in public_names():
        function = getattr(import_module(f"sklearn_neurox.{package}"), name)
        if name in MADE_BY_THE_PACKAGE or hasattr(function, "_parameter_constraints"):
            continue
        right, constraints = calls[name], _constraints(function)
        for parameter in inspect.signature(function).parameters:
            if (name, parameter) in ANY_VALUE:
                continue
            for value in _wrong_values(constraints.get(parameter)):
                count += 1
                wrong = {**right, parameter: value}
                fault = _check(
                    functools.partial(_use, function, wrong),
                    parameter,
                    f"{name}({parameter}={value!r})",
                )
                faults += [fault] if fault else []
    assert not faults, "\n".join(faults)
    assert count > 150


def _use(function, arguments):
    made = function(**arguments)
    if isinstance(made, SelectivityScorer):
        control = np.where(Y == "a", "b", "c")
        made(ControlTaskClassifier(LogisticRegression()).fit(X, Y, control), X, Y, control)
    if hasattr(made, "__enter__"):
        with made:
            pass


def _fits():
    words = _words()
    yield ActivationExtractor(make_tiny_model("bert")), {"X": words}
    yield SubwordAggregator(), {"X": ActivationExtractor(make_tiny_model("bert")).transform(words)}
    for estimator in numeric_estimators():
        yield estimator, {"X": X, "y": Y}


@pytest.mark.filterwarnings("ignore")
def test_wrong_parameters_of_estimators():
    faults, count, seen = [], 0, set()
    for estimator, data in _fits():
        kind = type(estimator)
        if kind in seen:
            continue
        seen.add(kind)
        for parameter, allowed in kind._parameter_constraints.items():
            for value in _wrong_values(allowed):
                count += 1
                wrong = clone(estimator).set_params(**{parameter: value})
                fault = _check(
                    functools.partial(wrong.fit, **data),
                    parameter,
                    f"{kind.__name__}({parameter}={value!r})",
                )
                faults += [fault] if fault else []
    assert not faults, "\n".join(faults)
    assert count > 150
