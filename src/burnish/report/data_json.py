"""What the page of a data run says, in one sentence and as JSON."""

from typing import Any, Literal

from burnish.report.data_table import KIND
from burnish.report.data_tally import LENGTH_EDGES
from burnish.report.data_view import DataView, Passage
from burnish.report.figures import plural, show_bytes


def headline(view: DataView) -> str:
    """Say what was kept of what came, and why the rest was not."""
    before, after = view.before, view.after
    words: tuple[tuple[Literal["copy", "rule", "balance"], str], ...] = (
        ("copy", "repeated another"),
        ("rule", "broke a rule"),
        ("balance", "were left out for balance"),
    )
    reasons = [f"{num:,} {said}" for why, said in words if (num := view.num_removed(why))]
    listed = f"{', '.join(reasons[:-1])} and {reasons[-1]}" if len(reasons) > 1 else "".join(reasons)
    tail = f"; {listed}" if reasons else ""
    if after.num_records > before.num_records:
        return f"{plural(before.num_records, 'record')} came and {after.num_records:,} left{tail}; others were added."
    kept = f"{after.num_records:,} of {plural(before.num_records, 'record')} were kept"
    return f"{kept}, {show_bytes(after.num_bytes)} of {show_bytes(before.num_bytes)} of text{tail}."


def as_json(view: DataView) -> dict[str, Any]:
    """Give report.json; `kind` tells it from the report of a model."""
    return {
        "kind": KIND,
        "title": view.title,
        "headline": headline(view),
        "before": {"records": view.before.num_records, "bytes": view.before.num_bytes},
        "after": {"records": view.after.num_records, "bytes": view.after.num_bytes},
        "stages": [_stage(passage) for passage in view.passages],
        "languages": [vars(share) for share in view.languages],
        "sources": [vars(share) for share in view.sources],
        "lengths": {
            "edges_chars": [round(edge, 3) for edge in LENGTH_EDGES.tolist()],
            "before": view.before.lengths.tolist(),
            "after": view.after.lengths.tolist(),
        },
        "copies": None if view.copies is None else _copies(view),
    }


def _stage(passage: Passage) -> dict[str, Any]:
    came = passage.came
    return {
        "stage": passage.stage.words,
        "role": passage.stage.role.value,
        "digest": passage.stage.artifact.digest,
        "records_in": None if came is None else came.num_records,
        "bytes_in": None if came is None else came.num_bytes,
        "records_out": passage.left.num_records,
        "bytes_out": passage.left.num_bytes,
        "rules": [
            {"rule": rule.name, "removed": rule.num_removed, "threshold": rule.threshold, "bound": rule.bound}
            for rule in passage.rules
        ],
        "quiet_rules": list(passage.stage.quiet_rules),
        "changes": [
            {"rule": change.rule, "records": change.num_records, "found": change.num_found}
            for change in passage.changes
        ],
    }


def _copies(view: DataView) -> dict[str, Any] | None:
    copies = view.copies
    if copies is None:
        return None
    return {
        "sets": copies.num_sets,
        "removed": copies.num_removed,
        "sizes": [{"size": words, "sets": sets, "records": records} for words, sets, records in copies.sizes],
        "largest": [{"id": each.id, "size": each.size, "source": each.source} for each in copies.largest],
    }
