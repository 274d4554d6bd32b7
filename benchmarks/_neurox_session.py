# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX 1.0.9 in a long-running process, so that short calls can alternate with other runs."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks._peer_environment import peer_python

_WORKER = Path(__file__).with_name("_neurox_worker.py")


class NeuroxSession:
    """A worker process that imports NeuroX once; use it as a context manager."""

    def __enter__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._worker = subprocess.Popen([peer_python(), str(_WORKER), "serve"], text=True, **pipes)
        return self

    def __exit__(self, *_):
        self._worker.communicate()

    def extract(self, model: str, sentences: Sequence[str], *, aggregation: str = "last") -> dict:
        """Extract all layers, sentence by sentence; see `_peers.neurox_extract`."""
        parameters = {"sentences": list(sentences), "aggregation": aggregation}
        return self._call("extract", model=model, **parameters)

    def probeless(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return the seconds that the probeless ordering takes."""
        codes = np.unique(y, return_inverse=True)[1]
        return self._call("probeless_overall", {"X": X, "y": codes})["seconds"]

    def order(self, coef: np.ndarray) -> float:
        """Return the seconds that the ordering by weights takes."""
        coef = np.asarray(coef, dtype=np.float32)
        return self._call("order", {"coef": coef}, search_stride=100)["seconds"]

    def clusters(self, X: np.ndarray, *, threshold: float) -> float:
        """Return the seconds that clustering by correlation takes."""
        parameters = {"use_abs_correlation": True, "method": "average"}
        return self._call("clusters", {"X": X}, clustering_threshold=threshold, **parameters)[
            "seconds"
        ]

    def _call(self, task, arrays=None, **parameters):
        parameters["timeout"] = None
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.npz"), Path(folder, "out.npz")
            np.savez(source, parameters=json.dumps(parameters), **(arrays or {}))
            self._worker.stdin.write(f"{task}\t{source}\t{target}\n")
            self._worker.stdin.flush()
            if self._worker.stdout.readline() != "done\n":
                raise RuntimeError(
                    f"NeuroX failed at {task!r}. To see its error, call benchmarks._peers directly."
                )
            with np.load(target) as file:
                results = dict(file)
        results["seconds"] = float(results["seconds"])
        return results
