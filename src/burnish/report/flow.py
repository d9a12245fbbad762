"""The flow of records: how many were collected, what each stage dropped and why, what was kept."""

from dataclasses import dataclass

from burnish.artifacts import Artifact, Measurement
from burnish.report.cast import Cast, count, look
from burnish.report.figures import plural
from burnish.report.svg import Drawing

_LINE, _HEAD, _GAP = 22.0, 34.0, 26.0
_MAX_REASONS = 12


@dataclass(frozen=True)
class Drop:
    """Hold how many records a rule dropped."""

    reason: str
    num_records: int


@dataclass(frozen=True)
class Step:
    """Hold one stage of the curation; `quiet` names the rules that dropped nothing."""

    words: str
    num_in: int
    num_kept: int
    drops: tuple[Drop, ...]
    quiet: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Flow:
    """Hold the way of the records, from collected to split, and how well planted faults were caught."""

    num_collected: int
    steps: tuple[Step, ...]
    parts: tuple[Drop, ...]
    planted: tuple[tuple[str, Measurement], ...]

    @property
    def num_kept(self) -> int:
        """Count what the last stage kept."""
        return self.steps[-1].num_kept if self.steps else self.num_collected

    @property
    def words(self) -> str:
        """Describe the flow for those who do not see it."""
        parts = [plural(self.num_collected, "record") + " collected"]
        for step in self.steps:
            drops = ", ".join(f"{drop.num_records:,} {drop.reason}" for drop in step.drops) or "none"
            parts.append(f"{step.words}: {step.num_kept:,} kept, dropped: {drops}")
        parts += [f"{part.num_records:,} to {part.reason}" for part in self.parts]
        return "; ".join(parts)


_PLANTED = (
    ("planted_copy_caught_frac", "Planted copies caught"),
    ("planted_random_caught_frac", "Planted random rows caught"),
    ("clean_lost_frac", "Other rows that a quality rule dropped"),
)


def trace(cast: Cast) -> Flow | None:
    """Read the flow from the evidence of collect, clean, select and split; None where there is none."""
    named = (("Clean", cast.clean), ("Select", cast.select))
    steps = tuple(step for words, artifact in named if (step := _step(words, artifact)) is not None)
    collected = count(cast.collect, "collected_records") or (steps[0].num_in if steps else 0)
    if not collected:
        return None
    parts = ((name, count(cast.split, f"{name}_records")) for name in ("train", "validation", "test"))
    found = ((words, m) for name, words in _PLANTED if (m := look(cast.select, name)) is not None)
    return Flow(collected, steps, tuple(Drop(name, num) for name, num in parts if num), tuple(found))


def _step(words: str, artifact: Artifact | None) -> Step | None:
    num_in = count(artifact, "records_in")
    if artifact is None or num_in is None:
        return None
    kept = count(artifact, "records_kept")
    num_kept = num_in if kept is None else kept  # cleaning drops nothing
    fired = [
        Drop(m.name.removeprefix("dropped_").removesuffix("_records").replace("_", " "), round(m.value))
        for m in artifact.evidence
        if m.name.startswith("dropped_") and m.name.endswith("_records")
    ]
    drops = sorted((drop for drop in fired if drop.num_records > 0), key=lambda drop: -drop.num_records)
    unexplained = num_in - num_kept - sum(drop.num_records for drop in drops)
    if unexplained > 0:
        drops.append(Drop("no reason given", unexplained))
    if len(drops) > _MAX_REASONS:
        rest = sum(drop.num_records for drop in drops[_MAX_REASONS - 1 :])
        drops = [*drops[: _MAX_REASONS - 1], Drop("other rules", rest)]
    repaired = count(artifact, "repaired_records")
    note = f"{repaired:,} repaired and kept" if repaired else ""
    quiet = tuple(drop.reason for drop in fired if drop.num_records == 0)
    return Step(words, num_in, num_kept, tuple(drops), quiet, note)


@dataclass(frozen=True)
class _Sheet:
    """Where things stand: `scale` is pixels a record, `text_x` the left end of the words."""

    drawing: Drawing
    scale: float
    text_x: float
    count_width: float

    def reason(self, y: float, drop: Drop) -> None:
        limit = int((self.drawing.width - self.text_x - self.count_width) / 7)  # about 7 px a letter
        words = drop.reason if len(drop.reason) <= limit else f"{drop.reason[: limit - 1]}…"
        self.drawing.text(self.text_x + self.count_width - 8, y + 4, f"{drop.num_records:,}", "flow-count", "end")
        self.drawing.text(self.text_x + self.count_width, y + 4, words, "flow-reason")


def flow_chart(flow: Flow, width: float) -> str:
    """Draw the records as a stream that runs down and gets narrower; what is dropped peels off to its reason."""
    stream = width * (0.44 if width > 500 else 0.34)
    heights = [_HEAD + _LINE * max(1, len(step.drops) + bool(step.note)) + _GAP for step in flow.steps]
    bottom = _HEAD + _LINE * len(flow.parts)
    drawing = Drawing(width, 50 + sum(heights) + bottom, f"Flow of records: {flow.words}.", "chart flow")
    counts = [drop.num_records for step in flow.steps for drop in step.drops] + [p.num_records for p in flow.parts]
    digits = max((len(f"{number:,}") for number in counts), default=1)
    sheet = _Sheet(drawing, stream / flow.num_collected, stream + (70.0 if width > 500 else 34.0), 10 + 7.7 * digits)
    drawing.rect(0, 14, stream, 5, "plate")
    drawing.text(sheet.text_x, 22, f"Collected · {flow.num_collected:,}", "flow-head")
    drawing.rect(0, 19, stream, 21, "stream")
    y = 40.0
    for step, height in zip(flow.steps, heights, strict=True):
        _draw_step(sheet, step, y, height)
        y += height
    if flow.parts:
        _draw_parts(sheet, flow.parts, y, flow.num_kept * sheet.scale)
    return drawing.markup()


def _draw_step(sheet: _Sheet, step: Step, y: float, height: float) -> None:
    drawing, scale = sheet.drawing, sheet.scale
    drawing.rect(0, y, step.num_in * scale, 5, "plate")
    drawing.text(sheet.text_x, y + 9, f"{step.words} · {step.num_kept:,} kept", "flow-head")
    line_y = y + _HEAD
    if step.note:
        drawing.text(sheet.text_x, line_y + 4, step.note, "flow-note")
        line_y += _LINE
    top = y + 5
    drawing.rect(0, top, step.num_kept * scale, height - 5, "stream", f"{step.num_kept:,} kept")
    dropped = sum(drop.num_records for drop in step.drops)
    squeeze = (step.num_in - step.num_kept) / dropped if dropped else 0.0  # a record may break several rules
    right = step.num_in * scale
    for drop in step.drops:
        left = right - drop.num_records * squeeze * scale
        hover = f"{step.words} dropped {plural(drop.num_records, 'record')}: {drop.reason}"
        drawing.path(_peel(left, right, top, sheet.text_x - 10, line_y), "drop", hover)
        sheet.reason(line_y, drop)
        right, line_y = left, line_y + _LINE


def _draw_parts(sheet: _Sheet, parts: tuple[Drop, ...], y: float, width: float) -> None:
    total = sum(part.num_records for part in parts)
    sheet.drawing.text(sheet.text_x, y + 9, "Split by document", "flow-head")
    right, line_y = width, y + _HEAD
    for index, part in enumerate(reversed(parts)):
        left = right - width * part.num_records / total
        hover = f"{plural(part.num_records, 'record')} to {part.reason}"
        gap = 2 if index + 1 < len(parts) else 0
        sheet.drawing.rect(left + gap, y, max(1.0, right - left - gap), 9, "plate", hover)
        middle = (left + gap + right) / 2
        sheet.drawing.path(f"M{middle:.1f} {y + 9:.1f}V{line_y - 5:.1f}q0 5 5 5H{sheet.text_x - 10:.1f}", "leader")
        sheet.reason(line_y, part)
        right, line_y = left, line_y + _LINE


def _peel(left: float, right: float, top: float, end_x: float, line_y: float) -> str:
    """Give the outline of a band that leaves the stream downwards and ends level at its label."""
    half = min(7.0, max(0.6, (right - left) / 2))
    left = min(left, right - 1.2)
    up, down = line_y - half, line_y + half
    return (
        f"M{right:.1f} {top:.1f}Q{right:.1f} {up:.1f} {end_x:.1f} {up:.1f}V{down:.1f}"
        f"Q{left:.1f} {down:.1f} {left:.1f} {top:.1f}Z"
    )
