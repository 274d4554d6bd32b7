# SPDX-License-Identifier: BSD-3-Clause
import json
import os

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
)
from tests.probes.oracles import Problem, classes_data, numbers_data, objective_of

# Large matrices.
pytestmark = pytest.mark.slow

_ROWS, _COLUMNS = 40000, 1200

# Measure anonymous memory, which excludes the pages of mapped files.
_MEASURE = """
import json, sys, threading, time, warnings
import numpy as np
from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor

path, kind, layout, rows, columns, dtype, method = sys.argv[1:]
rows, columns = int(rows), int(columns)
warnings.simplefilter("ignore")

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

X = np.memmap(path, dtype=dtype, mode="r", shape=(rows, columns))
if layout != "memmap":
    X = np.array(X, order="F" if layout == "fortran" else "C")
y = np.random.RandomState(1).randint(3, size=rows)
classifier = kind == "classifier"
probe = (ElasticNetProbeClassifier if classifier else ElasticNetProbeRegressor)(
    0.02, 1.0, standardize=True, max_iter=2, random_state=0
)
# A first fit makes the libraries' one-time allocations.
probe.fit(np.random.RandomState(0).normal(size=(3000, 50)).astype(np.float32), y[:3000])
before, peak, done = anonymous(), [0.0], threading.Event()

def watch():
    while not done.is_set():
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.002)

thread = threading.Thread(target=watch)
thread.start()
if method == "partial_fit":
    probe = type(probe)(0.02, standardize=True)
    probe.partial_fit(X, y, **({"classes": [0, 1, 2]} if classifier else {}))
elif method == "predict":
    probe.coef_ = np.zeros((3, columns)) if classifier else np.zeros(columns)
    probe.n_features_in_ = columns
    probe.predict(X)
else:
    probe.fit(X, y)
done.set()
thread.join()
print(json.dumps({"grown": peak[0] - before, "size": X.nbytes / 2**20}))
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Store a float16 and a float32 matrix on disk, of 92 and 183 MiB."""
    folder = tmp_path_factory.mktemp("matrices")
    block = np.random.RandomState(0).normal(size=(4000, _COLUMNS))
    for dtype in ("float16", "float32"):
        with open(folder / dtype, "wb") as file:
            for _ in range(_ROWS // len(block)):
                file.write(block.astype(dtype).tobytes())
    yield folder
    for dtype in ("float16", "float32"):
        (folder / dtype).unlink()


@pytest.fixture
def measure(stored, run_fresh):
    """Return a function that measures a fit, each time in a process of its own."""

    def measure(kind, layout, dtype, method="fit"):
        size = map(str, (_ROWS, _COLUMNS))
        return json.loads(
            run_fresh(_MEASURE, str(stored / dtype), kind, layout, *size, dtype, method)
        )

    return measure


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict"])
def test_a_mapped_matrix_is_not_copied(measure, kind, dtype, method):
    found = measure(kind, "memmap", dtype, method)
    assert found["grown"] < 70  # MiB


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize("layout", ["memory", "fortran"])
def test_a_matrix_in_memory_is_copied_once(measure, kind, layout):
    found = measure(kind, layout, "float32")
    assert found["grown"] < found["size"] + 70


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_float16_in_memory_is_not_copied(measure):
    assert measure("classifier", "memory", "float16")["grown"] < 70


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("n_samples", [300, 2500])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mapped_matrix_gives_what_one_in_memory_gives(kind, dtype, n_samples, order, tmp_path):
    X, y = (classes_data if kind is ElasticNetProbeClassifier else numbers_data)(n_samples)
    X = X.astype(dtype)
    mapped = np.memmap(tmp_path / "X", dtype=dtype, mode="w+", shape=X.shape, order=order)
    mapped[:] = X
    mapped.flush()
    mapped = np.memmap(tmp_path / "X", dtype=dtype, mode="r", shape=X.shape, order=order)
    probe = kind(1e-2, tol=1e-5, random_state=0, max_iter=5000)
    weight = np.random.RandomState(0).uniform(0.5, 2, size=n_samples)
    probe.fit(mapped, y, sample_weight=weight)
    options = {"sample_weight": weight}
    best = Problem.of(probe, X, y, **options).optimum()
    found = objective_of(probe, X, y, **options)
    assert found - best <= probe.dual_gap_ + 1e-9 * abs(best)
    assert probe.dual_gap_ <= 1e-5 * found
    np.testing.assert_allclose(probe.predict(mapped), probe.predict(X), atol=1e-4)


def kinds_of_input(X):
    frozen = X.copy()
    frozen.flags.writeable = False
    wide = np.empty((2 * len(X), 2 * X.shape[1]))
    wide[::2, ::2] = X
    return {
        "read-only": frozen,
        "fortran": np.asfortranarray(X),
        "strided": wide[::2, ::2],
        "reversed": X[::-1, ::-1][::-1, ::-1],
        "foreign": X.astype(">f8"),
        "frame": pd.DataFrame(X, columns=[f"hidden.0.{j}" for j in range(X.shape[1])]),
        "list": X.tolist(),
    }


@pytest.mark.parametrize("layout", list(kinds_of_input(np.ones((2, 2)))))
@pytest.mark.parametrize(
    "kind",
    [
        ElasticNetProbeClassifier,
        ElasticNetProbeRegressor,
        ElasticNetProbeClassifierCV,
        ElasticNetProbeRegressorCV,
    ],
)
def test_every_layout_is_accepted_and_not_modified(kind, layout):
    X, y = (classes_data if "Classifier" in kind.__name__ else numbers_data)()
    settings = {"alphas": [0.1, 0.01], "cv": [(np.arange(90), np.arange(90, 120))]}
    probe = kind(tol=1e-6, random_state=0, **(settings if kind.__name__.endswith("CV") else {}))
    given = kinds_of_input(X)[layout]
    weight = np.full(len(X), 0.5)
    weight[3:9] = 2.0
    target, kept = y.copy(), weight.copy()
    for array in (target, weight):
        array.flags.writeable = False
    expected = kind(**probe.get_params()).fit(X, y, sample_weight=kept)
    probe.fit(given, target, sample_weight=weight)
    np.testing.assert_allclose(probe.coef_, expected.coef_, atol=1e-8)
    np.testing.assert_array_equal(probe.predict(given), probe.predict(given))
    np.testing.assert_array_equal(np.asarray(given), X)
    np.testing.assert_array_equal(target, y)
    np.testing.assert_array_equal(weight, kept)
    assert hasattr(probe, "feature_names_in_") == (layout == "frame")
