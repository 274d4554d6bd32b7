# SPDX-License-Identifier: BSD-3-Clause
"""Find the pages that mention public names, in code markup or as an import."""

import ast
import re
from collections import Counter, defaultdict

_BLOCK = re.compile(r"^```(\S*).*?\n(.*?)^```", re.M | re.S)


def _uses(code, names):
    """Count how often code mentions each of the names that it imports from the package."""
    tree = ast.parse(code)
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn_neurox")
        for alias in node.names
    }
    used = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return Counter(imported & names) + Counter(name for name in used if name in imported & names)


def in_markdown(text, names):
    """Count the mentions in a Markdown page: in `python` blocks and in code within sentences."""
    blocks = [code for language, code in _BLOCK.findall(text) if language == "python"]
    spans = re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text))
    # A method counts for its class.
    words = [re.split("[.(]", span, maxsplit=1)[0] for span in spans]
    return _uses("\n".join(blocks), names) + Counter(word for word in words if word in names)


def by_name(counts):
    """Map each name to the keys of `counts` that mention it, most mentions first."""
    found = defaultdict(dict)
    for key, counted in sorted(counts.items()):
        for name, count in counted.items():
            found[name][key] = count
    return {name: sorted(keys, key=lambda key: -keys[key]) for name, keys in found.items()}
