"""Shards: equal rows are equal bytes however they come, reading is bounded, and what is no shard is named."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.artifacts import DatasetArtifact
from burnish.data import shards
from burnish.data.shards import (
    ShardWriter,
    kept_schema,
    num_rows,
    of_split,
    read_column,
    read_tables,
    rejected_schema,
    shard_paths,
    text_bytes,
    write_table,
)
from burnish.errors import ArtifactError

ON_DISK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
some_texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=30) | st.just("long 文 " * 40), max_size=60)


def table(texts: list[str], **columns: Any) -> Any:
    rows = [
        {"id": f"r:{n}", "text": text, "source": "t", "planted": "", "label": [None, "a"][n % 2]}
        for n, text in enumerate(texts)
    ]
    return pyarrow.Table.from_pylist([row | columns for row in rows], schema=kept_schema())


def write_cut(path: Path, rows: Any, cuts: list[int]) -> bytes:
    places = [0, *sorted(cut % (rows.num_rows + 1) for cut in cuts), rows.num_rows]
    with ShardWriter(path, rows.schema) as shard:
        for start, stop in itertools.pairwise(places):
            shard.write(rows.slice(start, stop - start))
        assert shard.num_rows == rows.num_rows
    return path.read_bytes()


@ON_DISK
@given(some_texts, st.lists(st.integers(0, 60), max_size=6))
def test_cuts_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], cuts: list[int]) -> None:
    monkeypatch.setattr(shards, "_ROW_GROUP_RECORDS", 7)
    monkeypatch.setattr(shards, "_ROW_GROUP_BYTES", 300)
    rows = table(texts)
    whole = write_cut(tmp_path / "whole.parquet", rows, [])
    assert write_cut(tmp_path / "cut.parquet", rows, cuts) == whole
    assert write_cut(tmp_path / "rows.parquet", rows, list(range(len(texts)))) == whole
    assert pyarrow.parquet.read_table(tmp_path / "whole.parquet").to_pylist() == rows.to_pylist()
    metadata = pyarrow.parquet.read_metadata(tmp_path / "whole.parquet")
    assert all(metadata.row_group(group).num_rows <= 7 for group in range(metadata.num_row_groups))


def test_row_groups_end_at_their_number_of_records_or_bytes(tmp_path: Path) -> None:
    def groups(texts: list[str], cuts: list[int]) -> list[int]:
        write_cut(tmp_path / "p.parquet", table(texts), cuts)
        metadata = pyarrow.parquet.read_metadata(tmp_path / "p.parquet")
        return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]

    assert groups(["short"] * 20_000, [1, 8_191, 8_193]) == [8192, 8192, 3616]
    long = "x" * (5 << 20)
    assert groups([long] * 9, [2]) == [7, 2]  # the seventh passes 32 MiB


@ON_DISK
@given(some_texts, st.integers(1, 2_000))
def test_tables_are_bounded_and_hold_everything_in_order(tmp_path: Path, texts: list[str], max_bytes: int) -> None:
    write_table(tmp_path / "p.parquet", table(texts))
    tables = list(read_tables(tmp_path / "p.parquet", max_bytes=max_bytes))
    assert [row for each in tables for row in each.to_pylist()] == table(texts).to_pylist()
    for each in tables:
        assert each.num_rows == 1 or text_bytes(each).sum() <= max_bytes
        assert each.num_rows > 0
        assert each.schema == kept_schema()


def test_long_texts_that_stand_together_are_parted(tmp_path: Path) -> None:
    texts = [*["x" * 100_000] * 10, *["y"] * 1_000, "z" * 5_000_000, "end"]
    write_table(tmp_path / "p.parquet", table(texts))
    sizes = [int(text_bytes(each).sum()) for each in read_tables(tmp_path / "p.parquet", max_bytes=200_000)]
    assert sorted(sizes)[-2:] == [200_000, 5_000_000]
    assert sum(sizes) == sum(map(len, texts))


def test_a_shard_without_a_row(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    assert write_cut(path, table([]), [0, 0])
    assert (list(read_tables(path)), num_rows(path), read_column(path, "id").tolist()) == ([], 0, [])
    assert text_bytes(table([])).tolist() == []


def test_columns_are_put_in_order_and_filled_where_they_may_be_null(tmp_path: Path) -> None:
    given_rows = pyarrow.table({"planted": [""], "source": ["s"], "extra": [1], "text": ["中文"], "id": ["1"]})
    with ShardWriter(tmp_path / "p.parquet", kept_schema()) as shard:
        shard.write(given_rows)
    (rows,) = read_tables(tmp_path / "p.parquet")
    assert rows.to_pylist() == [{"id": "1", "text": "中文", "label": None, "source": "s", "planted": "", "meta": None}]
    pyarrow.parquet.write_table(given_rows, tmp_path / "foreign.parquet")
    assert next(read_tables(tmp_path / "foreign.parquet")).to_pylist() == rows.to_pylist()
    assert rejected_schema().names[:6] == kept_schema().names
    assert rejected_schema().names[6:] == ["rule", "value", "threshold", "partner_id", "similarity"]


def test_what_is_no_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("not a table", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"text\.parquet does not hold records"):
        list(read_tables(tmp_path / "text.parquet"))
    pyarrow.parquet.write_table(pyarrow.table({"id": ["1"]}), tmp_path / "thin.parquet")
    with pytest.raises(ArtifactError, match=r"thin\.parquet has no column 'text'; it has: id"):
        list(read_tables(tmp_path / "thin.parquet"))
    numbers = pyarrow.table({"id": ["1"], "text": ["x"], "source": ["s"], "planted": [[1]]})
    pyarrow.parquet.write_table(numbers, tmp_path / "wrong.parquet")
    with pytest.raises(ArtifactError, match=r"wrong\.parquet does not hold records"):
        list(read_tables(tmp_path / "wrong.parquet"))


def test_shards_are_found_in_order_and_by_split(tmp_path: Path) -> None:
    dataset = DatasetArtifact("d" * 12, "m.stage", tmp_path)
    with pytest.raises(ArtifactError, match="holds no records of any split; there is: nothing"):
        shard_paths(dataset)
    (tmp_path / "payload/data").mkdir(parents=True)
    for name in ("train-00001", "train-00000", "test", "validation"):
        write_table(tmp_path / f"payload/data/{name}.parquet", table([name]))
    assert [path.stem for path in shard_paths(dataset)] == ["test", "train-00000", "train-00001", "validation"]
    assert [path.stem for path in shard_paths(dataset, "train")] == ["train-00000", "train-00001"]
    (tmp_path / "payload/data/validation.parquet").unlink()
    with pytest.raises(ArtifactError, match="no records of validation; there is: test, train-00000, train-00001"):
        shard_paths(dataset, "validation")
    assert of_split("train-00000.parquet", ("train",))
    assert of_split("test.parquet", ("train", "test"))
    assert not of_split("part-00000.parquet", ("train", "test"))


def test_read_column(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, None, 3], "b": [1, 2, 3]}), tmp_path / "p.parquet")
    assert read_column(tmp_path / "p.parquet", "b").tolist() == [1, 2, 3]
    assert np.array_equal(read_column(tmp_path / "p.parquet", "a"), [1, np.nan, 3], equal_nan=True)
