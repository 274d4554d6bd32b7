# SPDX-License-Identifier: BSD-3-Clause
import subprocess
import sys

import numpy as np
import pytest
import skops.io
from sklearn.base import clone, is_regressor
from sklearn.datasets import make_classification
from sklearn.pipeline import make_pipeline

from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.io import SKOPS_TRUSTED
from sklearn_neurox.ranking import ConsensusRanker
from tests.instances import numeric_estimators

_X, _y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
_X = _X.astype(np.float32)


@pytest.mark.filterwarnings("ignore:.*was given no groups")
@pytest.mark.parametrize("estimator", numeric_estimators(), ids=repr)
def test_every_estimator_is_loaded_with_nothing_else_to_trust(estimator):
    estimator = clone(estimator)
    if "cv" in estimator.get_params():
        # Splitters are scikit-learn types that skops does not know.
        estimator.set_params(cv=2)
    fitted = estimator.fit(_X, _y if is_regressor(estimator) else np.array(list("abc"))[_y])
    stored = skops.io.dumps(fitted)
    unknown = set(skops.io.get_untrusted_types(data=stored)) - set(SKOPS_TRUSTED)
    if isinstance(estimator, ConsensusRanker):
        # A parameter of the SelectKBest among its rankers.
        unknown -= {"sklearn.feature_selection._univariate_selection.f_classif"}
    assert all(name.startswith("tests.") for name in unknown)
    loaded = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    method = "transform" if hasattr(fitted, "transform") else "predict"
    np.testing.assert_array_equal(getattr(loaded, method)(_X), getattr(fitted, method)(_X))


def test_a_pipeline_from_words_is_loaded():
    pipe = make_pipeline(ActivationExtractor("some/model"), SubwordAggregator("mean"))
    loaded = skops.io.loads(skops.io.dumps(pipe), trusted=SKOPS_TRUSTED)
    assert repr(loaded) == repr(pipe)


@pytest.mark.slow
def test_the_list_holds_only_what_is_needed_and_imports_nothing_heavy():
    assert sorted(set(SKOPS_TRUSTED)) == SKOPS_TRUSTED
    assert all(name.startswith("sklearn_neurox.") for name in SKOPS_TRUSTED)
    code = (
        "import sys, sklearn_neurox.io\n"
        "print([m for m in ('torch', 'transformers', 'h5py', 'skops') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
