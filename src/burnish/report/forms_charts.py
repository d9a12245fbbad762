"""The chart of a compression: what each form weighs, and what it costs in perplexity."""

import math

from burnish.report.charts import ticks
from burnish.report.figures import show_bytes, significant
from burnish.report.forms_view import Form, FormsView
from burnish.report.svg import Drawing

_LEFT, _RIGHT, _TOP, _HEIGHT = 56.0, 18.0, 18.0, 260.0
_LABEL = 7.0  # about a letter's width


def quality_chart(view: FormsView, width: float) -> str:
    """Draw a point for each form: bytes to the right, on a logarithmic scale, and perplexity ratio upwards.

    The best corner is the lower left. A form without both figures is left out.
    """
    placed = [form for form in view.forms if _both(form) is not None]
    words = "; ".join(f"{form.name}: {form.shown('size_bytes')}, {form.shown('perplexity_ratio')}×" for form in placed)
    drawing = Drawing(width, _TOP + _HEIGHT + 48, f"Size and perplexity of each form. {words}.", "chart")
    points = [(form, *pair) for form in placed if (pair := _both(form)) is not None]
    sizes, ratios = [size for _, size, _ in points], [ratio for _, _, ratio in points]
    low, high = math.log(min(sizes)) - 0.15, math.log(max(sizes)) + 0.15
    levels = ticks(min(1.0, *ratios), max(max(ratios), 1.01))

    def place(size: float, ratio: float) -> tuple[float, float]:
        share = (ratio - levels[0]) / (levels[-1] - levels[0])
        return (
            _LEFT + (width - _LEFT - _RIGHT) * (math.log(size) - low) / (high - low),
            _TOP + _HEIGHT * (1 - min(1.0, share)),
        )

    _axes(drawing, levels, low, high)
    for form, size, ratio in points:
        x, y = place(size, ratio)
        found = form.figures.get("perplexity_ratio")
        if found is not None and found.low is not None and found.high is not None:
            drawing.line(x, place(size, found.low)[1], x, place(size, found.high)[1], "whisker")
        hover = f"{form.name}: {show_bytes(size)}, {significant(ratio)}× the perplexity"
        drawing.circle(
            x, y, 6 if form is view.smallest else 4.5, "form-reference" if form.is_reference else "form", hover
        )
        is_right = x + 10 + _LABEL * len(form.name) > width
        drawing.text(x - 10 if is_right else x + 10, y - 7, form.name, "form-name", "end" if is_right else "start")
    return drawing.markup()


def _both(form: Form) -> tuple[float, float] | None:
    size = form.value("size_bytes")
    ratio = 1.0 if form.is_reference else form.value("perplexity_ratio")
    return None if size is None or ratio is None else (size, ratio)


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
