# SPDX-License-Identifier: BSD-3-Clause
"""The models and texts of the tests of extraction."""

from tests.extraction.conftest import (  # noqa: F401
    _sentences,
    count_forwards,
    live,
    of,
    one_thread,
    texts,
    tiny,
    words,
)
