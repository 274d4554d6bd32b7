# SPDX-License-Identifier: BSD-3-Clause
import contextlib
import threading


class SharedScope:
    """A context that changes a setting of the whole process, and that threads may hold together.

    The first of them changes the setting, and the last one restores it.

    Parameters
    ----------
    enter : callable
        Returns a context manager that changes the setting and restores it.
    """

    def __init__(self, enter):
        self.enter, self.lock = enter, threading.Lock()
        self.n_holders, self.held = 0, None

    @contextlib.contextmanager
    def __call__(self):
        """Hold the setting within the context."""
        with self.lock:
            if not self.n_holders:
                self.held = self.enter()
                self.held.__enter__()
            self.n_holders += 1
        try:
            yield
        finally:
            with self.lock:
                self.n_holders -= 1
                if not self.n_holders:
                    self.held.__exit__(None, None, None)
