# SPDX-License-Identifier: BSD-3-Clause
"""The main job without pyarrow, when pandas stores strings differently."""

import subprocess
import sys

import pytest

_JOB = """
import sys

class NoPyarrow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoPyarrow())
import io, pickle
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model

words = make_tagged_words(40, random_state=0)
features = make_pipeline(
    ActivationExtractor(make_tiny_model("bert", n_layers=1, hidden_size=8)), SubwordAggregator()
)
H = features.fit_transform(words)
rows = np.random.default_rng(0).permutation(len(words))
half = len(words) // 2
same = {
    "permuted": (words.iloc[rows], H[rows]),
    "concat": (pd.concat([words.iloc[:half], words.iloc[half:]]), H),
    "merge": (words.merge(pd.DataFrame({"upos": words["upos"].unique()})), H),
    "csv": (pd.read_csv(io.StringIO(words.to_csv(index=False)), keep_default_na=False), H),
    "pickle": (pickle.loads(pickle.dumps(words)), H),
    "object": (words.astype({"text": object, "word": object}), H),
}
for name, (frame, expected) in same.items():
    assert np.array_equal(features.transform(frame), expected), name
pipe = make_pipeline(*(step for _, step in features.steps), LogisticRegression(max_iter=50))
scores = cross_validate(
    pipe, words, words["upos"], cv=GroupKFold(3), groups=words["text"], error_score="raise"
)
assert np.isfinite(scores["test_score"]).all()
assert "pyarrow" not in sys.modules
print("done")
"""


@pytest.mark.slow
def test_main_job_without_pyarrow():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _JOB], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"
