"""`burnish compare`: the evidence of two artifacts side by side."""

from pathlib import Path

import click

from burnish.artifacts import Artifact, Measurement
from burnish.cli.store import complete_reference, open_store, store_option
from burnish.cli.teaching import Teaching


@click.command(
    cls=Teaching,
    examples=(
        ("burnish show", "lists the digests"),
        ("burnish compare 3f2a91 77b01c", "the base model's quality and the served model's"),
    ),
)
@click.argument("a", metavar="A", shell_complete=complete_reference)
@click.argument("b", metavar="B", shell_complete=complete_reference)
@store_option
def compare(a: str, b: str, store_path: Path) -> None:
    """Set the evidence of artifacts A and B side by side: values, difference, whether the intervals overlap.

    Intervals apart say that the difference is no chance; intervals that overlap may still hide one.
    """
    from rich.console import Console
    from rich.table import Table

    store = open_store(store_path)
    first, second = store.open(a), store.open(b)
    table = Table(title=f"A  {first.label}\nB  {second.label}", title_justify="left", title_style="")
    for column in ("measured", "A", "B", "B − A", "95 % intervals"):
        table.add_column(column, overflow="fold")
    for row in rows(first, second):
        table.add_row(*row)
    Console().print(table)


def rows(first: Artifact, second: Artifact) -> list[tuple[str, str, str, str, str]]:
    """Compare measurement by measurement, in the order of the evidence; those in one only come last."""
    ours = {m.name: m for m in first.evidence}
    theirs = {m.name: m for m in second.evidence}
    both = [
        (m.name, str(m), str(theirs[m.name]), *_differ(m, theirs[m.name])) for m in ours.values() if m.name in theirs
    ]
    only_a = [(m.name, str(m), "", "", "only in A") for m in ours.values() if m.name not in theirs]
    only_b = [(m.name, "", str(m), "", "only in B") for m in theirs.values() if m.name not in ours]
    return [*both, *only_a, *only_b]


def _differ(a: Measurement, b: Measurement) -> tuple[str, str]:
    if a.unit != b.unit:
        return "", f"not comparable: {a.unit} and {b.unit}"
    difference = b.value - a.value
    share = f" ({difference / abs(a.value):+.1%})" if a.value else ""
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return f"{difference:+.4g}{share}", "no interval" if difference else "equal"
    overlap = a.low <= b.high and b.low <= a.high
    return f"{difference:+.4g}{share}", "overlap" if overlap else "apart"
