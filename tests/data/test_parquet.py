"""Parquet of strangers: whole tables give what rows give, and reading goes on inside a file."""

import datetime
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from collecting import gather

from burnish.data.readers import parquet
from burnish.data.readers.batches import Place
from burnish.data.readers.columns import Columns, Origin, Row, to_record
from burnish.data.readers.parquet import read_parquet
from burnish.data.records import Record, Rejected
from burnish.data.sources import Files

ORIGIN = Origin("f", "f:x.parquet")
TEXTS = ["good 好", "", None, "  ", "x" * 40, "last\u2028line"]


def both(path: Path, table: pyarrow.Table, columns: Columns) -> tuple[list[Record], list[Rejected]]:
    """Read a table as tables and as rows, compare, and give the rows."""
    pyarrow.parquet.write_table(table, path, row_group_size=4)
    rows = [to_record(Row(number, row), columns, ORIGIN) for number, row in enumerate(table.to_pylist())]
    kept = [result for result in rows if isinstance(result, Record)]
    rejected = [result for result in rows if not isinstance(result, Record)]
    batches = list(read_parquet(path, columns, ORIGIN, Place()))
    found = [Record(**row) for batch in batches for row in batch.kept.to_pylist()]
    assert [_plain(record) for record in found] == [_plain(record) for record in kept]
    aside = [(row["id"], row["text"], row["rule"]) for batch in batches for row in batch.rejected.to_pylist()]
    assert aside == [(record.id, record.text, reason.rule) for record, reason in rejected]
    return kept, rejected


def _plain(record: Record) -> tuple[Any, ...]:
    return record.id, record.text, record.label, json.loads(record.meta) if record.meta else None


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.string_view(), "dictionary"])
def test_every_kind_of_text(tmp_path: Path, kind: Any) -> None:
    plain = pyarrow.array(TEXTS)
    text = plain.dictionary_encode() if kind == "dictionary" else plain.cast(kind)
    kept, rejected = both(tmp_path / "a.parquet", pyarrow.table({"text": text}), Columns(max_document_bytes=30))
    assert [record.text for record in kept] == ["good 好", "last\u2028line"]
    assert [rejection.rule for _, rejection in rejected] == ["missing_text"] * 3 + ["oversized_document"]


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, None, 3, 4, 5],
        ["a", " b ", "", None, "e", "f"],
        [True, False, None, True, True, False],
        [0.5, 1.0, 2, 3, 4, 5],
    ],
)
def test_labels_and_ids_of_every_type(tmp_path: Path, values: list[Any]) -> None:
    table = pyarrow.table({"text": ["t"] * 6, "label": values, "id": values})
    kept, _ = both(tmp_path / "a.parquet", table, Columns(label_key="label", id_key="id"))
    assert {record.label for record in kept} <= {"1", "0", "3", "4", "5", "a", "b", "e", "f", "True", "False"} | {
        "0.5", "1.0", "2.0", "3.0", "4.0", "5.0"
    }  # fmt: skip


@pytest.mark.parametrize("keep", [Columns(keep_meta=True), Columns(lang_key="lang", meta_keys=("n", "when", "q\"'"))])
def test_other_columns_go_to_meta(tmp_path: Path, keep: Columns) -> None:
    table = pyarrow.table(
        {
            "text": ["one", "two", "three"],
            "lang": ["en", None, "zh"],
            "n": pyarrow.array([1, None, 3], pyarrow.uint16()),
            "score": pyarrow.array([0.1, float("nan"), None], pyarrow.float32()),
            "q\"'": ['a"b\\', "\n\x01", "中"],
            "when": [datetime.date(2024, 1, 2), None, None],
            "bytes": [b"\xff", None, b""],
            "list": [[1, 2], [], None],
        }
    )
    kept, _ = both(tmp_path / "a.parquet", table, keep)
    first = json.loads(kept[0].meta or "")
    assert first["n"] == 1
    assert first["when"] == "2024-01-02"
    assert first["q\"'"] == 'a"b\\'
    assert "bytes" not in first
    assert "n" not in json.loads(kept[1].meta or "")


def test_whole_tables_are_read_without_looking_at_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a row was looked at")

    monkeypatch.setattr(parquet, "to_record", refuse)
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": [1, 2], "n": [0.5, None]}), path)
    columns = Columns(label_key="label", meta_keys=("n",))
    (batch,) = read_parquet(path, columns, ORIGIN, Place())
    assert batch.kept.column("meta").to_pylist() == ['{"n":0.5}', None]


def test_reading_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_MAX_ROWS", 7)
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [f"row {n}" for n in range(100)]}), path, row_group_size=20)
    batches = list(read_parquet(path, Columns(), ORIGIN, Place()))
    assert len(batches) == 15
    for stop in (0, 3, 14):
        again = list(read_parquet(path, Columns(), ORIGIN, batches[stop].place))
        assert [batch.kept for batch in again] == [batch.kept for batch in batches[stop + 1 :]]


_BOMB = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from collecting import peak_mb
from burnish.data.readers.batches import Place
from burnish.data.readers.columns import Columns, Origin
from burnish.data.readers.parquet import read_parquet
read = [batch.kept.num_rows for batch in read_parquet(Path(sys.argv[1]), Columns(), Origin("f", "f"), Place())]
print(sum(read), max(read), peak_mb())
"""


def test_a_small_file_that_repeats_a_long_text_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    indices = pyarrow.array([0, 1] * 100, pyarrow.int32())
    text = pyarrow.DictionaryArray.from_arrays(indices, ["x" * (3 << 20), "short"])
    pyarrow.parquet.write_table(pyarrow.table({"text": text}), path)
    assert path.stat().st_size < 1 << 20
    done = subprocess.run(
        [sys.executable, "-c", _BOMB, str(path), str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    num_rows, most, peak_mb = map(int, done.stdout.split())
    assert (num_rows, most) == (200, 2)
    assert peak_mb < 350  # all at once are 300 MB, beside the libraries and what decoding takes


def test_a_file_that_breaks_off_in_its_rows_is_set_aside_with_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / "a.parquet"
    table = pyarrow.table({"text": [random.Random(n).randbytes(40).hex() for n in range(5000)]})
    pyarrow.parquet.write_table(table, path, row_group_size=1000, use_dictionary=False, compression="zstd")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = b"\0" * 2000
    path.write_bytes(data)
    done = gather(tmp_path / "work", Files(folder))
    assert done.rules == [("files:a.parquet", "broken_file")]
    assert len(done.kept) % 1000 == 0
    assert len(done.kept) >= 1000
