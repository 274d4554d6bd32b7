# SPDX-License-Identifier: BSD-3-Clause
"""Turn data into one self-contained HTML page."""

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files

from sklearn_neurox.inspection._palette import css_of_curves, css_variables

_SCRIPTS = (
    *("data.js", "dom.js", "glossary.js", "tables.js", "charts.js", "pictures.js"),
    *("neuron.js", "pair.js", "views.js", "scores.js", "overview.js", "search.js", "main.js"),
)
_STYLES = ("page.css", "parts.css")
_SURROGATE = re.compile("[\ud800-\udfff]")


def render(title, data):
    """Return the page of a report with the given title and JSON-compatible data."""
    parts = {
        "title": html.escape(title),
        "data": json_for_script(data),
        "style": _style(),
        "script": _script(),
        "style_hash": _hash(_style()),
        "script_hash": _hash(_script()),
    }
    # In one pass, so that nothing in the data is taken for a placeholder.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _asset("report.html"))


def json_for_script(data):
    """Encode JSON that cannot end the script element around it, whatever its strings contain."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate cannot be encoded in UTF-8.
    text = _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    return text.replace("<", "\\u003c")


def frame_for_notebook(page, title):
    """Return the page in an iframe that can run its own script and do nothing else."""
    return (
        f'<iframe title="{html.escape(title)}" sandbox="allow-scripts" width="100%" '
        f'height="720" style="border:0" srcdoc="{html.escape(page)}"></iframe>'
    )


def _script():
    # One function around all files keeps the page free of global names.
    body = "\n".join(_asset(name) for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}}})();'


def _style():
    return css_variables(":root") + css_of_curves() + "".join(_asset(name) for name in _STYLES)


@cache
def _asset(name):
    folder = files("sklearn_neurox.inspection._report") / "assets"
    return folder.joinpath(name).read_text(encoding="utf-8")


def _hash(text):
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
