"""Files of the user's own: every format, and every way a row can be bad, counted and never fatal."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from collecting import gather

from burnish.data.records import Record, Rejected
from burnish.data.sources import LocalFile
from burnish.errors import RecipeError

Read = tuple[list[Record], list[Rejected]]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Read]:
    """Write bytes under a name and read them as a source."""

    def write_and_read(name: str, content: bytes | str, **keys: str) -> Read:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_file(LocalFile(path, **keys), tmp_path)

    return write_and_read


def read_file(source: LocalFile, folder: Path) -> Read:
    done = gather(folder / "work", source)
    return done.kept, done.rejected


def rules(result: Read) -> list[tuple[str, str]]:
    return [(record.id, rejection.rule) for record, rejection in result[1]]


def test_jsonl_keeps_the_good_rows_and_says_why_the_others_go(read: Callable[..., Read]) -> None:
    lines = [
        '{"text": "第一行", "y": "pos"}'.encode(),
        b'{"text": "cut off',
        b"",
        b'{"body": "no text", "y": "pos"}',
        b'{"text": "na\xefve", "y": "pos"}',
        b'{"text": "half \\ud83d pair", "y": "pos"}',
        b'["a", "list"]',
        b'{"text": 12, "y": "pos"}',
        b'{"text": "  ", "y": "pos"}',
        b'{"text": "no label"}',
        b'{"text": "last", "y": 1}',
        b"[" * 100_000,
        b"\xff\xfe broken bytes",
    ]
    kept, rejected = result = read("rows.jsonl", b"\r\n".join(lines), label_key="y")
    assert [(record.id, record.text, record.label) for record in kept] == [
        ("local_file:0", "第一行", "pos"),
        ("local_file:10", "last", "1"),
    ]
    assert rules(result) == [
        ("local_file:1", "malformed_row"),
        ("local_file:3", "missing_text"),
        ("local_file:4", "invalid_utf8"),
        ("local_file:5", "invalid_utf8"),
        ("local_file:6", "malformed_row"),
        ("local_file:7", "missing_text"),
        ("local_file:8", "missing_text"),
        ("local_file:9", "missing_label"),
        ("local_file:11", "malformed_row"),
        ("local_file:12", "invalid_utf8"),
    ]
    by_id = {record.id: record.text for record, _ in rejected}
    assert by_id["local_file:4"] == "na\ufffdve"
    assert by_id["local_file:1"].startswith('{"text": "cut off')
    assert by_id["local_file:3"].strip() == '{"body": "no text", "y": "pos"}'


def test_csv_reads_quotes_line_breaks_and_a_byte_order_mark(read: Callable[..., Read]) -> None:
    content = '\ufefftext,label\r\n"He said ""hi"",\r\nthen left",a\r\nplain,b\r\n'
    kept, rejected = read("rows.csv", content, label_key="label")
    assert [(record.text, record.label) for record in kept] == [('He said "hi",\nthen left', "a"), ("plain", "b")]
    assert rejected == []


def test_csv_sets_aside_rows_of_another_width_and_stray_quotes(read: Callable[..., Read]) -> None:
    content = 'text,label\ngood,a\ntoo,many,cells\nfew\n"stray" quote,b\n\n,empty\nafter,c\n'
    kept, rejected = result = read("rows.csv", content)
    assert [(record.id, record.text) for record in kept] == [("local_file:0", "good"), ("local_file:5", "after")]
    assert rules(result) == [
        ("local_file:1", "malformed_row"),
        ("local_file:2", "malformed_row"),
        ("local_file:3", "malformed_row"),
        ("local_file:4", "missing_text"),
    ]
    assert [record.text.strip() for record, _ in rejected] == ["too,many,cells", "few", '"stray" quote,b', ",empty"]


def test_csv_takes_a_document_longer_than_csvs_own_limit_and_restores_it(read: Callable[..., Read]) -> None:
    long = "long " * 40_000
    kept, _ = read("rows.csv", f"text\n{long}\n")
    assert kept[0].text == long
    assert csv.field_size_limit() == 131_072


def test_json_is_a_list_of_objects(read: Callable[..., Read]) -> None:
    kept, rejected = read("rows.json", json.dumps([{"text": "one"}, "two", {"text": None}, {"text": "three"}]))
    assert [(record.id, record.text) for record in kept] == [("local_file:0", "one"), ("local_file:3", "three")]
    assert [rejection.rule for _, rejection in rejected] == ["malformed_row", "missing_text"]
    assert rejected[0][0].text == '"two"'
    with pytest.raises(RecipeError, match="holds a JSON dict; it must be a list"):
        read("rows.json", '{"text": "one"}')
    with pytest.raises(RecipeError, match=r"is not JSON .*name it \.jsonl"):
        read("rows.json", '{"text": "one"}\n{"text": "two"}\n')


@pytest.mark.parametrize("suffix", ["txt", "md"])
def test_plain_text_is_one_record_a_paragraph(read: Callable[..., Read], suffix: str) -> None:
    kept, rejected = result = read(
        f"notes.{suffix}", b"\r\n# One\r\nline two\r\n \t\r\n\r\nna\xefve\r\n\r\n\xe4\xba\x8c\r\n"
    )
    assert [(record.id, record.text) for record in kept] == [
        ("local_file:0", "# One\nline two"),
        ("local_file:2", "二"),
    ]
    assert rules(result) == [("local_file:1", "invalid_utf8")]
    assert rejected[0][0].text == "na\ufffdve"


@pytest.mark.parametrize("encode", [lambda column: column, lambda column: column.dictionary_encode()])
def test_parquet_checks_the_utf8_that_it_promises(tmp_path: Path, encode: Callable[[Any], Any]) -> None:
    broken = pyarrow.array([b"good", b"na\xefve", None, b"\xe4\xba\x8c"]).view(pyarrow.string())
    table = pyarrow.table({"text": encode(broken), "y": pyarrow.array(["a", "b", "a", "b"])})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    result = read_file(LocalFile(tmp_path / "rows.parquet", label_key="y"), tmp_path)
    assert [(record.id, record.text, record.label) for record in result[0]] == [
        ("local_file:0", "good", "a"),
        ("local_file:3", "二", "b"),
    ]
    assert rules(result) == [("local_file:1", "invalid_utf8"), ("local_file:2", "missing_text")]


def test_parquet_with_text_in_another_type_or_broken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [1, 2]}), path)
    with pytest.raises(RecipeError, match="2 of 2 are set aside by missing_text"):
        read_file(LocalFile(path), tmp_path)
    path.write_bytes(b"PAR1 is not all")
    with pytest.raises(RecipeError, match="cannot be read as Parquet"):
        read_file(LocalFile(path), tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", '{"body": "x", "n": 1}\n'), ("a.csv", "body,n\nx,1\n"), ("a.json", '[{"body": "x", "n": 1}]')],
)
def test_an_absent_column_is_named_with_those_there_are(read: Callable[..., Read], name: str, content: str) -> None:
    with pytest.raises(RecipeError, match=rf"{name} has no column 'text'; its columns are: body, n"):
        read(name, content)
    with pytest.raises(RecipeError, match=r"has no column 'stars'; its columns are: body, n"):
        read(name, content, text_key="body", label_key="stars")
    assert read(name, content, text_key="body")[0][0].text == "x"


def test_an_absent_parquet_column_is_named_too(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(RecipeError, match="has no column 'text'; its columns are: body, n"):
        read_file(LocalFile(tmp_path / "a.parquet"), tmp_path)
    with pytest.raises(RecipeError, match="has no column 'y'; its columns are: body, n"):
        read_file(LocalFile(tmp_path / "a.parquet", "body", "y"), tmp_path)


def test_another_encoding_is_guessed_at(read: Callable[..., Read]) -> None:
    with pytest.raises(RecipeError, match=r"2 of 2 are set aside by invalid_utf8\..*iconv"):
        read("rows.jsonl", '{"text": "中文"}\n{"text": "银行"}\n'.encode("gb18030"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_an_empty_file_is_refused(read: Callable[..., Read], name: str) -> None:
    with pytest.raises(RecipeError, match="holds no rows"):
        read(name, "text\n" if name == "a.csv" else "\n\n")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone\.csv cannot be read"):
        read_file(LocalFile(tmp_path / "gone.csv"), tmp_path)


def test_a_folder_is_no_local_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()
    with pytest.raises(RecipeError, match=r"rows\.csv is a folder; take it with kind: files"):
        read_file(LocalFile(tmp_path / "rows.csv"), tmp_path)


def test_a_suffix_that_is_not_read_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"one of: \.txt, .*Did you mean \.jsonl"):
        LocalFile(Path("rows.jsonll"))
    assert LocalFile(Path("ROWS.CSV")).is_plain is False


def test_plain_text_has_no_columns() -> None:
    with pytest.raises(RecipeError, match="no columns"):
        LocalFile(Path("a.txt"), label_key="y")
    with pytest.raises(RecipeError, match="no columns"):
        LocalFile(Path("a.md"), text_key="body")
