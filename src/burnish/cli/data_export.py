"""`burnish data export`: kept or rejected records out of the store, for any other tool."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burnish.artifacts.store import verify
from burnish.cli.data_way import find_way
from burnish.cli.store import LATEST, complete_reference, store_option
from burnish.cli.teaching import Teaching
from burnish.cli.units import in_bytes
from burnish.errors import BurnishError
from burnish.runtime import need

if TYPE_CHECKING:
    from burnish.report.data_stages import Stage

Source = tuple["Stage", Path]  # a stage and one of its Parquet files


@click.command(
    cls=Teaching,
    examples=(
        ("burnish data export --to train.jsonl", "the latest run's records, one JSON object a line"),
        ("burnish data export --to train.parquet", "one Parquet file"),
        ("burnish data export 3f2a91 --to records/", "the Parquet shards of a dataset, as they are"),
        ("burnish data export --rejected --to removed.jsonl", "what was set aside, with its reasons"),
    ),
)
@click.argument("reference", default=LATEST, metavar="[RUN|REF]", shell_complete=complete_reference)
@click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="A file .jsonl or .parquet, or a folder for shards."
)
@click.option(
    "--rejected", "is_rejected", is_flag=True, help="What was set aside by all stages, in place of what was kept."
)
@click.option("--force", "is_forced", is_flag=True, help="Write over what is there.")
@store_option
def export(reference: str, to: Path, is_rejected: bool, is_forced: bool, store_path: Path) -> None:
    """Write the records of a run's last dataset to a file or folder, of any size, in memory bounded by 16 MB of text.

    The dataset is verified by its digests first. In JSON lines `meta` is an object, and what is null is left out.
    Rows that could not be read are rejected as they came: personal data in them is not masked.
    """
    stages = find_way(store_path, reference)
    folder = "rejected" if is_rejected else "data"
    chosen = [stage for stage in (stages if is_rejected else stages[-1:]) if stage.shards(folder)]
    if not chosen:
        raise BurnishError("nothing was set aside in this run, so there is nothing to export; leave --rejected out")
    write = _writer(to, [(stage, path) for stage in chosen for path in stage.shards(folder)], is_forced=is_forced)
    for stage in chosen:
        verify(stage.artifact.payload.parent, stage.artifact.manifest)
    try:
        num = write()
    except OSError as error:
        raise BurnishError(f"cannot write to {to} ({error.strerror or error}); choose another --to") from error
    size = to.stat().st_size if to.is_file() else sum(path.stat().st_size for path in to.rglob("*.parquet"))
    click.echo(f"{num:,} records written to {to} ({in_bytes(size)})")


def _writer(to: Path, sources: list[Source], *, is_forced: bool) -> Callable[[], int]:
    """Choose how to write by the name; refuse what would mix splits or write over something."""
    if not is_forced and (to.is_file() or (to.is_dir() and any(to.iterdir()))):
        raise BurnishError(f"{to} is there already; give another --to, or --force to write over it")
    if to.suffix not in (".jsonl", ".parquet"):
        if to.suffix and not to.is_dir():
            raise BurnishError(
                f"{to.name} ends with {to.suffix}; give a name ending with .jsonl or .parquet, or a folder"
            )
        return lambda: _to_folder(to, sources)
    names = {path.stem for _, path in sources}
    if {"train", "test"} <= names:
        raise BurnishError(
            f"the dataset is split into {', '.join(sorted(names))}, and one file would mix them; give a folder"
        )
    return lambda: (_to_jsonl if to.suffix == ".jsonl" else _to_parquet)(to, sources)


def _to_jsonl(to: Path, sources: list[Source]) -> int:
    num = 0
    with _in_place(to) as partial, partial.open("w", encoding="utf-8") as file:
        for stage, table in _tables(sources):
            for row in table.to_pylist():
                file.write(json.dumps(_object(row, stage), ensure_ascii=False) + "\n")
            num += table.num_rows
    return num


def _object(row: dict[str, Any], stage: "Stage") -> dict[str, Any]:
    """Give a row as people write it: without nulls, `meta` as an object, and of one set aside the step that did it."""
    meta = json.loads(row.pop("meta") or "null")
    if not row["planted"]:
        del row["planted"]
    if "rule" in row:
        row["step"] = stage.name
    return {**{name: value for name, value in row.items() if value is not None}, **({"meta": meta} if meta else {})}


def _to_parquet(to: Path, sources: list[Source]) -> int:
    from burnish.data.shards import ShardWriter

    with _in_place(to) as partial, ShardWriter(partial, _schema(sources)) as shard:
        for _, table in _tables(sources):
            shard.write(table)
    return shard.num_rows


def _to_folder(to: Path, sources: list[Source]) -> int:
    parquet = need("pyarrow.parquet", extra="data")
    to.mkdir(parents=True, exist_ok=True)
    several = len({stage.artifact.digest for stage, _ in sources}) > 1
    num = 0
    for stage, path in sources:
        with _in_place(to / (f"{stage.name}-{path.name}" if several else path.name)) as partial:
            shutil.copyfile(path, partial)
        num += parquet.read_metadata(path).num_rows
    return num


def _tables(sources: list[Source]) -> "Iterator[tuple[Stage, Any]]":
    """Read table by table, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from burnish.data.shards import num_rows, read_tables

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("export", total=sum(num_rows(path) for _, path in sources))
        for stage, path in sources:
            for table in read_tables(path, schema=_schema([(stage, path)])):
                yield stage, table
                progress.advance(task, table.num_rows)


def _schema(sources: list[Source]) -> Any:
    from burnish.data.shards import kept_schema, rejected_schema

    return rejected_schema() if sources[0][1].parent.name == "rejected" else kept_schema()


@contextmanager
def _in_place(path: Path) -> Iterator[Path]:
    """Write beside, and give the file its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
