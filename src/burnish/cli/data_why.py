"""`burnish data why`: the whole way of one record, from its source to where it was kept or removed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burnish.cli.data_text import one_line
from burnish.cli.data_way import find_way
from burnish.cli.store import LATEST, complete_reference, store_option
from burnish.cli.teaching import Teaching
from burnish.errors import BurnishError
from burnish.runtime import need

if TYPE_CHECKING:
    from burnish.report.data_rules import Rule
    from burnish.report.data_stages import Stage

_NUM_CLOSEST = 3
_NEAR = 0.25  # of the greater of value and bound
_SHOWN_META = 8
_TEXT_CHARS = 600

Row = dict[str, Any]


@dataclass(frozen=True)
class Halt:
    """Hold what one stage did to the record.

    Attributes:
        lines: in words, the first the weightiest.
        row: the record as the stage handed it on or set it aside; None where it was not there.
        is_removed: whether the way ended here.
    """

    stage: "Stage"
    lines: tuple[str, ...]
    row: Row | None
    is_removed: bool


@click.command(
    cls=Teaching,
    examples=(
        ("burnish data why d0000003", "in the latest run"),
        ("burnish data why d0000003 20260131-101500-3fa2", "in another run"),
        ("burnish data why d0000003 3f2a91", "on the way to a dataset"),
    ),
)
@click.argument("identity", metavar="ID")
@click.argument("reference", default=LATEST, metavar="[RUN|REF]", shell_complete=complete_reference)
@store_option
def why(identity: str, reference: str, store_path: Path) -> None:
    """Explain what became of record ID: kept, or removed by which rule or in favour of which other record.

    It says where the record came from, what was repaired and masked, and how near it came to each bound. `burnish
    data ledger` and the report name ids.
    """
    stages = find_way(store_path, reference)
    halts = tuple(trace(stages, identity))
    if not any(halt.row is not None for halt in halts):
        raise BurnishError(_nowhere(stages, identity))
    _print(identity, halts)


def trace(stages: "tuple[Stage, ...]", identity: str) -> Iterator[Halt]:
    """Follow a record through the stages, up to the one that removed it."""
    from burnish.report.data_stages import Role

    is_here = False
    for stage in stages:
        if stage.role is Role.PAIRS:
            continue
        halt = _halt(stage, identity, is_new=not is_here)
        if halt.row is None and not is_here:
            continue  # made by a later stage
        is_here = True
        yield halt
        if halt.is_removed:
            return


def _halt(stage: "Stage", identity: str, *, is_new: bool) -> Halt:
    from burnish.report.data_fetch import fetch
    from burnish.report.data_samples import masked
    from burnish.report.data_stages import Role

    polars = need("polars", extra="data")
    frame = stage.decisions()
    decided = [] if frame is None else frame.filter(polars.col("id") == identity).collect(engine="streaming").to_dicts()
    removal = next((row for row in decided if not row["kept"]), None)
    folder = "data" if removal is None else "rejected"
    row = fetch(stage.shards(folder), [identity], ("text", "source", "label", "meta")).get(identity)
    lines = [*(_origin(row) if is_new and row is not None else ())]
    if row is not None and stage.role is Role.SOURCE:
        row = {**row, "text": masked(row["text"])}  # cleaning has not seen it
    if removal is not None:
        lines.insert(0, _removal(stage, removal))
    lines += [_change(each) for each in decided if each["kept"]]
    if removal is None and row is not None:
        lines += _copies(stage, identity)
    lines += _measured(stage, identity)
    return Halt(stage, tuple(lines), row, removal is not None)


def _origin(row: Row) -> Iterator[str]:
    from burnish.report.data_samples import masked

    yield f"from {one_line(row['source'])}, {len(row['text']):,} characters" + (
        f", label {one_line(row['label'])}" if row["label"] is not None else ""
    )
    try:
        meta = json.loads(row["meta"] or "{}")
    except ValueError:
        return
    if isinstance(meta, dict):
        for name, value in list(meta.items())[:_SHOWN_META]:
            yield f"{one_line(str(name))}: {one_line(masked(str(value)), 200)}"


def _removal(stage: "Stage", row: Row) -> str:
    from burnish.report.data_fetch import fetch
    from burnish.report.data_words import bound_words, measured_by, rule_words

    shown = measured_by(row["rule"])
    said = f"removed: {rule_words(row['rule'])}"
    if row["partner_id"] is not None:
        alike = "" if row["similarity"] is None else f", {shown.show(row['similarity'])} alike"
        partner = fetch(stage.shards("data"), [row["partner_id"]], ("source",)).get(row["partner_id"])
        where = f" from {one_line(partner['source'])}" if partner else ""
        bound = "" if row["threshold"] is None else f" (the bound is {shown.show_round(row['threshold'])})"
        return f"{said} of {one_line(row['partner_id'])}{where}{alike}{bound}"
    if row["value"] is None or row["threshold"] is None:
        return said
    is_floor = row["value"] < row["threshold"]
    bound = bound_words(row["rule"], row["threshold"], is_floor=is_floor, is_inclusive=row["value"] == row["threshold"])
    return f"{said}; {shown.words} {shown.show(row['value'])}, and the rule removes {bound}"


def _change(row: Row) -> str:
    from burnish.report.data_words import change_words

    if row["partner_id"] is not None:
        return f"made from {one_line(row['partner_id'])} by {change_words(row['rule'])}"
    count = f" ({row['value']:,.0f})" if row["rule"].startswith("masked_") and row["value"] is not None else ""
    return f"{change_words(row['rule'])}{count}"


def _copies(stage: "Stage", identity: str) -> Iterator[str]:
    polars = need("polars", extra="data")
    frame = stage.decisions()
    if frame is None:
        return
    is_mine = (polars.col("partner_id") == identity) & ~polars.col("kept")
    ids = frame.filter(is_mine).select("id").collect(engine="streaming").get_column("id").to_list()
    if ids:
        named = ", ".join(one_line(each) for each in sorted(ids)[:5])
        yield f"stands for {len(ids):,} that repeat it: {named}{' …' if len(ids) > 5 else ''}"


def _measured(stage: "Stage", identity: str) -> Iterator[str]:
    """Say how near the record came to the bounds of rules that fired, and which language it is in."""
    from burnish.report.data_rules import list_rules
    from burnish.report.data_words import language_words

    polars = need("polars", extra="data")
    paths = stage.shards("measures")
    if not paths:
        return
    found = polars.scan_parquet(paths, glob=False).filter(polars.col("id") == identity).collect(engine="streaming")
    if found.height == 0:
        return
    row = found.row(0, named=True)
    if isinstance(row.get("language"), str):
        score = row.get("language_score")
        yield f"language: {language_words(row['language'])}" + ("" if score is None else f", probability {score:.2f}")
        return
    near = [(rule, row[rule.name]) for rule in list_rules(stage) if row.get(rule.name) is not None]
    near = [(rule, value) for rule, value in near if rule.threshold is not None and not rule.has_partner]
    close = [pair for pair in sorted(near, key=lambda pair: _distance(*pair)) if _distance(*pair) < _NEAR]
    for rule, value in close[:_NUM_CLOSEST]:
        yield f"near a bound: {rule.words} {rule.show(value)}, removed {rule.bound}"
    if near and not close:
        yield f"near no bound of the {len(near)} rules that fired and apply to it"


def _distance(rule: "Rule", value: float) -> float:
    threshold = rule.threshold or 0.0
    return abs(value - threshold) / max(abs(threshold), abs(value), 1e-9)


def _nowhere(stages: "tuple[Stage, ...]", identity: str) -> str:
    parquet = need("pyarrow.parquet", extra="data")
    shards = stages[0].shards("data")
    ids = (
        parquet.ParquetFile(shards[0]).read_row_group(0, columns=["id"]).column("id")[:3].to_pylist() if shards else []
    )
    shown = ", ".join(one_line(each) for each in ids) or "none"
    return f"no record {identity!r} on this way; ids here look like {shown}. `burnish data ledger` lists decisions with ids."


def _print(identity: str, halts: tuple[Halt, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from burnish.report.data_text import clip, visible

    console = Console()
    last = halts[-1]
    fate = (
        f"removed at {last.stage.words.lower()}" if last.is_removed else f"kept to the end ({last.stage.words.lower()})"
    )
    console.print(Text.assemble((one_line(identity), "bold"), "  ", (fate, "bold red" if last.is_removed else "green")))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for halt in halts:
        for number, line in enumerate(halt.lines or ("as it came",)):
            style = "red" if line.startswith("removed") else "dim" if line.startswith("near ") else ""
            table.add_row(halt.stage.words if number == 0 else "", Text(line, style=style))
    console.print(table)
    row = next((halt.row for halt in reversed(halts) if halt.row is not None), None)
    if row is not None and len(halts) > 1:
        console.print()
        console.print(Text(visible("".join(clip(row["text"], _TEXT_CHARS)))))
