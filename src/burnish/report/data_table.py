"""The flow of a data run for the terminal, drawn from report.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from burnish.report.data_words import change_words, rule_words
from burnish.report.figures import plural, show_bytes, show_share

KIND = "data"  # of report.json, which tells it from the report of a model
_MAX_RULES = 12


@dataclass(frozen=True)
class Line:
    """Hold one line of the table, in words."""

    words: str
    records: str
    share: str = ""
    text: str = ""
    note: str = ""
    is_stage: bool = False


def print_flow(report: Mapping[str, Any], *, file: IO[str] | None = None, width: int | None = None) -> None:
    """Print what went through each stage, and what its rules removed.

    Args:
        report: the content of report.json.
        file: where to; standard output if None.
        width: in characters; the terminal's if None.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file, width=width)
    table = Table(box=box.SIMPLE_HEAD, title=Text(report["title"]), title_justify="left", pad_edge=False)
    table.add_column("", no_wrap=True)
    for head in ("records", "share", "text"):
        table.add_column(head, justify="right", no_wrap=True)
    for stage in report["stages"]:
        for line in lines_of(stage):
            name = Text.assemble(line.words, (f"  {line.note}" if line.note else "", "dim"), overflow="ellipsis")
            style = "bold" if line.is_stage else ""
            table.add_row(name, *(Text(cell) for cell in (line.records, line.share, line.text)), style=style)
    console.print(table)
    console.print(Text(report["headline"]))


def lines_of(stage: Mapping[str, Any]) -> list[Line]:
    """Turn a stage of report.json into lines: what it handed on, what its rules removed, what it changed."""
    num_in, num_out, is_sieve = stage["records_in"], stage["records_out"], stage["role"] in ("sieve", "resample")

    def share(number: int) -> str:
        return show_share(number / num_in) if num_in else ""

    text = show_bytes(stage["bytes_out"])
    lines = [Line(stage["stage"], f"{num_out:,}", share(num_out), text=text, is_stage=True)]
    rules = stage["rules"]
    for rule in rules[:_MAX_RULES]:
        removed = rule["removed"]
        words = f"  − {rule_words(rule['rule'])}"
        lines.append(Line(words, f"{removed:,}", share(removed) if is_sieve else "", note=rule["bound"]))
    if rest := rules[_MAX_RULES:]:
        removed = sum(rule["removed"] for rule in rest)
        lines.append(Line(f"  − {len(rest)} other rules", f"{removed:,}", share(removed) if is_sieve else ""))
    for change in stage["changes"]:
        places = "" if change["found"] is None else plural(change["found"], "place")
        lines.append(Line(f"  ~ {change_words(change['rule'])}", f"{change['records']:,}", note=places))
    return lines
