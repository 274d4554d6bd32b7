# SPDX-License-Identifier: BSD-3-Clause
"""Find the weights outside a model's folder that the files in the folder refer to."""

import contextlib
import json
from functools import lru_cache

from sklearn_neurox.extraction._model._stamps import stamp

_MAX_BYTES = 100 << 20


def files_elsewhere(folder):
    """Return the files outside a model's folder, such as in a folder below it, that it refers to.

    An index of sharded weights, and the setting ``transformers_weights``, may name any path.
    """
    found = set()
    for file in folder.glob("*.json"):
        may_name = file.name == "config.json" or file.name.endswith(".index.json")
        if may_name and file.is_file():  # a named pipe would never end
            with contextlib.suppress(OSError):  # code that needs the file raises its own error
                found.update(_named_in(stamp(file)))
    return sorted(path for name in found if (path := folder / name).is_file())


@lru_cache(maxsize=64)
def _named_in(stamped):
    """Return the paths with folders that a JSON file names, given its stamp."""
    path, size = stamped[:2]
    if size > _MAX_BYTES:  # no such file is read
        return ()
    with open(path, "rb") as file:
        text = file.read(_MAX_BYTES)
    if b"/" not in text and b"\\" not in text:
        return ()
    with contextlib.suppress(ValueError, AttributeError, TypeError, RecursionError):
        content = json.loads(text)
        named = [content.get("transformers_weights"), *content.get("weight_map", {}).values()]
        return tuple({name for name in named if isinstance(name, str) and "/" in name})
    return ()
