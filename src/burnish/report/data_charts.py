"""Charts of a data run: what a rule measured, with its bound, and how long texts are before and after."""

import math

from burnish.report.charts import ticks
from burnish.report.data_histogram import Histogram
from burnish.report.data_rules import Rule
from burnish.report.data_tally import LENGTH_EDGES, Tally
from burnish.report.svg import Drawing, polyline

_HIST_TOP, _HIST_HEIGHT = 22.0, 96.0
_LENGTH_TOP, _LENGTH_HEIGHT = 10.0, 190.0
_LEFT, _RIGHT = 52.0, 12.0
_MINI_WIDTH, _MINI_HEIGHT = 132.0, 30.0


def histogram_chart(rule: Rule, histogram: Histogram, width: float) -> str:
    """Draw how the measured values lie, the bound as a line; heights grow with the logarithm of the count."""
    drawing = Drawing(width, _HIST_TOP + _HIST_HEIGHT + 24, _histogram_words(rule, histogram), "chart hist")
    step = width / len(histogram.kept)
    base = _HIST_TOP + _HIST_HEIGHT
    top = math.log1p(max(1, *histogram.totals))
    for index, total in enumerate(histogram.totals):
        if not total:
            continue
        height = max(2.0, _HIST_HEIGHT * math.log1p(total) / top)
        _bar(drawing, histogram, index, (index * step + 0.5, base, step - 1, height))
        drawing.rect(index * step, _HIST_TOP, step, _HIST_HEIGHT, "pointer", _hover(rule, histogram, index))
    drawing.line(0, base, width, base, "axis")
    low, high = rule.show(histogram.edges[0]), rule.show(histogram.edges[-1])
    if histogram.bound is None:
        drawing.text(0, base + 16, low, "tick")
        drawing.text(width, base + 16, high, "tick", "end")
        return drawing.markup()
    at = histogram.bound * step
    drawing.line(at, _HIST_TOP - 8, at, base + 5, "bound")
    anchor = "start" if at < width / 2 else "end"
    drawing.text(at + (5 if anchor == "start" else -5), _HIST_TOP - 8, rule.shown_threshold, "bound-label", anchor)
    drawing.text(0, base + 16, low, "tick")
    drawing.text(width, base + 16, high, "tick", "end")
    return drawing.markup()


def mini_histogram(histogram: Histogram) -> str:
    """Draw the same in the size of a word, without numbers."""
    drawing = Drawing(_MINI_WIDTH, _MINI_HEIGHT, "", "mini")
    drawing.root.attrib.pop("aria-label")
    drawing.root.set("role", "presentation")
    step = _MINI_WIDTH / len(histogram.kept)
    top = math.log1p(max(1, *histogram.totals))
    for index, total in enumerate(histogram.totals):
        if total:
            height = max(1.5, (_MINI_HEIGHT - 4) * math.log1p(total) / top)
            _bar(drawing, histogram, index, (index * step, _MINI_HEIGHT - 2, step - 0.5, height))
    if histogram.bound is not None:
        at = min(max(histogram.bound * step, 0.75), _MINI_WIDTH - 0.75)
        drawing.line(at, 0, at, _MINI_HEIGHT, "bound")
    return drawing.markup()


def _bar(drawing: Drawing, histogram: Histogram, index: int, box: tuple[float, float, float, float]) -> None:
    """Draw one bar, its height shared among what was kept and what was removed as they are in number."""
    x, base, width, height = box
    total = histogram.totals[index]
    y = base
    for css in ("kept", "other", "removed"):
        part = height * getattr(histogram, css)[index] / total
        if part:
            drawing.rect(x, y - part, width, part, f"hist-{css}")
            y -= part


def _hover(rule: Rule, histogram: Histogram, index: int) -> str:
    low, high = (rule.show(edge) for edge in histogram.edges[index : index + 2])
    kept, other, removed = (getattr(histogram, name)[index] for name in ("kept", "other", "removed"))
    if histogram.noun != "records":
        return f"{low} to {high}: {kept + other + removed:,} {histogram.noun}"
    parts = [f"{kept:,} kept"] * bool(kept) + [f"{removed:,} removed by this rule"] * bool(removed)
    parts += [f"{other:,} by another"] * bool(other)
    return f"{low} to {high}: {', '.join(parts)}"


def _histogram_words(rule: Rule, histogram: Histogram) -> str:
    kept, other, removed = (sum(getattr(histogram, name)) for name in ("kept", "other", "removed"))
    if histogram.noun != "records":
        return f"{rule.words}: {kept:,} {histogram.noun} below the bound of {rule.shown_threshold}, {removed:,} above."
    return f"{rule.words}: {kept:,} records kept, {removed:,} removed by this rule, {other:,} by another. {rule.bound}."


def length_chart(before: Tally, after: Tally, width: float) -> str:
    """Draw how many texts are how long, on a logarithmic axis of characters: before as an area, after as a line."""
    words = f"Lengths of {before.num_records:,} texts before and {after.num_records:,} after, in characters."
    drawing = Drawing(width, _LENGTH_TOP + _LENGTH_HEIGHT + 40, words, "chart lengths")
    used = [index for index in range(len(before.lengths)) if before.lengths[index] or after.lengths[index]]
    if not used:
        return drawing.markup()
    first, last = used[0], used[-1]
    levels = ticks(0, float(max(before.lengths.max(), after.lengths.max())), 4)
    step = (width - _LEFT - _RIGHT) / (last - first + 1)
    base = _LENGTH_TOP + _LENGTH_HEIGHT
    for level in levels:
        y = base - _LENGTH_HEIGHT * level / levels[-1]
        drawing.line(_LEFT, y, width - _RIGHT, y, "grid")
        drawing.text(_LEFT - 8, y + 4, f"{level:,.0f}", "tick", "end")
    for tally, css in ((before, "length-before"), (after, "length-after")):
        points = [(_LEFT, base)]
        for place, count in enumerate(tally.lengths[first : last + 1].tolist()):
            y = base - _LENGTH_HEIGHT * count / levels[-1]
            points += [(_LEFT + place * step, y), (_LEFT + (place + 1) * step, y)]
        points.append((_LEFT + (last - first + 1) * step, base))
        drawing.path(polyline(points), css)
    _length_axis(drawing, first, last, step, base)
    for place in range(first, last + 1):
        low, high = math.ceil(LENGTH_EDGES[place]), math.ceil(LENGTH_EDGES[place + 1]) - 1
        hover = f"{low:,} to {high:,} characters: {before.lengths[place]:,} before, {after.lengths[place]:,} after"
        drawing.rect(_LEFT + (place - first) * step, _LENGTH_TOP, step, _LENGTH_HEIGHT, "pointer", hover)
    return drawing.markup()


def _length_axis(drawing: Drawing, first: int, last: int, step: float, base: float) -> None:
    places = {index: round(edge) for index, edge in enumerate(LENGTH_EDGES) if edge >= 1 and _is_power(edge)}
    for index, edge in places.items():
        if first <= index <= last + 1:
            x = _LEFT + (index - first) * step
            drawing.line(x, base, x, base + 4, "axis")
            drawing.text(x, base + 18, f"{edge:,}", "tick", "middle")
    drawing.text((_LEFT + drawing.width - _RIGHT) / 2, base + 36, "characters", "tick", "middle")


def _is_power(edge: float) -> bool:
    return abs(math.log10(edge) - round(math.log10(edge))) < 1e-9
