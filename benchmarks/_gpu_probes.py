# SPDX-License-Identifier: BSD-3-Clause
"""Probes on a GPU: a large matrix held by the device, and one that is sent at every pass."""

import time
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
import torch

from benchmarks._gpu_timing import best_seconds, synchronize
from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.probes._elastic_net import _classifier
from sklearn_neurox.probes.solvers import _problem
from sklearn_neurox.probes.solvers._device_design import DeviceDesign
from sklearn_neurox.probes.solvers._momentum_svrg import MomentumSVRG
from sklearn_neurox.probes.solvers._problem import Problem
from sklearn_neurox.probes.solvers._saga import ProximalSAGA

_N_CLASSES = 17
_PENALTY = {"alpha": 3e-3, "l1_ratio": 1 / 3}
# A million tokens of a model with 32 blocks and an embedding, 4,096 wide.
_LARGE = {"layers": 33, "rows": 1_000_000, "columns": 4096}
# A disk of a data center reads about this many bytes per second.
_DISK = 3e9


def classes_on_device(n_samples, n_features, device, seed=0):
    """Draw correlated float16 activations on the device, and labels from a sparse softmax."""
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, device=device)

    n_informative = min(40, n_features)
    coef = torch.zeros(n_features, _N_CLASSES, device=device)
    for label in range(_N_CLASSES):
        chosen = torch.randperm(n_features, generator=generator, device=device)[:n_informative]
        coef[chosen, label] = normal(n_informative) / 2
    factors = normal(16, n_features) / 3
    mean, scale = normal(n_features), (normal(n_features) / 2).exp()
    X = np.empty((n_samples, n_features), dtype=np.float16)
    y = np.empty(n_samples, dtype=np.int64)
    n_rows = max(1, 2**26 // n_features)
    for start in range(0, n_samples, n_rows):
        stop = min(start + n_rows, n_samples)
        part = normal(stop - start, n_features) + normal(stop - start, 16) @ factors
        uniform = torch.rand(stop - start, _N_CLASSES, generator=generator, device=device)
        scores = part @ coef - (-uniform.clamp_(min=1e-20).log()).log()
        y[start:stop] = scores.argmax(1).cpu().numpy()
        torch.from_numpy(X[start:stop]).copy_((part * scale + mean).half())
    return X, y


def _probe(device, tol=1e-3):
    options = {"standardize": True, "device": str(device), "random_state": 0}
    return ElasticNetProbeClassifier(**_PENALTY, tol=tol, **options)


def _fit(X, y, device, tol=1e-3):
    """Fit once; return the seconds and the probe."""
    synchronize(device)
    started = time.perf_counter()
    probe = _probe(device, tol).fit(X, y)
    return time.perf_counter() - started, probe


@contextmanager
def timed_parts(device):
    """Collect the seconds of each call of the parts of a fit, by name."""
    places = {
        "validation": (_classifier.ElasticNetProbeClassifier, "_check_labels"),
        "upload and moments": (_problem.DeviceDesign, "__init__"),
        "moments": (DeviceDesign, "moments"),
        "SAGA epoch": (ProximalSAGA, "epoch"),
        "SVRG epoch": (MomentumSVRG, "epoch"),
        "estimate": (Problem, "_estimate"),
        "certificate": (Problem, "certify"),
        "product": (DeviceDesign, "product"),
        "gradient": (DeviceDesign, "gradient"),
    }
    seconds = {name: [] for name in places}

    def timed(name, function):
        def run(*args, **kwargs):
            synchronize(device)
            started = time.perf_counter()
            result = function(*args, **kwargs)
            synchronize(device)
            seconds[name].append(time.perf_counter() - started)
            return result

        return run

    with ExitStack() as stack:
        for name, (owner, method) in places.items():
            replacement = timed(name, getattr(owner, method))
            stack.enter_context(patch.object(owner, method, replacement))
        yield seconds


def breakdown(rows, X, y, device, ceilings):
    """Fit a matrix that the device holds; return the seconds of each part of a fit."""
    title = f"17 classes, {len(X):,} x {X.shape[1]:,} float16"
    _fit(X[: len(X) // 50], y[: len(X) // 50], device)
    for tol in (1e-2, 1e-3):
        seconds, probe = _fit(X, y, device, tol)
        rows.add(f"{title}, to {tol:g}", seconds=seconds, value=f"{probe.n_iter_} passes")
    with timed_parts(device) as parts:
        whole, _ = _fit(X, y, device)
    twice = 2 * X.nbytes / (ceilings["memory"])
    link = X.nbytes / ceilings["link"]
    for name, times in parts.items():
        if not times:
            continue
        mean = float(np.mean(times))
        ceiling = {"upload and moments": (link, "the link"), "validation": (None, "")}
        floor, of = ceiling.get(name, (twice, "reading the matrix twice"))
        if name in ("product", "gradient", "moments"):
            floor, of = twice / 2, "reading the matrix once"
        share = floor / mean if floor else None
        rows.add(f"  {name}", seconds=mean, value=f"{len(times)} times", share=share, of=of)
    rows.add("  all parts, each waited for", seconds=whole)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / X.nbytes
        rows.add("  most device memory used", value=f"{peak:.2f} times the matrix")
    return {"validation": parts["validation"], "fit": whole, "link": link}


def streamed_row(rows, X, y, device, ceilings):
    """Fit a matrix that is sent to the device at every pass."""
    with patch.object(_problem, "_DEVICE_SHARE", 0.0):
        seconds, probe = _fit(X, y, device)
        title = f"17 classes, {len(X):,} x {X.shape[1]:,} float16, sent"
        rows.add(f"{title}, to 0.001", seconds=seconds, value=f"{probe.n_iter_} passes")
        with timed_parts(device) as parts:
            _fit(X, y, device)
    floor = X.nbytes / ceilings["link"]
    for name in ("moments", "SAGA epoch", "product", "gradient"):
        if parts[name]:
            mean = float(np.mean(parts[name]))
            rate = f"{X.nbytes / mean / 1e9:.3g} GB/s"
            rows.add(f"  {name}", seconds=mean, value=rate, share=floor / mean, of="the link")


def layer_row(rows, device, quick):
    """Profile 33 layers of a narrow model, with one split."""
    n_samples, width = (2000, 16) if quick else (200_000, 512)
    X, y = classes_on_device(n_samples, 33 * width, device, seed=1)
    split = [(np.arange(n_samples * 4 // 5), np.arange(n_samples * 4 // 5, n_samples))]
    options = {"n_layers": 33, "cv": split, "groups": np.arange(n_samples) // 10}
    started = time.perf_counter()
    layer_profile(_probe(device, 1e-2), X, y, **options)
    seconds = time.perf_counter() - started
    what = f"layer_profile of 33 layers x {n_samples:,} x {width} float16, one split"
    rows.add(what, seconds=seconds, value=f"{seconds / 33:.3g} s a layer")


def projection_rows(rows, parts, shape):
    """Say how long all layers of a 7B-sized model take, and what bounds that."""
    numbers = shape[0] * shape[1]
    factor = _LARGE["rows"] * _LARGE["columns"] / numbers
    reading = _LARGE["rows"] * _LARGE["columns"] * 2 / _DISK
    per_layer = {
        "reading the cache from a disk at 3 GB/s": reading,
        "validation on the CPU": factor * float(np.sum(parts["validation"])),
        "the link": factor * parts["link"],
    }
    fit = factor * parts["fit"]
    per_layer["the solver"] = fit - sum(list(per_layer.values())[1:])
    total = _LARGE["layers"] * (reading + fit)
    bound = max(per_layer, key=per_layer.get)
    what = "projected: 33 layers x 1,000,000 x 4,096, from the cache"
    rows.add(what, seconds=total, share=600 / total, of="ten minutes")
    for name, seconds in per_layer.items():
        mark = "the largest part" if name == bound else ""
        rows.add(f"  {name}, a layer", seconds=seconds, value=mark)


def profiled(X, y, device):
    """Print the operations of one fit by the time that they take on the device."""
    _fit(X, y, device)
    plain, probe = _fit(X, y, device)
    kind = torch.profiler.ProfilerActivity
    # Recording the host as well takes longer than the fit.
    activities = [kind.CUDA if device.type == "cuda" else kind.CPU]
    with torch.profiler.profile(activities=activities) as profiler:
        seconds, _ = _fit(X, y, device)
    print(f"{plain:.3g} s, {seconds:.3g} s profiled, {probe.n_iter_} passes", flush=True)
    busy = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    found = {event: getattr(event, busy, 0.0) / 1e6 for event in profiler.key_averages()}
    print(f"{sum(found.values()):.3g} s busy", flush=True)
    for event in sorted(found, key=found.get, reverse=True)[:15]:
        print(f"  {found[event]:.4f} s, {event.count} times: {event.key[:90]}", flush=True)
    values = torch.from_numpy(X).to(device)
    coef = torch.ones(X.shape[1], _N_CLASSES, dtype=values.dtype, device=device)
    least = best_seconds(lambda: (values @ coef).T @ values, device)
    print(f"both products of one pass in float16, and nothing else: {least:.4g} s", flush=True)
