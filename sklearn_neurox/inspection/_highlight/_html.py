# SPDX-License-Identifier: BSD-3-Clause
"""`Highlight` as HTML: no scripts, no external resources, all text escaped."""

from sklearn_neurox.inspection._highlight._view import escape
from sklearn_neurox.inspection._palette import css_background, css_variables

_CLASS = "sklearn-neurox-highlight"
_CSS = (
    css_variables(f".{_CLASS}")
    + f".{_CLASS}{{background:rgb(var(--nx-page));color:rgb(var(--nx-text));padding:.6em .8em;"
    "font-family:system-ui,sans-serif;line-height:1.75;border-radius:4px;"
    "print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    f".{_CLASS} section+section{{margin-top:1.2em}}"
    f".{_CLASS} header{{display:flex;flex-wrap:wrap;gap:.1em 1em;align-items:center}}"
    f".{_CLASS} header b{{overflow-wrap:anywhere}}"
    f".{_CLASS} header span{{display:inline-flex;gap:.5em;align-items:center;font-size:.85em;"
    "color:rgb(var(--nx-muted))}"
    f".{_CLASS} header i{{width:8em;height:.9em;border:1px solid rgb(var(--nx-muted));"
    "background:linear-gradient(to right,rgb(var(--nx-neg)),rgb(var(--nx-page)),"
    "rgb(var(--nx-pos)))}"
    f".{_CLASS} p{{margin:.35em 0;white-space:pre-wrap;overflow-wrap:anywhere}}"
    f".{_CLASS} p span{{border-radius:2px;padding:.12em 0;-webkit-box-decoration-break:clone;"
    "box-decoration-break:clone}"
)
# The page can run nothing and fetch nothing, whatever the words contain.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_fragment(view):
    """Return the HTML of a `View` as a fragment of a page."""
    sections = "\n".join(_section(view, neuron) for neuron in range(len(view.names)))
    return f'<div class="{_CLASS}"><style>{_CSS}</style>\n{sections}\n</div>'


def html_page(view):
    """Return the HTML of a `View` as a whole page."""
    title = escape(", ".join(view.names))
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" '
        f'content="light dark"><title>{title}</title></head>\n'
        f"<body>{html_fragment(view)}</body></html>\n"
    )


def _section(view, neuron):
    low, high, unit = view.legend(neuron)
    header = (
        f"<header><b>{escape(view.names[neuron])}</b>"
        f"<span>{low}<i></i>{high}</span><span>{escape(unit)}</span></header>"
    )
    # Same as the browser's "auto", but it also holds if a stylesheet interferes.
    sentences = "\n".join(
        f'<p dir="{view.direction_of(number)}">{_pieces(view, pieces, neuron)}</p>'
        for number, pieces in enumerate(view.sentences.pieces)
    )
    return f"<section>{header}\n{sentences}</section>"


def _pieces(view, pieces, neuron):
    return "".join(
        escape(piece.text) if piece.row is None else _word(view, piece, neuron) for piece in pieces
    )


def _word(view, piece, neuron):
    color = css_background(view.strengths[piece.row, neuron])
    style = f' style="background:{color}"' if color else ""
    tooltip = escape(view.tooltip(piece.row, neuron))
    return f'<span title="{tooltip}"{style}>{escape(piece.text)}</span>'
