# SPDX-License-Identifier: BSD-3-Clause
"""Wide matrices and many classes take no more memory than the documentation promises."""

import json
import os
import sys

import pytest

from tests.fresh_processes import fresh_processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc"),
]

_MB = 1e6
# Measure anonymous memory at its highest point during a fit, in a process of its own.
_MEASURE = """
import json, sys, threading, time, warnings
import numpy as np
from sklearn_neurox.probes import ElasticNetProbeClassifier

rows, columns, classes, dtype, solver, balanced = sys.argv[1:]
rows, columns, classes = int(rows), int(columns), int(classes)
warnings.simplefilter("ignore")

def anonymous():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

rng = np.random.default_rng(0)
X = np.empty((rows, columns), dtype=dtype)
for row in X:
    row[:] = rng.standard_normal(columns, dtype=np.float32)
y = np.arange(rows) % classes
X[:, 0] += y % 5
options = {"solver": solver, "class_weight": "balanced" if balanced == "True" else None}
# A first fit makes the libraries' one-time allocations.
ElasticNetProbeClassifier(random_state=0).fit(rng.normal(size=(300, 20)), np.arange(300) % 3)
probe = ElasticNetProbeClassifier(1e-3, max_iter=4, random_state=0, **options)
before, peak, done = anonymous(), [0], threading.Event()

def watch():
    while not done.is_set():
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.002)

thread = threading.Thread(target=watch)
thread.start()
probe.fit(X, y)
done.set()
thread.join()
print(json.dumps({"grown": peak[0] - before, "size": X.nbytes, "found": int(probe.coef_.any())}))
"""


@pytest.fixture(scope="module")
def grown():
    """Return a function that measures the growth during a fit and the size, in megabytes."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        # Returns freed tables to the system at once; otherwise, glibc keeps some of them.
        "MALLOC_MMAP_THRESHOLD_": "65536",
    }
    with fresh_processes("import torch, sklearn_neurox.probes", env=environment) as run:

        def grown(rows, columns, classes, dtype, solver="auto", balanced=False):
            size = map(str, (rows, columns, classes))
            figures = json.loads(run(_MEASURE, *size, dtype, solver, str(balanced)))
            assert figures["found"]
            return figures["grown"] / _MB, figures["size"] / _MB

        yield grown


@pytest.mark.parametrize(
    ("dtype", "copies", "solver"),
    [
        ("float16", 0, "auto"),
        ("float16", 0, "saga"),
        ("float32", 1, "auto"),
        ("float64", 1, "auto"),
    ],
)
def test_a_wide_matrix_is_copied_as_often_as_promised(grown, dtype, copies, solver):
    found, size = grown(1000, 40_000, 5, dtype, solver)
    # The stochastic solvers hold two batches of 128 rows.
    assert found < copies * size + (80 if solver == "auto" else 130)


@pytest.mark.parametrize("balanced", [False, True])
def test_many_classes_take_a_few_tables_of_predictions(grown, balanced):
    found, _ = grown(8_000, 64, 500, "float32", balanced=balanced)
    table = 8_000 * 500 * 8 / _MB
    assert found < (6 if balanced else 5) * table + 20
