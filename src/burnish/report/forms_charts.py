"""The chart of a compression: what each form weighs, and what it costs in perplexity."""

import math
from dataclasses import dataclass

from burnish.report.charts import ticks
from burnish.report.figures import show_bytes, significant
from burnish.report.forms_view import Form, FormsView
from burnish.report.svg import Drawing

_LEFT, _RIGHT, _TOP, _HEIGHT = 56.0, 18.0, 18.0, 260.0
_LABEL, _LINE = 7.0, 14.0  # about a letter's width, and a line's height


@dataclass(frozen=True)
class _Point:
    form: Form
    size_bytes: float
    ratio: float
    interval: tuple[float, ...]

    @property
    def words(self) -> str:
        return f"{self.form.name}: {show_bytes(self.size_bytes)}, {significant(self.ratio)}× the perplexity"


def quality_chart(view: FormsView, width: float) -> str:
    """Draw a point for each form: bytes to the right, on a logarithmic scale, and perplexity ratio upwards.

    The best corner is the lower left. A form without both figures is left out.
    """
    points = [point for form in view.forms if (point := _point(form)) is not None]
    words = "; ".join(point.words for point in points)
    drawing = Drawing(width, _TOP + _HEIGHT + 48, f"Size and perplexity of each form. {words}.", "chart")
    sizes = [point.size_bytes for point in points]
    low, high = math.log(min(sizes)) - 0.15, math.log(max(sizes)) + 0.15
    ends = [end for point in points for end in (point.ratio, *point.interval)]
    levels = ticks(min(1.0, *ends), max(1.01, *ends))

    def place(size: float, ratio: float) -> tuple[float, float]:
        share = (ratio - levels[0]) / (levels[-1] - levels[0])
        return (
            _LEFT + (width - _LEFT - _RIGHT) * (math.log(size) - low) / (high - low),
            _TOP + _HEIGHT * (1 - share),
        )

    _axes(drawing, levels, low, high)
    placed = [(point, *place(point.size_bytes, point.ratio)) for point in points]
    for point, x, y in placed:
        if len(point.interval) == 2:
            bottom, top = (place(point.size_bytes, end)[1] for end in point.interval)
            drawing.line(x, bottom, x, top, "whisker")
        css = "form-reference" if point.form.is_reference else "form"
        drawing.circle(x, y, 6 if point.form is view.smallest else 4.5, css, point.words)
    _name(drawing, [(point.form.name, x, y) for point, x, y in placed])
    return drawing.markup()


def _point(form: Form) -> _Point | None:
    size, ratio = form.value("size_bytes"), form.perplexity_ratio
    if size is None or ratio is None:
        return None
    found = form.figures.get("perplexity_ratio")
    ends = () if form.is_reference or found is None else (found.low, found.high)
    return _Point(form, size, ratio, tuple(end for end in ends if end is not None))


def _name(drawing: Drawing, points: list[tuple[str, float, float]]) -> None:
    """Write each point's name beside it, and above the name of one below it that it would cover."""
    taken: list[tuple[float, float, float]] = []
    for name, x, y in sorted(points, key=lambda point: -point[2]):
        length = _LABEL * len(name)
        is_right = x + 10 + length > drawing.width
        left = x - 10 - length if is_right else x + 10
        base = y - 7
        for other, end, below in taken:
            if left < end and other < left + length:
                base = min(base, below - _LINE)
        taken.append((left, left + length, base))
        drawing.text(x - 10 if is_right else x + 10, base, name, "form-name", "end" if is_right else "start")


def _axes(drawing: Drawing, levels: list[float], low: float, high: float) -> None:
    right, base = drawing.width - _RIGHT, _TOP + _HEIGHT
    decimals = max(0, -math.floor(math.log10(levels[1] - levels[0])))
    for at, level in enumerate(levels):
        y = base - _HEIGHT * at / (len(levels) - 1)
        drawing.line(_LEFT, y, right, y, "grid")
        drawing.text(_LEFT - 8, y + 4, f"{level:.{decimals}f}×", "tick", "end")
    for part in range(4):
        size = math.exp(low + (high - low) * (part + 0.5) / 4)
        x = _LEFT + (right - _LEFT) * (part + 0.5) / 4
        drawing.line(x, base, x, base + 4, "axis")
        drawing.text(x, base + 18, show_bytes(float(f"{size:.2g}")), "tick", "middle")
    drawing.text((_LEFT + right) / 2, drawing.height - 6, "size, logarithmic", "tick", "middle")
