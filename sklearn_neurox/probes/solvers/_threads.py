# SPDX-License-Identifier: BSD-3-Clause
from contextlib import nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

# Multiplications and additions that keep a thread busy for a few tenths of a millisecond. With
# less work, threads wait for each other at every step; if they outnumber the free cores, they
# also wait for the scheduler, which makes a fit twenty times slower (measured).
_WORK_PER_THREAD = 20_000_000


def thread_limit(n_operations):
    """Limit the number of threads to what a step of ``n_operations`` can keep busy.

    Use it as ``with thread_limit(n_operations):``. The limit applies only to the calling thread.
    """
    n_threads = max(1, n_operations // _WORK_PER_THREAD)
    openmp = _openmp()
    present = [library["num_threads"] for library in openmp.info()]
    is_less = present and n_threads < max(present)
    return openmp.limit(limits=n_threads) if is_less else nullcontext()


@cache
def _openmp():
    """Find the OpenMP libraries once: it takes as long as a small fit, and torch is loaded."""
    return ThreadpoolController().select(user_api="openmp")
