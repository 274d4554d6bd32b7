# SPDX-License-Identifier: BSD-3-Clause
"""Find out what an object is pickled for."""

import sys

# The modules whose code is running while an object is pickled, and what that is for.
_PURPOSES = {
    "joblib.hashing": "hash",
    "joblib.memory": "memory",
    "joblib.externals.loky": "worker",
    "joblib.pool": "worker",
    "multiprocessing": "worker",
    "concurrent": "worker",
    "distributed": "worker",
    "dask": "worker",
    "ray": "worker",
    "copy": "copy",
    "skops": "skops",
}


def pickled_for():
    """Return what the caller, a ``__getstate__``, is called for.

    Returns
    -------
    purpose : {"hash", "memory", "worker", "copy", "skops", "file"}
        A key of `joblib.Memory`, a result that it stores, a process that computes, a copy, a skops
        file, or whatever else a user does with a pickle, which is mostly to save it.
    """
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        while name:
            if name in _PURPOSES:
                return _PURPOSES[name]
            name = name.rpartition(".")[0]
        frame = frame.f_back
    return "file"
