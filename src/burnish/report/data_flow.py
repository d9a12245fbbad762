"""The flow of a data run, for the chart that the report of a whole chain draws too."""

from burnish.report.cast import count
from burnish.report.data_view import DataView, Passage
from burnish.report.flow import Drop, Flow, Step

_MAX_REASONS = 12


def flow_of(view: DataView) -> Flow | None:
    """Give the flow from the sources to the split, or to the last stage before one that adds records.

    The chart's stream only narrows; what comes later stands in the table of stages.
    """
    steps: list[Step] = []
    parts: tuple[Drop, ...] = ()
    for passage in view.passages:
        if passage.came is None:
            continue
        if parts := _parts(passage):
            break
        if passage.left.num_records > passage.came.num_records:
            break
        steps.append(_step(passage, passage.came.num_records))
    if not steps or not view.before.num_records:
        return None
    return Flow(view.before.num_records, tuple(steps), parts, view.planted)


def _parts(passage: Passage) -> tuple[Drop, ...]:
    if passage.stage.name != "split":
        return ()
    sizes = ((name, count(passage.stage.artifact, f"{name}_records")) for name in ("train", "validation", "test"))
    return tuple(Drop(name, num) for name, num in sizes if num)


def _step(passage: Passage, num_in: int) -> Step:
    drops = [Drop(rule.words, rule.num_removed) for rule in passage.rules] if passage.stage.removes else []
    if len(drops) > _MAX_REASONS:
        rest = sum(drop.num_records for drop in drops[_MAX_REASONS - 1 :])
        drops = [*drops[: _MAX_REASONS - 1], Drop(f"{len(passage.rules) - _MAX_REASONS + 1} other rules", rest)]
    note = "" if drops else _note(passage)
    return Step(passage.stage.words, num_in, passage.left.num_records, tuple(drops), (), note)


def _note(passage: Passage) -> str:
    repaired = count(passage.stage.artifact, "repaired_records")
    return f"{repaired:,} repaired and kept" if repaired else ""
