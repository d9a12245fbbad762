"""The same table for the terminal, drawn from report.json."""

from collections.abc import Mapping
from typing import IO, Any

from burnish.report.compare import Verdict
from burnish.report.figures import show, show_change, show_interval

HEADS = ("", "before", "after", "change", "")
_WIDE_FROM = 104  # columns; below it the intervals would break every row in two
_STYLES = {"better": "green", "worse": "bold red", "within noise": "dim"}


def rows_for_terminal(report: Mapping[str, Any], *, has_intervals: bool = True) -> list[tuple[str, str, str, str, str]]:
    """Turn the rows of report.json into words: metric, before, after, change, verdict with its sign."""
    return [
        (
            row["metric"],
            _side(row, "before", has_intervals),
            _side(row, "after", has_intervals),
            "" if row["change"] is None else show_change(row["before"], row["after"], row["unit"]),
            f"{Verdict(row['verdict']).symbol} {row['verdict']}",
        )
        for row in report["table"]
    ]


def print_table(report: Mapping[str, Any], *, file: IO[str] | None = None, width: int | None = None) -> None:
    """Print the title, the before/after table where something was measured, and what it says.

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
    has_intervals = console.width >= _WIDE_FROM
    for index, head in enumerate(HEADS):
        table.add_column(head, justify="right" if 0 < index < 4 else "left", no_wrap=index == 4)
    for row, raw in zip(rows_for_terminal(report, has_intervals=has_intervals), report["table"], strict=True):
        table.add_row(*(Text(cell) for cell in row[:4]), Text(row[4], style=_STYLES.get(raw["verdict"], "")))
    console.print(table if report["table"] else table.title)
    is_cut = not has_intervals and any(row["before_interval"] or row["after_interval"] for row in report["table"])
    hint = "The 95 % intervals are in the report; a terminal of 104 columns shows them here." if is_cut else ""
    for line in (report.get("headline"), report.get("caveat"), hint):
        if line:
            console.print(Text(line))


def _side(row: Mapping[str, Any], side: str, has_interval: bool) -> str:
    if row[side] is None:
        return "–"
    value, interval = show(row[side], row["unit"]), row[f"{side}_interval"]
    if interval is None or not has_interval:
        return value
    low, high = interval
    return f"{value} ({show_interval(low, high, row['unit'], beside=row[side])})"
