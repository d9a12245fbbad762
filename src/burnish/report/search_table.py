"""The outcome of a search for the terminal, drawn from report.json."""

from collections.abc import Mapping
from typing import IO, Any

KIND = "search"  # of report.json, which tells it from other reports


def print_search(report: Mapping[str, Any], *, file: IO[str] | None = None, width: int | None = None) -> None:
    """Print what was tried, what was best, and how the trials ended.

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
    for head in ("", "stage", "tried"):
        table.add_column(head, no_wrap=head == "stage")
    for head in ("own", "best", "importance"):
        table.add_column(head, justify="right", no_wrap=True)
    for value in report["values"]:
        cells = (value[name] for name in ("name", "stage", "tried", "own", "best", "importance"))
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    ended = ", ".join(f"{number} {state}" for state, number in report["trials"].items())
    console.print(Text(f"{report['headline']} {ended}."))
