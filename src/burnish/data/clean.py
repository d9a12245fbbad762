"""Clean: repair what can be repaired, mask personal data, bring text to its normal form, and measure it.

Nothing is dropped here: `select` decides, from these measures, and can decide again.
The compiled kernel reads every text; Python sees those that the kernel finds reason to suspect.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement
from burnish.data.engine import Engine, Local, run_shards
from burnish.data.flow import carry_planted, num_records
from burnish.data.language import check_languages
from burnish.data.ledger import ledger_schema
from burnish.data.repairs.pii import PiiConfig
from burnish.data.shards import ShardWriter, kept_schema, read_tables, shard_paths
from burnish.data.shingle import Shingle, Words
from burnish.data.sketches import write_shingle, write_sketches
from burnish.runtime import Workdir

if TYPE_CHECKING:
    from burnish.data.kernel.measure import Readings

_FOLDERS = ("data", "ledger", "measures", "sketches")


@dataclass(frozen=True)
class CleanConfig:
    """Say what cleaning does.

    Attributes:
        languages: those that are wanted, as codes of the language model; `select` asks how surely a text is in one.
        pii: what personal data is masked; null masks nothing.
        shingle: what near copies share.
    """

    languages: tuple[str, ...] = ("en", "zh")
    pii: PiiConfig | None = field(default_factory=PiiConfig)
    shingle: Shingle = field(default_factory=Words)
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        check_languages(self.languages)


def clean(out: Workdir, raw: DatasetArtifact, *, config: CleanConfig) -> Draft[DatasetArtifact]:
    """Clean every record, and measure it for `find_copies` and `select`."""
    counts = Counter[str]()
    work = _Cleaning(config)
    for shard, folder in run_shards(out, shard_paths(raw), work, step="clean", engine=config.engine):
        counts.update(json.loads((folder / "counts.json").read_text(encoding="utf-8")))
        for name in _FOLDERS:
            suffix = ".npz" if name == "sketches" else ".parquet"
            (folder / f"{name}{suffix}").rename(out / f"{name}/{shard.stem}{suffix}")
    write_shingle(out / "sketches/shingle.json", config.shingle)
    of = counts.pop("records")
    summary = (
        f"{of:,} records cleaned, {counts['repaired']:,} repaired, {counts['masked']:,} with personal data masked."
    )
    return Draft(DatasetArtifact, (*_measured(counts, of), *carry_planted(raw)), summary)


def _measured(counts: Counter[str], of: int) -> tuple[Measurement, ...]:
    done = [name for name in sorted(counts) if name.startswith(("repaired_", "masked_"))]
    return (
        num_records("records_in", of, of=of, how="count"),
        num_records("repaired_records", counts["repaired"], of=of, how="text changed by a repair, spaces apart"),
        num_records("masked_records", counts["masked"], of=of, how="personal data masked"),
        *(Measurement(f"{name}_count", float(counts[name]), "1", of, how="over all records") for name in done),
    )


@dataclass(frozen=True)
class _Cleaning:
    """Clean one shard."""

    config: CleanConfig

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        from burnish.data.repairs.cleaner import Cleaner, measures_schema  # the kernel takes a second to load

        config, counts = self.config, Counter[str]()
        cleaner = Cleaner(config.languages, config.pii, config.shingle)
        sketches: list[Readings] = []
        with (
            ShardWriter(folder / "data.parquet", kept_schema()) as data,
            ShardWriter(folder / "measures.parquet", measures_schema()) as measures,
            ShardWriter(folder / "ledger.parquet", ledger_schema()) as ledger,
        ):
            for rows in read_tables(shard):
                done = cleaner(rows)
                data.write(done.rows)
                measures.write(done.measures)
                ledger.write(done.ledger)
                counts.update(done.counts)
                sketches.append(done.readings)
                advance(rows.num_rows)
        write_sketches(folder / "sketches.npz", sketches)
        (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")
