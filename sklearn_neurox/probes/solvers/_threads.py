# SPDX-License-Identifier: BSD-3-Clause
from functools import cache

from threadpoolctl import ThreadpoolController

# Multiplications and additions that keep a thread busy for a few tenths of a millisecond. With
# less work, threads wait for each other at every step; if they outnumber the free cores, they
# also wait for the scheduler, which makes a fit twenty times slower (measured).
_WORK_PER_THREAD = 20_000_000


class ThreadLimit:
    """Limit the number of threads to what a step of ``n_operations`` can keep busy.

    The limit applies only to the calling thread, within a ``with`` block.
    """

    def __init__(self, n_operations):
        self.n_threads = max(1, n_operations // _WORK_PER_THREAD)
        openmp = _openmp()
        present = [library["num_threads"] for library in openmp.info()]
        self.controller = openmp if present and self.n_threads < max(present) else None

    def __enter__(self):
        if self.controller is not None:
            self.scope = self.controller.limit(limits=self.n_threads)
            self.scope.__enter__()
        return self

    def __exit__(self, *error):
        if self.controller is not None:
            self.scope.__exit__(*error)


@cache
def _openmp():
    """Find the OpenMP libraries once: it takes as long as a small fit, and torch is loaded."""
    return ThreadpoolController().select(user_api="openmp")
