# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.probes.solvers._threads import thread_limit


def test_short_steps_run_on_one_thread_and_the_limit_ends_with_the_block():
    before = torch.get_num_threads()
    with thread_limit(1_000):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_long_steps_keep_all_threads():
    before = torch.get_num_threads()
    with thread_limit(10**12):
        assert torch.get_num_threads() == before
