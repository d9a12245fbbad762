"""Collect: bring records together from the recipe's sources, with stable ids, in bounded memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from burnish.artifacts import DatasetArtifact, Draft, Measurement
from burnish.data.flow import PLANTED_COPY, PLANTED_RANDOM, num_records
from burnish.data.readers.batches import Batch
from burnish.data.readers.columns import FILE_RULES, Columns
from burnish.data.readers.crawl import Crawl
from burnish.data.readers.media import Media
from burnish.data.readers.parts import Parts, share
from burnish.data.readers.reading import Reading
from burnish.data.readers.seen import SeenIds
from burnish.data.shards import rejected_schema, text_bytes
from burnish.data.sources import Asset, Files, LocalFile, PlantedCopies, RandomText, SarcasmHeadlines, Source
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need
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
    """Read every source into one dataset; what cannot be read is kept aside with its reason, and stops nothing.

    Rows stream into shards of a fixed size; a run that is killed goes on after the last shard that it finished.

    Raises:
        RecipeError: a source cannot give what is asked of it.
        ArtifactError: a packaged source is not in the cache and cannot be downloaded.
    """
    folder = out.snapshots / "collect"
    parts = Parts.resume(folder / "parts")
    names = source_names(config.sources)
    reading = Reading(out, config.seed, folder, parts)
    sizes = [reading.size(source) for source in config.sources]
    with out.progress("read sources", total=sum(sizes), unit="bytes") as bar:
        bar.advance(parts.counts["read"])
        seen = _seen(config.sources, parts)
        try:
            for index, (name, source) in enumerate(zip(names, config.sources, strict=True)):
                for batch in reading.batches(index, name, source):
                    batch = batch if seen is None else _without_repeats(batch, seen)
                    read_bytes = batch.read_bytes if sizes[index] else 0
                    parts.add(index, batch, _counts(batch, name, read_bytes))
                    bar.advance(read_bytes, note=f"{name}: {parts.counts[f'kept/{name}']:,} records")
                _refuse_nothing(name, source, parts.counts)
            parts.finish()
        finally:
            parts.abandon()
    parts.give(out.payload)
    for path in (folder / "media").glob("[!.]*"):
        share(path, out / f"media/{path.name}")
    _warn(out, config.sources, names, parts.counts)
    of = parts.counts["kept"]
    return Draft(
        DatasetArtifact, _evidence(parts.counts, names), f"{of:,} records collected from {len(names)} sources."
    )


def source_names(sources: Sequence[Source]) -> list[str]:
    """Name each source by its kind, a second one of a kind with its number: the names start the records' ids."""
    seen: Counter[str] = Counter()
    names = []
    for source in sources:
        kind = choice_name(type(source))
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind}_{seen[kind]}")
    return names


def _seen(sources: Sequence[Source], parts: Parts) -> SeenIds | None:
    """Remember the ids collected so far, where a source brings ids of its own; None where all are made here."""
    if not any(_key(source) for source in sources):
        return None
    seen = SeenIds()
    for table in parts.tables("id"):
        seen.are_repeated(table.column("id").combine_chunks())
    return seen


def _key(source: Source) -> str | None:
    """Name the column of a source's own ids."""
    if isinstance(source, Crawl):
        return "url"
    return source.id_key if isinstance(source, Columns) else None


def _without_repeats(batch: Batch, seen: SeenIds) -> Batch:
    """Set aside rows whose id came before; the row set aside gets the id of its place."""
    arrow = need("pyarrow", extra="data")
    ids = batch.kept.column("id").combine_chunks()
    repeated = seen.are_repeated(ids)
    if not repeated.any():
        return batch
    rows = batch.kept.filter(repeated)
    reasons = {"rule": arrow.repeat("duplicate_id", rows.num_rows), "partner_id": rows.column("id")}
    named = rows.set_column(0, "id", batch.places.filter(arrow.array(repeated)))
    for name in ("rule", "value", "threshold", "partner_id", "similarity"):
        kind = rejected_schema().field(name).type
        named = named.append_column(name, reasons.get(name, arrow.nulls(rows.num_rows, kind)))
    rejected = arrow.concat_tables([batch.rejected, named.cast(rejected_schema())])
    good = arrow.array(~repeated)
    return replace(batch, kept=batch.kept.filter(good), rejected=rejected, places=batch.places.filter(good))


def _counts(batch: Batch, name: str, read_bytes: int) -> Counter[str]:
    """Count what a batch holds, under names that add up over batches and runs."""
    compute = need("pyarrow.compute", extra="data")
    kept = batch.kept
    counts = Counter({"kept": kept.num_rows, f"kept/{name}": kept.num_rows, "read": read_bytes})
    counts["bytes"] = int(text_bytes(kept).sum())
    for column, table in (("planted", kept), ("rule", batch.rejected)):
        for pair in compute.value_counts(table.column(column)).to_pylist():
            counts[f"{column}/{pair['values']}"] += pair["counts"]
            counts[f"{column}/{name}/{pair['values']}"] += pair["counts"]
    if batch.places is not None:
        counts[f"own/{name}"] = int(compute.sum(compute.not_equal(kept.column("id"), batch.places)).as_py() or 0)
    return counts


def _refuse_nothing(name: str, source: Source, counts: Counter[str]) -> None:
    """Stop where a source gave no record at all.

    Raises:
        RecipeError: it did not.
    """
    if counts[f"kept/{name}"]:
        return
    match source:
        case LocalFile() | Files() | Media():
            what = source.path.name
        case Asset():
            what = source.name
        case _:
            what = name
    start = f"rule/{name}/"
    fired = Counter({key.removeprefix(start): count for key, count in counts.items() if key.startswith(start)})
    if not fired:
        raise RecipeError(f"{what} holds no rows; give a source with text in it")
    rule, most = fired.most_common(1)[0]
    hint = " Is it in another encoding? Convert it: iconv -f gb18030 -t utf-8." if rule == "invalid_utf8" else ""
    raise RecipeError(f"no row of {what} can be used: {most} of {fired.total()} are set aside by {rule}.{hint}")


def _warn(out: Workdir, sources: Sequence[Source], names: Sequence[str], counts: Counter[str]) -> None:
    aside = sum(counts[f"rule/{rule}"] for rule in FILE_RULES)
    if aside:
        out.warn(f"{aside} rows could not be read and are kept aside in rejected/ with their reasons")
    for name, source in zip(names, sources, strict=True):
        if _key(source) and not counts[f"own/{name}"]:
            out.warn(f"no row of {name} has an id in {_key(source)!r}; its ids are made of file and row")


def _evidence(counts: Counter[str], names: Sequence[str]) -> tuple[Measurement, ...]:
    of = counts["kept"]
    aside = sum(counts[f"rule/{rule}"] for rule in FILE_RULES)
    num_copies = counts["planted/exact_copy"] + counts["planted/near_copy"]
    return (
        num_records("collected_records", of, of=of, how="count"),
        Measurement("collected_bytes", float(counts["bytes"]), "bytes", of, how="UTF-8 of the texts"),
        *(num_records(f"collected_{name}_records", counts[f"kept/{name}"], of=of, how="count") for name in names),
        num_records(PLANTED_RANDOM, counts["planted/random"], of=of, how="known-bad rows mixed in on purpose"),
        num_records(PLANTED_COPY, num_copies, of=of, how="duplicates mixed in on purpose"),
        *(
            num_records(
                f"dropped_{rule}_records", counts[f"rule/{rule}"], of=of + aside, how="first rule broken, in order"
            )
            for rule in FILE_RULES
        ),
    )
