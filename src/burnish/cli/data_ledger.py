"""`burnish data ledger`: the decisions of a run, as a table, as JSON lines or as CSV."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from burnish.cli.data_text import one_line
from burnish.cli.data_way import find_way, unknown
from burnish.cli.store import LATEST, complete_reference, store_option
from burnish.cli.teaching import Teaching
from burnish.errors import BurnishError
from burnish.runtime import need

if TYPE_CHECKING:
    from rich.table import Table

    from burnish.report.data_stages import Stage

_LIMIT = 20
_MIN_TEXT_CELLS = 20  # below, the text gets a line of its own
_HEADS = ("id", "step", "rule", "value", "bound", "partner", "text")
_TEXT_CHARS = 160  # of a text in JSON and CSV
Row = dict[str, Any]
_COLUMNS = ("id", "step", "rule", "value", "threshold", "partner_id", "similarity", "kept", "text")


@dataclass(frozen=True)
class Question:
    """Say which decisions are asked for; None asks for all."""

    rule: str | None = None
    id: str | None = None
    step: str | None = None
    kept: bool | None = None


@click.command(
    cls=Teaching,
    examples=(
        ("burnish data ledger", "the first decisions of the latest run"),
        ("burnish data ledger --rule near_copy", "what one rule removed, with partners and similarities"),
        ("burnish data ledger --step clean --kept", "repairs, and kinds of personal data that were masked"),
        ("burnish data ledger --removed --csv --limit 0 > removed.csv", "every removal, for a spreadsheet"),
        ("burnish data ledger 3f2a91 --id d0000003", "of one record, from a dataset's digest"),
    ),
)
@click.argument("reference", default=LATEST, metavar="[RUN|REF]", shell_complete=complete_reference)
@click.option("--rule", help="Only what this rule, repair or mask did.")
@click.option("--id", "identity", help="Only decisions about this record.")
@click.option("--step", help="Only decisions of this step: clean, select, domain …")
@click.option(
    "--removed/--kept", "is_removed", default=None, help="Only removals, or only what was done to records kept."
)
@click.option("--limit", default=_LIMIT, show_default=True, type=click.IntRange(0), help="How many; 0 is all.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line, values in full.")
@click.option("--csv", "is_csv", is_flag=True, help="Comma-separated values with a head, values in full.")
@store_option
def ledger(
    reference: str,
    rule: str | None,
    identity: str | None,
    step: str | None,
    is_removed: bool | None,
    limit: int,
    is_json: bool,
    is_csv: bool,
    store_path: Path,
) -> None:
    """Print the decisions about records: id, step, rule, value, bound, partner, and how the text begins.

    A removal names the first rule that the record broke. Without RUN it is the latest run.
    """
    if is_json and is_csv:
        raise click.UsageError("--json and --csv were both given; give one of them")
    stages = find_way(store_path, reference)
    question = Question(rule, identity, step, None if is_removed is None else not is_removed)
    total = _check(stages, question)
    rows = decisions(stages, question, limit or total)
    if is_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    elif is_csv:
        writer = csv.DictWriter(sys.stdout, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print(rows, total, limit)


def decisions(stages: "tuple[Stage, ...]", question: Question, limit: int) -> Iterator[Row]:
    """Give up to `limit` decisions with the start of the record's text, a shard at a time."""
    from burnish.report.data_fetch import fetch
    from burnish.report.data_samples import masked
    from burnish.report.data_stages import Role

    for stage in stages:
        for path in stage.decision_shards():
            if limit <= 0:
                return
            rows = _asked(stage.decisions(path), question).head(limit).collect().to_dicts()
            limit -= len(rows)
            texts: dict[str, Row] = {}
            for folder, is_kept in (("data", True), ("rejected", False)):
                ids = [row["id"] for row in rows if row["kept"] is is_kept]
                beside = stage.shard(folder, path.name)
                texts |= fetch(stage.shards(folder) if beside is None else [beside], ids, ("text",))
            for row in rows:
                text = texts.get(row["id"], {"text": ""})["text"]
                if stage.role is Role.SOURCE:
                    text = masked(text[: 8 * _TEXT_CHARS])  # cleaning has not seen it
                yield {**{name: row.get(name) for name in _COLUMNS[:-1]}, "text": one_line(text, _TEXT_CHARS)}


def _asked(frame: Any, question: Question) -> Any:
    polars = need("polars", extra="data")
    for name in ("rule", "id", "step", "kept"):
        if (value := getattr(question, name)) is not None:
            frame = frame.filter(polars.col(name) == value)
    return frame


def _check(stages: "tuple[Stage, ...]", question: Question) -> int:
    """Count the decisions that are asked for, and refuse a name that stands nowhere."""
    polars = need("polars", extra="data")
    frames = [
        frame.select("id", "rule", "step", "kept") for stage in stages if (frame := stage.decisions()) is not None
    ]
    if not frames:
        raise BurnishError("no stage of this run decided about a record; give a run of `burnish data run`")
    everything = polars.concat(frames)
    total = int(_asked(everything, question).select(polars.len()).collect(engine="streaming").item())
    if total == 0:
        for name in ("rule", "step"):
            there = everything.select(polars.col(name).unique()).collect(engine="streaming").get_column(name).to_list()
            if (asked := getattr(question, name)) is not None and asked not in there:
                raise unknown(name, asked, there)
    return total


def _print(rows: Iterator[Row], total: int, limit: int) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if total == 0:
        console.print("no decision was made: no rule fired, and nothing was changed, where you asked")
        return
    lines = [
        (one_line(row["id"]), row["step"], row["rule"], *_figures(row), one_line(row["partner_id"] or ""), row["text"])
        for row in rows
    ]
    used = [place for place in range(len(_HEADS)) if any(line[place] for line in lines)]
    taken = sum(
        max(cell_len(cells[place]) for cells in (_HEADS, *lines)) + 3 for place in used if place < len(_HEADS) - 1
    )
    if taken + _MIN_TEXT_CELLS <= console.width:
        console.print(_table(lines, used))
    else:  # the text gets a line of its own
        for line in lines:
            console.print(Text("  ".join(cell for cell in line[:-1] if cell)), no_wrap=True, overflow="ellipsis")
            console.print(Text(f"    {line[-1]}", style="dim"), no_wrap=True, overflow="ellipsis")
    if limit and total > limit:
        console.print(f"{limit} of {total:,} decisions; --limit 0 shows all", highlight=False)


def _table(lines: Sequence[tuple[str, ...]], used: list[int]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    for place in used:
        name = _HEADS[place]
        justify: Literal["left", "right"] = "right" if name in ("value", "bound") else "left"
        table.add_column(name, justify=justify, no_wrap=True, ratio=1 if name == "text" else None)
    for line in lines:
        table.add_row(*(Text(line[place], overflow="ellipsis") for place in used))
    return table


def _figures(row: Row) -> tuple[str, str]:
    """Show value and bound; a repair has neither, a mask the number of places."""
    from burnish.report.data_words import measured_by

    rule, value, threshold = row["rule"], row["value"], row["threshold"]
    if value is None or rule.startswith("repaired_"):
        return "", ""
    if rule.startswith("masked_"):
        return f"{value:,.0f}", ""
    shown = measured_by(rule)
    return shown.show(value), "" if threshold is None else shown.show_round(threshold)
