# SPDX-License-Identifier: BSD-3-Clause
"""Compute without `torch.autocast`, which belongs to a thread: workers would not know of it."""

import contextlib
import sys

from sklearn_neurox.utils._warn_user import warn_user

_DEVICES = ("cpu", "cuda", "mps")


@contextlib.contextmanager
def without_autocast():
    """Turn autocast off in this thread within the context; also usable as a decorator."""
    with contextlib.ExitStack() as stack:
        for device in _active():
            stack.enter_context(sys.modules["torch"].autocast(device, enabled=False))
        yield


def warn_about_autocast(what):
    """Warn if autocast is on in this thread: ``what`` is read in its own precision."""
    if _active():
        warn_user(
            f"Autocast is on, but {what} is read without it, in its own precision, as in other "
            "threads and processes, which know nothing of it. For half precision, pass the name of "
            "the model with dtype='bfloat16', or convert it: model.bfloat16()."
        )


def _active():
    torch = sys.modules.get("torch")  # without it in memory, nobody can have turned it on
    return [] if torch is None else [one for one in _DEVICES if torch.is_autocast_enabled(one)]
