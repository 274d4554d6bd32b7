# SPDX-License-Identifier: BSD-3-Clause
"""Write what the snippets of pages print, for the documentation to show.

What a ``python`` block of a Markdown page prints stands in a ``text`` block right below it; output
of more than 14 lines is cut, and then ends in ``...``. Tests run the snippets and compare.
"""

import argparse
import math
import os
import re
import tempfile
from pathlib import Path

from tests.fresh_processes import fresh_processes

_ROOT = Path(__file__).parent.parent
_SNIPPET = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.M | re.S)
_SEPARATOR = "\x1e"
_MOST_LINES = 14
# A number that is no part of a name, such as hidden.3.127.
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?(?:e[+-]?\d+)?(?!\w)")
_SECONDS = re.compile(r"\b\d+(?:\.\d+)? s\b")


def snippets(text):
    """Return the code of each snippet of a page, and the output that the page shows or None."""
    return [(match[1], match[2]) for match in _SNIPPET.finditer(text)]


def processes():
    """Return processes that run the snippets of pages."""
    return fresh_processes(
        "import sklearn_neurox, torch\nfrom transformers import AutoModel, AutoTokenizer",
        "-W",
        "error::FutureWarning",
        # pandas fits its tables into the terminal; the code on the pages is as wide.
        env=os.environ | {"PYTHONPATH": str(_ROOT), "COLUMNS": "100"},
    )


def outputs(run, text, folder):
    """Run the snippets of a page in one process, and return what each prints."""
    code = f"print({_SEPARATOR!r})\n".join(code for code, _ in snippets(text))
    return [tidy(part) for part in run(code, cwd=folder).split(f"{_SEPARATOR}\n")]


def tidy(printed):
    """Strip white space at the ends of lines, and empty lines at both ends."""
    return "\n".join(line.rstrip() for line in printed.strip("\n").split("\n"))


def with_outputs(text, printed):
    """Return a page with these outputs below its snippets."""
    rest = iter(printed)

    def block(match):
        code, lines = f"```python\n{match[1]}```", next(rest).split("\n")
        if len(lines) > _MOST_LINES:
            lines = [*lines[: _MOST_LINES - 1], "..."]
        return code if lines == [""] else "\n".join([code, "", "```text", *lines, "```"])

    return _SNIPPET.sub(block, text)


def agree(shown, printed):
    """Return whether a page shows what is printed: words exactly, numbers to a tolerance.

    Seconds, such as ``1.5 s``, may differ by any amount.
    """
    shown, printed = shown.rstrip("\n").split("\n"), printed.split("\n")
    if shown[-1] == "..." and len(printed) >= len(shown):
        del shown[-1], printed[len(shown) :]
    return len(shown) == len(printed) and all(map(_lines_agree, shown, printed))


def _lines_agree(*lines):
    shown, printed = (_SECONDS.sub("0 s", line) for line in lines)
    words = [_NUMBER.sub("0", line).split() for line in (shown, printed)]
    numbers = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=False)
    return words[0] == words[1] and all(_close(*pair) for pair in numbers)


def _close(shown, printed):
    """Compare to 1 percent if both are integers, else to 2 percent or 2 in the last digit."""
    if shown.lstrip("-").isdigit() and printed.lstrip("-").isdigit():
        return math.isclose(int(shown), int(printed), rel_tol=0.01)
    mantissa, _, exponent = shown.partition("e")
    last_digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    near = 2.001 * last_digit
    return math.isclose(float(shown), float(printed), rel_tol=0.02, abs_tol=near)


def differences(text, printed):
    """Return a message for each snippet whose output is not what the page shows."""
    return [
        f"Snippet {number} prints\n{output}\nbut the page shows\n{shown or ''}"
        for number, ((_, shown), output) in enumerate(zip(snippets(text), printed, strict=True), 1)
        if not agree(shown or "", output)
    ]


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.page_outputs", description=__doc__)
    parser.add_argument("pages", type=Path, nargs="+", help="Markdown pages")
    with processes() as run:
        for page in parser.parse_args().pages:
            text = page.read_text(encoding="utf-8")
            with tempfile.TemporaryDirectory() as folder:
                page.write_text(with_outputs(text, outputs(run, text, folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
