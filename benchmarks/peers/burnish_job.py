"""burnish's own curation of the corpus, in a child process like every peer, with its store in a folder of its own."""

from pathlib import Path

import polars as pl
from reading import Reading, arguments, write_filtered

from burnish.artifacts import Store
from burnish.data.clean import CleanConfig, clean
from burnish.data.collect import CollectConfig, collect
from burnish.data.engine import Local
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.select import SelectConfig, select
from burnish.data.shards import shard_paths
from burnish.data.sources import Files
from burnish.runtime import Run
from burnish.runtime.events import EventLog


def main() -> None:
    """Run the job and write its reading."""
    reading = Reading()
    corpus, out = arguments(__doc__)
    settings, filtered = burnish_job(corpus, out)
    reading.stop()
    write_filtered(out, filtered)
    reading.report(out, ("burnish", "numba", "numpy", "polars", "pyarrow"), settings)


def burnish_job(corpus: Path, out: Path) -> tuple[dict[str, object], list[str]]:
    """Curate CORPUS/jsonl into OUT/kept/part-*.jsonl; give the settings and the ids left before deduplication.

    The stages run as `burnish data run` runs them, one worker, with digests and seals; only the report is left out.
    """
    run = Run(Store(out / "store"), EventLog(out / "events.jsonl"))
    one = Local(workers=1)
    source = Files(path=corpus / "jsonl", pattern="*.jsonl", id_key="id")
    raw = run(collect, config=CollectConfig(sources=(source,)))
    cleaned = run(clean, raw, config=CleanConfig(engine=one))
    copies = run(find_copies, cleaned, config=FindCopiesConfig())
    config = SelectConfig(engine=one)
    selected = run(select, cleaned, copies, config=config)
    (out / "kept").mkdir()
    filtered: list[str] = []
    for shard in shard_paths(selected):
        rows = pl.read_parquet(shard, columns=["id", "text"])
        rows.write_ndjson(out / "kept" / f"{shard.stem}.jsonl")
        aside = pl.read_parquet(selected.payload / "rejected" / shard.name, columns=["id", "rule"])
        copied = aside.filter(pl.col("rule").is_in(("exact_copy", "near_copy")))
        filtered += [*rows["id"], *copied["id"]]
    return {"clean": repr(CleanConfig()), "select": repr(config)}, filtered


if __name__ == "__main__":
    main()
