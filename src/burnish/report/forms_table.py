"""The forms of a model for the terminal, drawn from report.json."""

from collections.abc import Mapping
from typing import IO, Any

KIND = "forms"  # of report.json, which tells it from other reports
_FIRST = ("Size", "Perplexity", "Tokens a second", "Same first token")  # where a terminal has no room for all
_MARGIN = 3  # characters between columns


def print_forms(report: Mapping[str, Any], *, file: IO[str] | None = None, width: int | None = None) -> None:
    """Print a line for each form with the figures that any of them has.

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
    table.add_column("form", no_wrap=True)
    kept = _fitting(report, console.width)
    for place in kept:
        table.add_column(report["columns"][place], justify="right", no_wrap=True)
    for form in report["forms"]:
        table.add_row(Text(form["name"]), *(Text(form["shown"][place]) for place in kept))
    console.print(table)
    console.print(Text(report["headline"]))
    if len(kept) < len(report["columns"]):
        left = ", ".join(words for place, words in enumerate(report["columns"]) if place not in kept)
        console.print(Text(f"A wider terminal shows more: {left}. The report has all, with intervals."))


def _fitting(report: Mapping[str, Any], width: int) -> list[int]:
    """Choose the columns that fit, those that matter most first, and give their places in order."""
    columns = report["columns"]
    room = width - max(len(form["name"]) for form in report["forms"]) - _MARGIN
    kept = []
    for words in (*(each for each in _FIRST if each in columns), *(each for each in columns if each not in _FIRST)):
        place = columns.index(words)
        needed = _MARGIN + max(len(words), *(len(form["shown"][place]) for form in report["forms"]))
        if needed <= room:
            kept.append(place)
            room -= needed
    return sorted(kept)
