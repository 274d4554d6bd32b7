# SPDX-License-Identifier: BSD-3-Clause
"""A real OpenNMT-py 3.5.1 checkpoint, in its own environment, read through `TorchModel`."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks._peer_environment import peer_python

_TESTS = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_checkpoint_of_opennmt_is_read_word_by_word(tmp_path):
    try:
        python = peer_python(_TESTS / "opennmt.txt")
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no environment for OpenNMT-py: {error}")
    done = subprocess.run(
        [python, Path(__file__).with_name("opennmt_worker.py"), tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_TESTS.parent)},
    )
    assert done.returncode == 0, done.stderr
    names = (tmp_path / "names.txt").read_text().split()
    blocks = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in names))
    assert blocks == [
        "module:encoder.transformer.0.feed_forward.w_1",
        "module:encoder.transformer.1.feed_forward.w_1",
        "module:encoder.transformer.0",
        "module:encoder.transformer.1",
        "module:encoder",
        "module:decoder.transformer_layers.0",
        "module:decoder.transformer_layers.1",
    ]
    ours, naive = (np.load(tmp_path / f"{name}.npy") for name in ("ours", "naive"))
    assert ours.shape == (10, len(names)) == naive.shape
    np.testing.assert_allclose(ours, naive, rtol=0, atol=1e-5)
