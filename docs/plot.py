"""Plots as SVG text: bars and lines, readable on light and on dark ground, the same bytes for the same figures."""

import math
from html import escape

_STYLE = """<style>
.ground { fill: #ffffff } .ink { fill: #1f2937 } .soft { fill: #4b5563 } .grid { stroke: #d1d5db }
.ours { fill: #1d4ed8 } .other { fill: #9ca3af } .line { stroke: #1d4ed8 }
text { font-family: system-ui, sans-serif; font-size: 13px } .title { font-size: 15px; font-weight: 600 }
@media (prefers-color-scheme: dark) {
  .ground { fill: #111827 } .ink { fill: #f3f4f6 } .soft { fill: #cbd5e1 } .grid { stroke: #374151 }
  .ours { fill: #60a5fa } .other { fill: #6b7280 } .line { stroke: #60a5fa }
}
</style>"""


def number(value):
    """With three significant digits, and thousands apart: 0.412, 17.3, 12,345."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    if digits <= 0:
        return f"{round(value):,}"
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text(x, y, content, kind="ink", anchor="start", extra=""):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(content)}</text>'


def _document(width, height, title, parts):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">')
    ground = f'<rect class="ground" width="{width}" height="{height}" rx="6"/>'
    return "\n".join([head, _STYLE, ground, _text(16, 26, title, "ink title")] + parts + ["</svg>", ""])


class _Axis:
    """From values to pixels: logarithmic between powers of ten, or linear from zero."""

    def __init__(self, values, first, last, log):
        self._first, self._last, self._log = first, last, log
        if log:
            self._low = math.floor(math.log10(min(values)) + 1e-9)
            self._high = max(self._low + 1, math.ceil(math.log10(max(values)) - 1e-9))
            self.ticks = [10.0 ** power for power in range(self._low, self._high + 1)]
        else:
            rough = max(max(values), 1e-9) / 4
            unit = 10.0 ** math.floor(math.log10(rough))
            step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
            count = math.ceil(max(values) / step - 1e-9)
            self._low, self._high = 0.0, step * count
            self.ticks = [step * i for i in range(count + 1)]

    def at(self, value):
        position = math.log10(value) if self._log else value
        return self._first + (self._last - self._first) * (position - self._low) / (self._high - self._low)


def bars(title, axis_label, rows, log=False):
    """`rows`: (label, value, whether it is ours), from above to below."""
    left, right, top, step, width = 210, 90, 46, 26, 720
    height = top + step * len(rows) + 52
    # A logarithmic axis begins below the least value, or that would have no bar.
    least = min(value for _, value, _ in rows)
    axis = _Axis([value for _, value, _ in rows] + ([least * 0.6] if log else []), left, width - right, log)
    bottom = top + step * len(rows)
    parts = []
    for tick in axis.ticks:
        x = axis.at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 17, number(tick), "soft", "middle"))
    for i, (label, value, ours) in enumerate(rows):
        y = top + step * i + 4
        end = axis.at(value)
        kind = "ours" if ours else "other"
        parts.append(_text(left - 8, y + 14, label, "ink", "end"))
        parts.append(f'<rect class="{kind}" x="{left}" y="{y}" width="{max(end - left, 1):.1f}" height="{step - 8}" rx="2"/>')
        parts.append(_text(max(end, left) + 6, y + 14, number(value)))
    scale = ", logarithmic" if log else ""
    parts.append(_text((left + width - right) / 2, bottom + 38, axis_label + scale, "soft", "middle"))
    return _document(width, height, title, parts)


def line(title, x_label, y_label, points):
    """One line through `points`, (x, y), both axes logarithmic."""
    left, right, top, bottom, width, height = 92, 28, 62, 258, 470, 312
    x_axis = _Axis([x for x, _ in points], left, width - right, True)
    y_axis = _Axis([y for _, y in points], bottom, top, True)
    parts = [_text(left - 60, 48, y_label + ", logarithmic", "soft")]
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 17, number(tick), "soft", "middle"))
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}"/>')
        parts.append(_text(left - 8, y + 4, number(tick), "soft", "end"))
    places = [(x_axis.at(x), y_axis.at(y), y) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    parts.append(f'<polyline class="line" fill="none" stroke-width="2" points="{path}"/>')
    for x, y, value in places:
        parts.append(f'<circle class="ours" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
        # Beside the point, and never outside of the plot.
        anchor = "end" if x > width - right - 40 else "middle"
        parts.append(_text(x, y - 8, number(value), "ink", anchor))
    parts.append(_text((left + width - right) / 2, bottom + 40, x_label + ", logarithmic", "soft", "middle"))
    return _document(width, height, title, parts)
