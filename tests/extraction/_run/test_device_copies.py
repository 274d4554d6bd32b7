# SPDX-License-Identifier: BSD-3-Clause
"""Results copied behind a running model are those that are copied at once."""

import time

import numpy as np
import pytest
import torch

from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.extraction._run import _device_copies
from sklearn_neurox.extraction._run._device_copies import DeviceCopies

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


@pytest.fixture
def behind(monkeypatch):
    """Treat the CPU as a device that runs behind, with small pieces."""

    def turn_on():
        monkeypatch.setattr(_device_copies, "is_behind", lambda device: True)
        monkeypatch.setattr(_device_copies, "_BYTES_PER_THREAD", 1000)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 3)

    return turn_on


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["first", "last", "mean", "max"])
def test_every_bit_is_the_same(strategy, behind, tiny, words):
    extractor = ActivationExtractor(tiny("bert"), max_length=16, max_batch_tokens=200)
    activations = extractor.transform(words)
    results = [activations.pool(strategy, dtype=dtype) for dtype in ("float32", "float16")]
    behind()
    for expected in results:
        found = activations.pool(strategy, dtype=expected.dtype.name)
        np.testing.assert_array_equal(found, expected)


def test_buffers_are_not_used_again_too_early(behind):
    behind()
    rng, found = np.random.RandomState(0), []
    tensors = [torch.from_numpy(rng.normal(size=(n, 3))) for n in (5, 80, 2, 80, 7, 0, 30)]
    with DeviceCopies() as copies:
        for tensor in tensors:

            def use(host):
                time.sleep(0.005)
                found.append(host.clone())

            copies.send(tensor, use)
        copies.wait()
    assert all(map(torch.equal, found, tensors))


def test_an_error_in_the_thread_reaches_the_caller(behind):
    behind()

    def fail(_):
        raise OverflowError("too large")

    with pytest.raises(OverflowError, match="too large"), DeviceCopies() as copies:
        for _ in range(10):
            copies.send(torch.ones(3), fail)
        copies.wait()
