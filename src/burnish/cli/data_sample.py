"""`burnish data sample`: some records to look at, kept ones or those that a rule removed."""

import hashlib
import heapq
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burnish.cli.data_text import styled
from burnish.cli.data_way import find_way, unknown
from burnish.cli.store import LATEST, complete_reference, store_option
from burnish.cli.teaching import Teaching
from burnish.runtime import need

if TYPE_CHECKING:
    from burnish.report.data_samples import Sample
    from burnish.report.data_stages import Stage

_TEXT_CHARS = 600  # of a record that was kept
_ALL_MASKED = "no record can be shown: personal data was masked in each of those that were drawn"


@click.command(
    cls=Teaching,
    examples=(
        ("burnish data sample", "five records of those that were kept"),
        ("burnish data sample --rule near_copy", "five near copies, beside the records that stayed"),
        ("burnish data sample --rule too_few_words -n 20 --seed 1", "twenty others"),
        ("burnish data sample --rule repaired_mojibake", "before and after a repair"),
    ),
)
@click.argument("reference", default=LATEST, metavar="[RUN|REF]", shell_complete=complete_reference)
@click.option("--rule", help="What this rule removed, or this repair or mask changed; without it, what was kept.")
@click.option("-n", "--number", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--seed", default=0, show_default=True, help="Another seed draws others.")
@store_option
def sample(reference: str, rule: str | None, number: int, seed: int, store_path: Path) -> None:
    """Print some records, drawn by a hash of their ids, so that the same command shows the same records.

    Of personal data only what stands in its place is shown.
    """
    stages = find_way(store_path, reference)
    samples = (
        kept_samples(stages[-1], number, seed=seed) if rule is None else ruled_samples(stages, rule, number, seed=seed)
    )
    _print(samples, "no record was kept" if rule is None else _ALL_MASKED)


def kept_samples(stage: "Stage", num: int, *, seed: int) -> "list[Sample]":
    """Draw records of the last dataset, reading ids alone until the choice is made."""
    from burnish.report.data_fetch import fetch
    from burnish.report.data_samples import Sample, masked
    from burnish.report.data_stages import Role
    from burnish.report.data_text import plain, visible

    parquet = need("pyarrow.parquet", extra="data")
    heap: list[tuple[int, str, Path]] = []
    for path in stage.shards("data"):
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["id"]):
                for identity in batch.column(0).to_pylist():
                    entry = (-_hash(identity, seed), identity, path)
                    (heapq.heappush if len(heap) < num else heapq.heappushpop)(heap, entry)
    samples = []
    for _, identity, path in sorted(heap, reverse=True):
        row = fetch([path], [identity], ("text", "source", "label"))[identity]
        label = "" if row["label"] is None else f"label {visible(row['label'])}"
        text = row["text"]
        if stage.role is Role.SOURCE:
            text = masked(text[: 8 * _TEXT_CHARS])  # cleaning has not seen it
        samples.append(Sample(visible(identity), visible(row["source"]), label, "", plain(text, _TEXT_CHARS)))
    return samples


def ruled_samples(stages: "tuple[Stage, ...]", rule: str, num: int, *, seed: int) -> "list[Sample]":
    """Draw what a rule removed, or what a repair or mask changed.

    Raises:
        BurnishError: no rule of that name did anything.
    """
    from burnish.report.data_rules import list_rules
    from burnish.report.data_samples import read_changes, removed_samples

    seen: set[str] = set()
    for stage in stages:
        rules = list_rules(stage)
        if any(each.name == rule for each in rules):
            return list(removed_samples(stage, [each for each in rules if each.name == rule], num, seed=seed)[rule])
        seen |= {each.name for each in rules}
        changes = {change.rule: change for change in read_changes(stage, 0, seed=seed)}
        if rule in changes:
            found = {change.rule: change for change in read_changes(stage, num, seed=seed)}
            return list(found[rule].samples)
        seen |= changes.keys()
    raise unknown("rule", rule, seen)


def _print(samples: "list[Sample]", nothing: str) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    for each in samples:
        known = (each.id, each.source, each.value, each.note)
        console.print(Text(" · ".join(part for part in known if part), style="bold"))
        sides: list[tuple[str, Any]] = [(each.text_words, each.text)]
        if each.beside_words:
            sides.append((each.beside_words, each.beside))
        for words, pieces in sides:
            if words:
                console.print(Text(f"  {words}", style="dim"))
            console.print(Padding(styled(pieces), (0, 0, 0, 4)))
        console.print()
    if not samples:
        console.print(nothing)


def _hash(identity: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/kept/{identity}".encode(), digest_size=8).digest(), "big")
