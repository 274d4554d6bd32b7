# SPDX-License-Identifier: BSD-3-Clause
"""Time probes and extraction on a GPU, as shares of what the card itself can do.

Ceilings (a large copy, large products, the link from pinned memory) are measured in the same
process. With ``--device cpu --small``, everything runs in a minute without a GPU.
"""

import os
import platform
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd
import torch
import transformers

from benchmarks._gpu_extraction import extraction_rows
from benchmarks._gpu_probes import (
    breakdown,
    classes_on_device,
    layer_row,
    profiled,
    projection_rows,
    streamed_row,
)
from benchmarks._gpu_timing import best_seconds


def run(*, quick: bool = False, device: str = "auto", profile: bool = False) -> dict:
    """Time a GPU.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use small matrices and models.

    device : str, default="auto"
        "cuda" or "cpu"; "auto" takes CUDA if available.

    profile : bool, default=False
        Whether to print the operations on which one fit spends its time, and nothing else.

    Returns
    -------
    tables : dict of str to DataFrame
        One table: what was measured, the ceiling it is compared with, and the share reached.
    """
    device = torch.device(
        device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    )
    started = time.perf_counter()
    print(f"{_card(device)}; torch {torch.__version__}, transformers {transformers.__version__}")
    shape = (20_000, 256) if quick else (1_000_000, 4096)
    if profile:
        shape = (20_000, 256) if quick else (200_000, 4096)
        X, y = classes_on_device(*shape, device)
        profiled(X, y, device)
        return {}
    rows, parts = Rows(), None
    ceilings = measure_ceilings(rows, device, quick)
    X, y = classes_on_device(*shape, device)
    with rows.part("a matrix on the device"):
        parts = breakdown(rows, X, y, device, ceilings)
    with rows.part("a matrix that is sent"):
        few = len(X) // 5
        streamed_row(rows, X[:few], y[:few], device, ceilings)
    del X
    with rows.part("layers"):
        layer_row(rows, device, quick)
    with rows.part("extraction"):
        extraction_rows(rows, device, quick)
    if parts is not None:
        projection_rows(rows, parts, shape)
    rows.add("the whole benchmark", seconds=time.perf_counter() - started)
    return {"measured": pd.DataFrame(rows.found)}


class Rows:
    """The rows of the table, each of which is also printed when it is known."""

    def __init__(self):
        self.found = []

    def add(self, what, *, seconds=None, value="", share=None, of=""):
        """Add a measurement, and what share of a ceiling it is."""
        self.found.append(
            {
                "what": what,
                "seconds": "" if seconds is None else f"{seconds:.4g}",
                "value": value,
                "share": "" if share is None else f"{share:.2f}",
                "of": of,
            }
        )
        print(" | ".join(part for part in self.found[-1].values() if part), flush=True)

    @contextmanager
    def part(self, what):
        """Print an error in one part and go on with the others, because time on a GPU is short."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.add(f"{what} FAILED", value=f"{type(error).__name__}: {error}"[:120])


def _card(device):
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return f"{name or device.type}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def measure_ceilings(rows, device, quick):
    """Measure memory bandwidth, products and the link; return bytes or operations per second."""
    n = 2**24 if quick else 2**30
    side = 1024 if quick else 8192
    source = torch.empty(n, dtype=torch.uint8, device=device)
    goal = torch.empty_like(source)
    found = {"memory": 2 * n / best_seconds(lambda: goal.copy_(source), device)}
    for dtype in (torch.float16, torch.float32):
        a = torch.ones(side, side, dtype=dtype, device=device)
        out = torch.empty_like(a)
        seconds = best_seconds(lambda a=a, out=out: torch.mm(a, a, out=out), device)
        found[str(dtype)] = 2 * side**3 / seconds
    host = torch.empty(n, dtype=torch.uint8, pin_memory=device.type == "cuda")
    found["link"] = n / best_seconds(lambda: goal.copy_(host, non_blocking=True), device)
    source = np.ones(n, dtype=np.uint8)
    for n_threads in (1, 8, 16):
        seconds = best_seconds(partial(_copy, source, host.numpy(), n_threads), device)
        rows.add(
            f"host to pinned memory, {n_threads} threads", value=f"{n / seconds / 1e9:.3g} GB/s"
        )
    rows.add("copy on the device, read and write", value=f"{found['memory'] / 1e12:.3g} TB/s")
    rows.add("product, float16", value=f"{found['torch.float16'] / 1e12:.3g} TFLOP/s")
    rows.add("product, float32", value=f"{found['torch.float32'] / 1e12:.3g} TFLOP/s")
    rows.add("pinned memory to device", value=f"{found['link'] / 1e9:.3g} GB/s")
    return found


def _copy(source, goal, n_threads):
    """Copy memory in as many pieces as there are threads."""
    with ThreadPoolExecutor(n_threads) as pool:
        pieces = np.array_split(source, n_threads), np.array_split(goal, n_threads)
        list(pool.map(lambda own, out: np.copyto(out, own), *pieces))
