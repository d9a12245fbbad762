"""Collect: bring records together from the recipe's sources, with stable ids."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from burnish.artifacts import DatasetArtifact, Draft
from burnish.data.copies import plant_copies
from burnish.data.files import FILE_RULES, read_file
from burnish.data.flow import PLANTED_COPY, PLANTED_RANDOM, drops, num_planted, num_records
from burnish.data.records import Record, Rejected, write_kept, write_rejected
from burnish.data.sources import (
    GeneralText,
    LocalFile,
    PlantedCopies,
    RandomText,
    SarcasmHeadlines,
    Source,
    read_general,
    read_headlines,
    read_random,
)
from burnish.errors import RecipeError
from burnish.runtime import Workdir
from burnish.runtime.recipes import choice_name


@dataclass(frozen=True)
class CollectConfig:
    """Say what to collect.

    Attributes:
        sources: read in this order; planted copies come last, since they copy what was read before them.
        seed: draws samples and planted copies.
    """

    sources: tuple[Source, ...] = (SarcasmHeadlines(), RandomText(), PlantedCopies())
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sources:
            raise RecipeError("sources is empty; name at least one source")
        copies = [index for index, source in enumerate(self.sources) if isinstance(source, PlantedCopies)]
        if copies and (len(copies) > 1 or copies[0] != len(self.sources) - 1 or copies[0] == 0):
            raise RecipeError("planted_copies stands once, as the last of the sources, after those that it copies")


def collect(out: Workdir, *, config: CollectConfig) -> Draft[DatasetArtifact]:
    """Read every source into one dataset; rows that cannot be read are kept aside and counted, and stop nothing.

    Raises:
        RecipeError: a source cannot give what is asked of it.
        ArtifactError: a packaged source is not in the cache and cannot be downloaded.
    """
    records: list[Record] = []
    rejected: list[Rejected] = []
    with out.progress("read sources", total=len(config.sources), unit="sources") as bar:
        for name, source in zip(_names(config.sources), config.sources, strict=True):
            kept, aside = _read(source, name, records, config.seed, out)
            records += kept
            rejected += aside
            bar.advance(1, note=f"{name}: {len(kept):,} records")
    if rejected:
        out.warn(f"{len(rejected)} rows could not be read and are kept aside in rejected/ with their reasons")
    write_kept(out, records)
    write_rejected(out, rejected)
    of = len(records)
    num_copies = num_planted(records, "exact_copy", "near_copy")
    evidence = (
        num_records("collected_records", of, of=of, how="count"),
        num_records(PLANTED_RANDOM, num_planted(records, "random"), of=of, how="known-bad rows mixed in on purpose"),
        num_records(PLANTED_COPY, num_copies, of=of, how="duplicates mixed in on purpose"),
        *drops(rejected, FILE_RULES, of=of + len(rejected)),
    )
    return Draft(DatasetArtifact, evidence, f"{of:,} records collected from {len(config.sources)} sources.")


def _read(
    source: Source, name: str, before: Sequence[Record], seed: int, out: Workdir
) -> tuple[list[Record], list[Rejected]]:
    match source:
        case SarcasmHeadlines():
            return read_headlines(source, name, seed, out.warn), []
        case RandomText():
            return read_random(name, out.warn), []
        case GeneralText():
            return read_general(source, name, seed, out.warn), []
        case LocalFile():
            return read_file(source, name)
        case PlantedCopies():
            return plant_copies([record for record in before if not record.planted], source, seed), []
        case _:
            assert_never(source)


def _names(sources: Sequence[Source]) -> list[str]:
    """Name each source by its kind, a second one of a kind with its number: the names start the records' ids."""
    seen: Counter[str] = Counter()
    names = []
    for source in sources:
        kind = choice_name(type(source))
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind}_{seen[kind]}")
    return names
