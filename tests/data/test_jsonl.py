"""JSON lines: the block reader gives what the row reader gives, and memory stays bounded whatever a line is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from burnish.data.readers import jsonl
from burnish.data.readers.batches import Place
from burnish.data.readers.columns import Columns, Origin, to_record
from burnish.data.readers.jsonl import read_json_lines
from burnish.data.readers.rows import UnusableFile, json_lines
from burnish.data.readers.streams import bytes_stream
from burnish.data.records import Record, Rejected

COLUMNS = (
    Columns(),
    Columns(label_key="label", id_key="id", lang_key="lang", meta_keys=("n", "url")),
    Columns(id_key="id", keep_meta=True, max_document_bytes=30),
)
ORIGIN = Origin("f", "f:x.jsonl")
START = Place()
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["  ", "", "中文 文本", "\u2028", "x" * 31, '"}\n{"', "\ud83d", "2024-01-01"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)
)
KEYS = st.sampled_from(["text", "label", "id", "lang", "n", "url", "é", 'q"'])
ROWS = st.dictionaries(KEYS, VALUES, max_size=4) | st.fixed_dictionaries(
    {"text": TEXTS, "label": TEXTS, "n": st.integers()}
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    row = json.dumps(draw(ROWS), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    odd = [
        b"",
        b"  ",
        b"{",
        b"[1]",
        b"null",
        b'{"text": "a"} {"text": "b"}',
        b'{"text": "\xff"}',
        b'{"text":\t"t"}',
        b"}",
        b"{}",
    ]
    return draw(st.sampled_from([row, row, row, row, b" " + row, row + b" ", row + b"\r", *odd]))


def by_rows(data: bytes, columns: Columns) -> tuple[list[Record], list[Rejected]]:
    """Read as the definition says."""
    results = [to_record(row, columns, ORIGIN) for row in json_lines(bytes_stream(data), columns)]
    kept = [result for result in results if isinstance(result, Record)]
    return kept, [result for result in results if not isinstance(result, Record)]


def by_blocks(data: bytes, columns: Columns, place: Place = START) -> tuple[list[Record], list[tuple[Any, ...]]]:
    batches = list(read_json_lines(bytes_stream(data), columns, ORIGIN, place))
    kept = [Record(**row) for batch in batches for row in batch.kept.to_pylist()]
    return kept, [tuple(row.values()) for batch in batches for row in batch.rejected.to_pylist()]


def plain(record: Record) -> tuple[Any, ...]:
    return record.id, record.text, record.label, json.loads(record.meta) if record.meta else None


@given(st.lists(lines(), max_size=12), st.sampled_from(COLUMNS), st.integers(1, 400), st.booleans())
@example([b'{"text": "a", "n": 1}', b'{"text": "b", "n": 2.5}'], COLUMNS[1], 400, True)
@example([b'{"text": "a", "url": "2024-01-01"}'] * 3, COLUMNS[2], 400, True)
@example([b'{"text": "a", "id": 1}', b'{"text": "b", "id": "1"}'], COLUMNS[1], 400, False)
@settings(max_examples=200, deadline=None)
def test_blocks_give_what_rows_give(data: list[bytes], columns: Columns, block_bytes: int, ends: bool) -> None:
    whole = b"\n".join(data) + (b"\n" if ends and data else b"")
    before, jsonl._BLOCK_BYTES = jsonl._BLOCK_BYTES, block_bytes
    try:
        kept, rejected = by_blocks(whole, columns)
    except UnusableFile as error:
        fault = error.rejection.rule
    else:
        fault = ""
    finally:
        jsonl._BLOCK_BYTES = before
    assert fault in ("", "missing_column")
    if fault:
        return
    expected, aside = by_rows(whole, columns)
    assert [plain(record) for record in kept] == [plain(record) for record in expected]
    names = (
        "id",
        "text",
        "label",
        "source",
        "planted",
        "meta",
        "rule",
        "value",
        "threshold",
        "partner_id",
        "similarity",
    )
    shown = [dict(zip(names, row, strict=True)) for row in rejected]
    assert [(row["id"], row["rule"], row["value"], row["label"]) for row in shown] == [
        (record.id, reason.rule, reason.value, record.label) for record, reason in aside
    ]
    assert [row["text"].strip() for row in shown] == [record.text.strip() for record, _ in aside]


def test_good_blocks_are_read_without_looking_at_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a row was looked at")

    good = "".join(
        json.dumps({"text": f"文本 {n}", "id": f"u{n}", "label": n % 2, "n": n, "url": None, "x": [n]}) + "\n"
        for n in range(500)
    )
    monkeypatch.setattr(jsonl, "to_record", refuse)
    columns = Columns(label_key="label", id_key="id", meta_keys=("n", "url"))
    kept, rejected = by_blocks(good.encode(), columns)
    assert rejected == []
    assert kept[7] == Record("u7", "文本 7", "1", "f", meta='{"n":7}')


def test_one_bad_line_costs_only_itself() -> None:
    rows = [json.dumps({"text": f"row {n}"}) for n in range(1000)]
    rows[400] = '{"text": "cut'
    kept, rejected = by_blocks("\n".join(rows).encode(), Columns())
    assert len(kept) == 999
    assert [row[0] for row in rejected] == ["f:x.jsonl:400"]


def test_reading_goes_on_where_it_stopped() -> None:
    data = "".join(json.dumps({"text": f"row {n} " + "x" * (n % 50)}) + "\n" for n in range(3000)).encode()
    before, jsonl._BLOCK_BYTES = jsonl._BLOCK_BYTES, 5000
    try:
        batches = list(read_json_lines(bytes_stream(data), Columns(), ORIGIN, Place()))
        assert len(batches) > 10
        place = batches[4].place
        again = list(read_json_lines(bytes_stream(data), Columns(), ORIGIN, place))
    finally:
        jsonl._BLOCK_BYTES = before
    assert [batch.kept for batch in again] == [batch.kept for batch in batches[5:]]
    assert again[-1].place == batches[-1].place


_LONG = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from collecting import peak_mb
from burnish.data.readers.batches import Place
from burnish.data.readers.columns import Columns, Origin
from burnish.data.readers.jsonl import read_json_lines
from burnish.data.readers.streams import open_stream
def read(path):
    with open_stream(Path(path)) as stream:
        for batch in read_json_lines(stream, Columns(), Origin("f", "f"), Place()):
            yield from batch.kept.column("id").to_pylist()
            yield from zip(*(batch.rejected.column(name).to_pylist() for name in ("rule", "value", "threshold")))
list(read(sys.argv[1]))
before = peak_mb()
print(list(read(sys.argv[2])), peak_mb() - before)
"""


def test_a_line_of_100_mb_is_passed_over_in_bounded_memory(tmp_path: Path) -> None:
    row = b'{"text": "good"}\n'
    (tmp_path / "small.jsonl").write_bytes(row)
    with (tmp_path / "long.jsonl").open("wb") as file:
        file.write(row + b'{"text": "')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + row)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _LONG,
            str(tmp_path / "small.jsonl"),
            str(tmp_path / "long.jsonl"),
            str(Path(__file__).parent),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found, grown_mb = done.stdout.rsplit(maxsplit=1)
    num_bytes, limit = float((100 << 20) + 13), float(Columns().max_row_bytes)
    assert found == str(["f:0", ("oversized_document", num_bytes, limit), "f:2"])
    assert int(grown_mb) < 80
