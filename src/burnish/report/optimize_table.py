"""The outcome of a search over the whole chain for the terminal, drawn from report.json."""

from collections.abc import Mapping
from typing import IO, Any

from burnish.report.optimize_view import COLUMNS, KIND

__all__ = ["KIND", "print_optimum"]


def print_optimum(report: Mapping[str, Any], *, file: IO[str] | None = None, width: int | None = None) -> None:
    """Print every candidate with its figures, and the answer; why one is no answer stands on the page.

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
    table = Table(
        box=box.SIMPLE_HEAD, title=Text(report["title"]), title_justify="left", pad_edge=False, collapse_padding=True
    )
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("candidate", min_width=12)
    for head in ("quality", "P99", "tokens/s", "memory", "size"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    answer = (report["answer"] or {}).get("number")
    for each in report["candidates"]:
        is_answer = each["number"] == answer
        mark = "→" if is_answer else str(each["number"])
        cells = (
            mark,
            each["words"],
            *(each["shown"][name].removesuffix(" tokens/s") for name in COLUMNS),
            each["state"],
        )
        table.add_row(*(Text(cell) for cell in cells), style="bold" if is_answer else None)
    console.print(table)
    console.print(Text(report["headline"]))
    console.print(Text(f"It ended because {report['ended']}."))
    if report["answer"]:
        console.print(Text(f"model: {report['answer']['model'][:12]}, served: {report['answer']['served'][:12]}"))
