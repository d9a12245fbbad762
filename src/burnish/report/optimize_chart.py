"""The chart of a search over the whole chain: latency against quality, memory as area, and the Pareto front."""

import math
from collections.abc import Sequence

from burnish.report.charts import ticks
from burnish.report.figures import show_bytes, significant
from burnish.report.optimize_found import REFERENCE
from burnish.report.optimize_view import OptimizeView, Shown
from burnish.report.svg import Drawing, polyline

_LEFT, _RIGHT, _TOP, _HEIGHT = 56.0, 22.0, 26.0, 300.0
_RADIUS = 13.0  # of the largest memory; areas are to scale
_LEAST_RADIUS = 3.0

Point = tuple[Shown, float, float, float]  # candidate, latency in ms, quality, memory in bytes


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Give the points that no other beats in both, by rising latency: (latency, quality), less and more are better."""
    best, found = -math.inf, []
    for latency, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if quality > best:
            best = quality
            found.append((latency, quality))
    return found


def pareto_chart(view: OptimizeView, width: float) -> str:
    """Draw what was measured. The best corner is the upper left.

    Within the limits: filled. Outside: hollow with a dashed edge. The answer: a ring around it. The base: a square.
    """
    points = _points(view)
    words = "; ".join(
        f"{each.row.words}: {each.shown('latency_p99_ms')}, {each.shown('quality')}" for each, *_ in points
    )
    drawing = Drawing(width, _TOP + _HEIGHT + 50, f"Latency P99 and quality of each candidate. {words}.", "chart")
    limit_ms, floor = view.found.max_p99_ms, view.found.min_quality
    across = ticks(0.0, max([latency for _, latency, _, _ in points] + [limit_ms or 0.0]), 6 if width > 500 else 3)
    qualities = [end for each, *_ in points for end in _ends(each)] + ([] if floor is None else [floor])
    up = ticks(min(qualities), max(qualities))
    most = max(memory for *_, memory in points)

    def place(latency: float, quality: float) -> tuple[float, float]:
        right = (latency - across[0]) / (across[-1] - across[0])
        above = (quality - up[0]) / (up[-1] - up[0])
        return _LEFT + (width - _LEFT - _RIGHT) * right, _TOP + _HEIGHT * (1 - above)

    _axes(drawing, across, up, view.quality_words)
    if limit_ms is not None:
        x = place(limit_ms, up[0])[0]
        drawing.line(x, _TOP, x, _TOP + _HEIGHT, "limit")
        drawing.text(x - 6, _TOP + 12, f"P99 limit {limit_ms:g} ms", "limit-name", "end")
    if floor is not None:
        y = place(across[0], floor)[1]
        drawing.line(_LEFT, y, width - _RIGHT, y, "limit")
        drawing.text(width - _RIGHT, y + 14, f"quality floor {floor:g}", "limit-name", "end")
    best = [place(*point) for point in front([(latency, quality) for _, latency, quality, _ in points])]
    if len(best) > 1:
        drawing.path(polyline(best), "front")
    for each, latency, quality, memory in points:
        _mark(drawing, view, each, place(latency, quality), _radius(memory, most))
        (x, top), (_, base) = (place(latency, end) for end in reversed(_ends(each)))
        drawing.line(x, top, x, base, "whisker")
    return drawing.markup()


def _points(view: OptimizeView) -> list[Point]:
    found = []
    for each in view.measured:
        latency, quality, memory = (each.value(name) for name in ("latency_p99_ms", "quality", "memory_bytes"))
        if latency is not None and quality is not None and memory is not None:
            found.append((each, latency, quality, memory))
    return found


def _radius(memory: float, most: float) -> float:
    return max(_LEAST_RADIUS, _RADIUS * math.sqrt(memory / most)) if most > 0 else _LEAST_RADIUS


def _mark(drawing: Drawing, view: OptimizeView, each: Shown, at: tuple[float, float], radius: float) -> None:
    x, y = at
    memory = show_bytes(each.value("memory_bytes") or 0.0)
    hover = (
        f"{each.row.number}: {each.row.words}; P99 {each.shown('latency_p99_ms')}, quality {each.shown('quality')}, "
        f"memory {memory}{'' if each.is_within else '; ' + '; '.join(each.row.misses)}"
    )
    if each.row.number == REFERENCE:
        side = radius * math.sqrt(math.pi)  # of the circle's area
        drawing.rect(x - side / 2, y - side / 2, side, side, "reference", hover)
    else:
        drawing.circle(x, y, radius, "within" if each.is_within else "outside", hover)
    if each.row.number == view.found.answer:
        drawing.circle(x, y, radius + 4, "answer-ring")
    is_right = x + radius + 40 > drawing.width
    name = "base" if each.row.number == REFERENCE else str(each.row.number)
    drawing.text(
        x - radius - 5 if is_right else x + radius + 5, y - 6, name, "point-name", "end" if is_right else "start"
    )


def _ends(each: Shown) -> tuple[float, float]:
    """Give the interval of a candidate's quality; the value twice where there is none."""
    found = each.figures["quality"]
    return found.value if found.low is None else found.low, found.value if found.high is None else found.high


def _axes(drawing: Drawing, across: list[float], up: list[float], quality: str) -> None:
    right, base = drawing.width - _RIGHT, _TOP + _HEIGHT
    decimals = max(0, -math.floor(math.log10(up[1] - up[0]) + 1e-9))
    for at, level in enumerate(up):
        y = base - _HEIGHT * at / (len(up) - 1)
        drawing.line(_LEFT, y, right, y, "grid")
        drawing.text(_LEFT - 8, y + 4, f"{level:.{decimals}f}", "tick", "end")
    for at, latency in enumerate(across):
        x = _LEFT + (right - _LEFT) * at / (len(across) - 1)
        drawing.line(x, base, x, base + 4, "axis")
        drawing.text(x, base + 18, significant(latency) if latency else "0", "tick", "middle")
    drawing.text((_LEFT + right) / 2, drawing.height - 8, "latency P99 of a request, ms", "tick", "middle")
    drawing.text(_LEFT, 12, quality.lower(), "tick")
