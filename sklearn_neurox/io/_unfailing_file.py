# SPDX-License-Identifier: BSD-3-Clause
"""A new file that reports an error only when it is closed.

HDF5 cannot close a file that it cannot write to, such as one on a full disk: it reports every
object in it, and then the process ends with a segmentation fault.
"""

import contextlib
import os


@contextlib.contextmanager
def open_unfailing(path):
    """Create a file to write to; the first error is raised at the end."""
    unfailing = _UnfailingFile()
    with open(path, "x+b") as file:
        unfailing.file = file
        yield unfailing
        unfailing.flush()
    if unfailing.error is not None:
        raise unfailing.error


class _UnfailingFile:
    """The methods of a file that HDF5 needs; after an error, they only count bytes."""

    def __init__(self):
        self.file, self.error, self.place, self.end = None, None, 0, 0

    def _attempt(self, act):
        if self.error is None:
            try:
                return act()
            except OSError as error:
                self.error = error
        return None

    def write(self, data):
        """Write bytes at the current place."""
        self._attempt(lambda: self.file.write(data))
        size = memoryview(data).nbytes
        self.place += size
        self.end = max(self.end, self.place)
        return size

    def read(self, size=-1):
        """Read bytes from the current place; h5py only asks whether a file can."""
        data = self._attempt(lambda: self.file.read(size)) or b""
        self.place += len(data)
        return data

    def readinto(self, buffer):
        """Read bytes from the current place."""
        size = self._attempt(lambda: self.file.readinto(buffer))
        size = memoryview(buffer).nbytes if size is None else size
        self.place += size
        return size

    def seek(self, offset, whence=os.SEEK_SET):
        """Change the current place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.end}[whence]
        self.place = base + offset
        self._attempt(lambda: self.file.seek(self.place))
        return self.place

    def tell(self):
        """Return the current place."""
        return self.place

    def truncate(self, size=None):
        """Set the size of the file."""
        self.end = self.place if size is None else size
        self._attempt(lambda: self.file.truncate(self.end))
        return self.end

    def flush(self):
        """Hand everything over to the system."""
        self._attempt(self.file.flush)
