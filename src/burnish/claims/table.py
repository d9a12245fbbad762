"""The ledger for the terminal: a row for each figure, then what the verdicts mean and where the readings are."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from burnish.claims.ledger import Reading

_STYLES = {"holds": "green", "falls short": "bold red", "undecided": "yellow"}


def print_ledger(readings: Sequence[Reading], *, has_settings: bool, console: Console | None = None) -> None:
    """Print the table.

    Args:
        has_settings: with what each was measured on and what limits it, in place of when.
        console: where to; standard output if None.
    """
    console = console or Console()
    console.print(_table(readings))
    for line in (*_explained(readings), *(() if has_settings else _ages(readings))):
        console.print(Text(line, "dim"))
    if has_settings:
        _print_settings(console, readings)


def _print_settings(console: Console, readings: Sequence[Reading]) -> None:
    """Say of each reading what it was measured on, and what limits it."""
    for reading in readings:
        console.print()
        console.print(Text.assemble((reading.claim.id, "bold"), f"  {reading.setting}"))
        for note in reading.notes:
            console.print(Padding(Text(f"· {note}"), (0, 0, 0, 4)))
        if reading.artifact is not None:
            console.print(Padding(Text(f"burnish show {reading.artifact.digest[:12]}", "dim"), (0, 0, 0, 4)))
    console.print()


def _table(readings: Sequence[Reading]) -> Table:
    """Lay out one row a figure, the interval below our value."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("ID", no_wrap=True)
    table.add_column("figure")
    for name in ("published", "ours, 95 %", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for reading in readings:
        for number, row in enumerate(reading.rows):
            ours = Text(row.value)
            if row.interval:
                ours.append(f"\n{row.interval}", "dim")
            table.add_row(
                reading.claim.id if number == 0 else "",
                Text(row.figure.what),
                row.published,
                ours,
                "" if row.ours is None else f"{row.ours.n:,}",
                Text(f"{row.verdict.symbol} {row.verdict.value}", _STYLES.get(row.verdict.value, "dim")),
            )
    return table


def _explained(readings: Sequence[Reading]) -> Iterator[str]:
    """Say what the verdicts mean, and why a figure does not compare."""
    rows = [row for reading in readings for row in reading.rows]
    for verdict in dict.fromkeys(row.verdict for row in rows):
        if verdict.meaning:
            yield f"{verdict.symbol} {verdict.value}: {verdict.meaning}"
    for row in rows:
        if row.why and row.figure.incomparable:
            yield f"{row.verdict.symbol} {row.verdict.value}, {row.figure.what}: {row.why}"


def _ages(readings: Sequence[Reading]) -> Iterator[str]:
    """Say when each was measured, and what is missing."""
    for reading in readings:
        if reading.artifact is not None:
            age = "" if reading.is_current else ", by code that has changed since"
            yield f"{reading.claim.id} measured on {reading.when}{age}; burnish show {reading.artifact.digest[:12]}"
    if missing := [reading.claim.id for reading in readings if reading.artifact is None]:
        yield f"burnish claims {' '.join(missing)} measures what is missing"
