"""Records: what is written is read, the same records are the same bytes, and damage is named."""

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_slice import texts, workdir
from set_aside import write_rejected

from burnish.artifacts import DatasetArtifact
from burnish.data.records import Record, read_kept, write_kept
from burnish.errors import ArtifactError

RECORDS = [
    Record("a:0", "中文 and English 𝔘\u0000", "serious", "a"),
    Record("a:1", "", None, "a", "random"),
    Record("b:0", "x\ny", "", "b", "near_copy"),
]


def test_round_trip_in_order(tmp_path: Path) -> None:
    out = workdir(tmp_path)
    write_kept(out, RECORDS[:2], "train")
    write_kept(out, RECORDS[2:], "test")
    dataset = DatasetArtifact("d", "s", tmp_path)
    assert read_kept(dataset, "train") == RECORDS[:2]
    assert read_kept(dataset) == [RECORDS[2], *RECORDS[:2]]  # test before train: files by name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_any_text_comes_back(tmp_path: Path, given_texts: list[str]) -> None:
    write_kept(workdir(tmp_path), texts(*given_texts))
    assert [record.text for record in read_kept(DatasetArtifact("d", "s", tmp_path))] == given_texts


def test_equal_records_are_equal_bytes_in_fixed_row_groups(tmp_path: Path) -> None:
    many = texts(*(f"text {number}" for number in range(10_000)))
    for name in ("one", "two"):
        write_kept(workdir(tmp_path / name), many)
    one, two = (tmp_path / name / "payload/data/records.parquet" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert pyarrow.parquet.ParquetFile(one).num_row_groups == 2


def test_any_parquet_reader_gets_plain_columns(tmp_path: Path) -> None:
    out = workdir(tmp_path)
    write_kept(out, RECORDS)
    write_rejected(out, [])
    kept = pyarrow.parquet.read_table(out / "data")
    assert kept.column_names == ["id", "text", "label", "source", "planted", "meta"]
    assert kept.to_pylist()[1] == {
        "id": "a:1",
        "text": "",
        "label": None,
        "source": "a",
        "planted": "random",
        "meta": None,
    }
    rejected = pyarrow.parquet.read_table(out / "rejected")
    assert rejected.column_names[6:] == ["rule", "value", "threshold", "partner_id", "similarity"]
    assert rejected.num_rows == 0


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    write_kept(workdir(tmp_path), RECORDS, "train")
    with pytest.raises(ArtifactError, match="no records of test; there is: train"):
        read_kept(DatasetArtifact("d", "s", tmp_path), "test")


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    write_kept(workdir(tmp_path), [])
    with pytest.raises(ArtifactError, match="empty"):
        read_kept(DatasetArtifact("d", "s", tmp_path))


def test_foreign_columns_are_refused_by_name(tmp_path: Path) -> None:
    out = workdir(tmp_path)
    pyarrow.parquet.write_table(pyarrow.table({"id": ["1"], "sentence": ["x"]}), out / "data/records.parquet")
    with pytest.raises(ArtifactError, match=r"no column 'text'; it has: id, sentence"):
        read_kept(DatasetArtifact("d", "s", tmp_path))


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (workdir(tmp_path) / "data/records.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(ArtifactError, match="does not hold records"):
        read_kept(DatasetArtifact("d", "s", tmp_path))
