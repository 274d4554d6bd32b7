# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
import torch
from sklearn.utils import check_random_state

from sklearn_neurox.utils._torch import (
    is_out_of_memory,
    resolve_device,
    seeded_generator,
    to_numpy,
    to_tensor,
)


@pytest.mark.parametrize("device", ["cpu", "auto", None])
def test_available_devices(device):
    assert resolve_device(device, caller="It").type in ("cpu", "cuda")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("quantum", "'quantum', which torch does not know"),
        ("cuda:99", "'cuda:99', but torch finds no such device"),
        ("meta", "'meta', but torch finds no such device"),
    ],
)
def test_unavailable_devices(device, message):
    with pytest.raises(ValueError, match=f"'device' parameter of It is {message}"):
        resolve_device(device, caller="It")


@pytest.mark.parametrize(("current", "expected"), [(None, "cuda:0"), (1, "cuda:1")])
def test_one_gpu_has_one_name(monkeypatch, current, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    # `current_device` would start CUDA. Before that, the first GPU is the current one.
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: current is not None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: int(current))
    found = {resolve_device(one, caller="It") for one in (None, "auto", "cuda", expected)}
    assert found == {torch.device(expected)}


def _read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6.0).reshape(2, 3)[:, ::-1],
        np.arange(6.0).reshape(2, 3).astype(">f8"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        _read_only(np.arange(6.0)),
        np.arange(6, dtype=np.float16),
    ],
)
def test_every_array_survives_a_round_trip(array):
    np.testing.assert_array_equal(to_numpy(to_tensor(array)), array)


def test_memory_is_shared_if_possible():
    array = np.zeros(3)
    to_tensor(array)[0] = 1
    assert array[0] == 1


def test_generators_follow_the_random_state_and_leave_torch_alone():
    before = torch.get_rng_state()
    first, again = (seeded_generator(check_random_state(0)) for _ in range(2))
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=again))
    state = check_random_state(0)
    one, two = seeded_generator(state), seeded_generator(state)
    assert not torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=two))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_errors_that_mean_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected
