# SPDX-License-Identifier: BSD-3-Clause
"""`Highlight` as SVG: text in a monospaced font, with a fixed width for each word."""

from sklearn_neurox.inspection._highlight._line_layout import lay_out, text_cells, wrap_cells
from sklearn_neurox.inspection._highlight._view import escape
from sklearn_neurox.inspection._palette import LIGHT, hex_color, svg_paint, svg_style

_FONT = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace"
# In units of the font size. The advance is that of the fonts above, within a tenth.
_ADVANCE = 0.602
_LEADING = 1.55
_MARGIN = 0.5
_ASCENT = 1.08
_GAP = 0.45
_BAR_STEPS = 25
_BAR_CELLS = 14
_FEWEST_CELLS = 10


class _Canvas:
    """Collects shapes from top to bottom."""

    def __init__(self, width, font_size):
        self.width = width
        self.size = font_size
        self.advance = _ADVANCE * font_size
        self.margin = _MARGIN * font_size
        self.y = self.margin
        self.shapes = []
        self.n_cells = int((width - 2 * self.margin) / self.advance)

    def new_line(self, lines=1.0):
        self.y += lines * _LEADING * self.size

    def text(self, text, x, n_cells, *, color="text", direction=None, bold=False):
        """Write escaped text into cells, starting at the left edge x."""
        width = n_cells * self.advance
        extra = ' direction="rtl"' if direction == "rtl" else ""
        extra += ' font-weight="bold"' if bold else ""
        # Anchored in the middle, because the start of a text depends on its direction; with a
        # fixed width, because the viewer's font is unknown.
        length = f' textLength="{width:.2f}" lengthAdjust="spacingAndGlyphs"' if n_cells else ""
        self.shapes.append(
            f'<text class="{color}" fill="{hex_color(getattr(LIGHT, color))}" '
            f'x="{x + width / 2:.2f}" y="{self.y + _ASCENT * self.size:.2f}" '
            f'text-anchor="middle"{length}{extra}>{text}</text>'
        )

    def rectangle(self, x, width, strength, *, height=_LEADING - 0.2, lift=0.1, extra=""):
        """Fill a part of the line, starting at the left edge x."""
        paint = " ".join(f'{name}="{value}"' for name, value in svg_paint(strength).items())
        self.shapes.append(
            f'<rect x="{x:.2f}" y="{self.y + lift * self.size:.2f}" width="{width:.2f}" '
            f'height="{height * self.size:.2f}" {paint}{extra}/>'
        )


def svg_document(view, *, width, font_size):
    """Return a `View` as a whole SVG; width and font size are in points."""
    canvas = _Canvas(width, font_size)
    if canvas.n_cells < _FEWEST_CELLS:
        raise ValueError(
            f"Highlight.to_svg: a line of {width / 72:g} inches has room for "
            f"{max(canvas.n_cells, 0)} characters of {font_size:g} points, fewer than "
            f"{_FEWEST_CELLS}. Increase the width or decrease the font size."
        )
    for neuron in range(len(view.names)):
        if neuron:
            canvas.new_line(0.8)
        _draw_header(canvas, view, neuron)
        for number, pieces in enumerate(view.sentences.pieces):
            _draw_sentence(canvas, view, neuron, pieces, view.direction_of(number))
            canvas.y += _GAP * canvas.size
    height = canvas.y - _GAP * canvas.size + canvas.margin
    title = escape(", ".join(view.names))
    shapes = "\n".join(canvas.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.2f}pt" height="{height:.2f}pt" '
        f'viewBox="0 0 {width:.2f} {height:.2f}" font-family="{_FONT}" '
        f'font-size="{font_size:g}" role="img">\n<title>{title}</title>\n'
        f"<style>{svg_style()}</style>\n"
        f'<rect class="page" fill="{hex_color(LIGHT.page)}" width="100%" height="100%"/>\n'
        f"{shapes}\n</svg>\n"
    )


def _draw_header(canvas, view, neuron):
    low, high, unit = view.legend(neuron)
    for line in wrap_cells(view.names[neuron], canvas.n_cells):
        _write(canvas, line, canvas.margin, bold=True)
        canvas.new_line()
    x = _write(canvas, low, canvas.margin, color="muted")
    x = _draw_bar(canvas, x)
    x = _write(canvas, high, x, color="muted")
    n_left = int((canvas.width - canvas.margin - x) / canvas.advance)
    # What the colors mean, beside the bar or below it.
    lines = [unit] if text_cells(unit) <= n_left else wrap_cells(unit, canvas.n_cells)
    for line in lines:
        if len(lines) > 1:
            canvas.new_line()
            x = canvas.margin
        x = _write(canvas, line, x, color="muted")
    canvas.new_line()
    canvas.y += _GAP * canvas.size


def _write(canvas, text, x, **kwargs):
    """Write a text that fits a line at x or on the next line, and return its end."""
    n_cells = text_cells(text)
    x = _with_room(canvas, x, n_cells)
    canvas.text(escape(text), x, n_cells, **kwargs)
    return x + (n_cells + 1) * canvas.advance


def _draw_bar(canvas, x):
    n_cells = min(_BAR_CELLS, canvas.n_cells)
    x = _with_room(canvas, x, n_cells)
    step = n_cells * canvas.advance / _BAR_STEPS
    # Avoids thin lines between the steps.
    crisp = ' shape-rendering="crispEdges"'
    for number in range(_BAR_STEPS):
        strength = 2 * number / (_BAR_STEPS - 1) - 1
        canvas.rectangle(x + number * step, step, strength, height=0.8, lift=0.35, extra=crisp)
    return x + (n_cells + 1) * canvas.advance


def _with_room(canvas, x, n_cells):
    if x + n_cells * canvas.advance <= canvas.width - canvas.margin:
        return x
    canvas.new_line()
    return canvas.margin


def _draw_sentence(canvas, view, neuron, pieces, direction):
    for line in lay_out(pieces, direction, canvas.n_cells):
        x = canvas.margin
        if direction == "rtl":
            x = canvas.width - canvas.margin - sum(atom.width for atom in line) * canvas.advance
        for atom in line:
            _draw_atom(canvas, view, neuron, atom, x)
            x += atom.width * canvas.advance
        canvas.new_line()


def _draw_atom(canvas, view, neuron, atom, x):
    direction = "rtl" if atom.level % 2 else "ltr"
    if atom.row is not None:
        canvas.shapes.append(f"<g><title>{escape(view.tooltip(atom.row, neuron))}</title>")
        canvas.rectangle(x, atom.width * canvas.advance, view.strengths[atom.row, neuron])
    if not atom.text.isspace():
        canvas.text(escape(atom.text), x, atom.width, direction=direction)
    if atom.row is not None:
        canvas.shapes.append("</g>")
