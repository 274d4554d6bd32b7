# SPDX-License-Identifier: BSD-3-Clause
"""Time work on a device that runs behind the host."""

import time

import numpy as np
import torch


def best_seconds(function, device, n_runs=3):
    """Return the best of several times, after one run that is not timed."""
    times = []
    for _ in range(n_runs + 1):
        synchronize(device)
        started = time.perf_counter()
        function()
        synchronize(device)
        times.append(time.perf_counter() - started)
    return float(np.min(times[1:]))


def synchronize(device):
    """Wait for the work on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
