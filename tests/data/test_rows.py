"""Rows: lists and tables of any length read piece by piece, long rows passed over, columns checked."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from collecting import gather
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.collect import CollectConfig
from burnish.data.readers import json_list as lists
from burnish.data.readers.columns import Columns, Origin, Row, meta_of, to_record
from burnish.data.readers.json_list import json_list
from burnish.data.readers.rows import UnusableFile, csv_rows, paragraphs, text_lines
from burnish.data.readers.streams import bytes_stream, read_lines
from burnish.data.records import Record
from burnish.data.sources import Asset, Files
from burnish.errors import RecipeError
from burnish.runtime.recipes import fill

PLAIN = Columns()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def elements(data: bytes, step_bytes: int, columns: Columns = PLAIN) -> list[Any]:
    """Read a list whose file comes in steps of a few bytes."""
    before, lists._STEP_BYTES = lists._STEP_BYTES, step_bytes
    try:
        return [json.loads(row.raw) for row in json_list(bytes_stream(data), columns, or_object=False)]
    finally:
        lists._STEP_BYTES = before


@given(st.lists(VALUES, max_size=8), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_list_is_read_whatever_it_is_cut_into(
    values: list[Any], step: int, indent: int | None, ascii_only: bool
) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    assert elements(data, step) == values
    assert elements(b"\xef\xbb\xbf " + data + b"\n", step) == values


@given(st.lists(VALUES, min_size=1, max_size=4), st.data())
@settings(max_examples=100, deadline=None)
def test_a_list_that_breaks_off_gives_what_came_before(values: list[Any], data: st.DataObject) -> None:
    whole = json.dumps(values).encode()
    cut = data.draw(st.integers(1, len(whole) - 1))
    found: list[Any] = []
    with pytest.raises(UnusableFile, match="is not JSON") as caught:
        found.extend(json.loads(row.raw) for row in json_list(bytes_stream(whole[:cut]), Columns(), or_object=False))
    assert caught.value.rejection.rule == "broken_file"
    assert found == values[: len(found)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"text": "a"}', "holds a JSON dict"),
        (b'{"text": "a"}\n{"text": "b"}', "more than one value"),
        (b"[1] [2]", "more than one value"),
        (b"[1 2]", "expected ',' or ']', found '2'"),
        (b"[1, nul]", "Expecting value"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"text": "a", "n": ' + b"9" * 5000 + b"}]", "an integer is too long"),
        (b"nonsense", "Expecting value"),
    ],
)
def test_what_is_no_list_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(UnusableFile, match=reason):
        elements(content, 1 << 20)
    assert elements(b"", 10) == elements(b" \n", 10) == []


def test_an_element_that_never_ends_is_given_up_in_bounded_memory() -> None:
    columns = Columns(max_document_bytes=1000)
    with pytest.raises(UnusableFile, match="has an element longer than") as caught:
        elements(b'[{"text": "' + b"x" * (columns.max_row_bytes + 2_000_000), 1 << 20, columns)
    assert caught.value.rejection.rule == "oversized_document"
    start = b'[{"text": "fine"}, {"te" "xt": 1},'
    with pytest.raises(UnusableFile, match="is not JSON"):  # at once, not after a search for its end
        elements(start + b'{"text": "more"},' * 1000, 4096, columns)


def test_a_cell_or_line_that_is_too_long_is_passed_over() -> None:
    columns = Columns(max_document_bytes=200_000)
    long = "x" * (columns.max_row_bytes + 10)
    data = f'n,text\n1,before\n2,"{long}"\n3,"{"y" * 300_000}"\n4,after\n'.encode()
    limit = csv.field_size_limit()
    rows = list(csv_rows(bytes_stream(data), columns, ","))
    assert csv.field_size_limit() == limit
    assert [(row.number, (row.values or {}).get("text")) for row in rows] == [
        (0, "before"), (1, None), (2, None), (3, "after")
    ]  # fmt: skip
    faults = [row.fault for row in rows if row.fault is not None]
    assert [fault.rule for fault in faults] == ["oversized_document"] * 2
    assert [fault.value for fault in faults] == [len(long) + 5, 300_005]
    assert all(len(row.raw) <= 1000 for row in rows)


def test_a_quote_that_is_never_closed_costs_no_more_than_the_limit() -> None:
    columns = Columns(max_document_bytes=1000)
    data = 'text\ngood\n"never closed\n' + "".join(f"line {n}\n" for n in range(1000))
    rows = list(csv_rows(bytes_stream(data.encode()), columns, ","))
    assert (rows[0].values or {})["text"] == "good"
    assert rows[1].fault is not None
    assert rows[1].fault.rule == "oversized_document"
    assert len(rows) > 800  # what follows is read again


def test_paragraphs_and_lines_that_are_too_long() -> None:
    columns = Columns(max_document_bytes=20)
    data = ("short one\n\n" + "many words\n" * 5 + "\nlast\n").encode()
    rows = list(paragraphs(bytes_stream(data), columns))
    assert [(row.number, row.values, row.fault and row.fault.value) for row in rows] == [
        (0, {"text": "short one"}, None), (1, None, 55), (2, {"text": "last"}, None)
    ]  # fmt: skip
    vast = b"a\n" + b"x" * (columns.max_row_bytes + 1) + b"\nb\n"
    found = list(text_lines(bytes_stream(vast), columns))
    assert [(row.number, row.fault and row.fault.value) for row in found] == [
        (0, None),
        (1, columns.max_row_bytes + 2),
        (2, None),
    ]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\ufeff"), max_size=200), st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_lines_are_whole_or_known_by_their_length(text: str, limit: int) -> None:
    lines = list(read_lines(bytes_stream(text.encode()), limit))
    expected = text.split("\n")
    expected = [f"{line}\n" for line in expected[:-1]] + ([expected[-1]] if expected[-1] else [])
    assert [line.num_bytes for line in lines] == [len(line.encode()) for line in expected]
    assert [line.is_too_long for line in lines] == [len(line.encode()) > limit for line in expected]
    assert [line.text for line in lines if not line.is_too_long] == [
        line for line in expected if len(line.encode()) <= limit
    ]


def test_meta_holds_what_json_can_hold() -> None:
    values = {"text": "t", "a": 1, "b": None, "c": float("nan"), "d": [1, {"e": "中"}], "f": b"\xff", "g": "\ud800"}
    assert meta_of(values, Columns(keep_meta=True)) == '{"a":1,"d":[1,{"e":"中"}],"g":"\ufffd"}'
    assert meta_of(values, Columns(meta_keys=("b",))) is None
    assert meta_of({**values, "l": "zh"}, Columns(lang_key="l")) == '{"lang":"zh"}'


def test_an_id_is_the_users_where_there_is_one() -> None:
    def identity(value: object) -> str:
        record = to_record(Row(7, {"text": "t", "k": value}), Columns(id_key="k"), Origin("s", "s:f"))
        assert isinstance(record, Record)
        return record.id

    assert [identity(value) for value in ("a", " b ", 5)] == ["a", "b", "5"]
    assert {identity(value) for value in (None, "", " ", True, 1.5, [1])} == {"s:f:7"}


def test_yaml_fills_files_and_assets(tmp_path: Path) -> None:
    body = {"kind": "files", "path": str(tmp_path), "pattern": "*.csv", "id_key": "uid", "limits": {"max_pages": 5}}
    (source,) = fill(CollectConfig, {"sources": [body]}).sources
    assert isinstance(source, Files)
    assert (source.path, source.pattern, source.id_key, source.limits.max_pages) == (tmp_path, "*.csv", "uid", 5)
    (source,) = fill(CollectConfig, {"sources": [{"kind": "asset", "name": "manpages-zh", "split": "line"}]}).sources
    assert source == Asset("manpages-zh", split="line")


def test_an_asset_is_read_like_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews/pos.txt").write_text("很好\n推荐\n")
    (tmp_path / "reviews/neg.txt").write_text("很差\n")
    monkeypatch.setattr("burnish.data.readers.reading.fetch", lambda name, say: tmp_path / name)
    done = gather(tmp_path / "work", Asset("reviews", split="line", label_from="file"))
    assert [(record.id, record.text, record.label) for record in done.kept] == [
        ("asset:neg.txt:0", "很差", "neg"), ("asset:pos.txt:0", "很好", "pos"), ("asset:pos.txt:1", "推荐", "pos")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"keep_meta": True, "meta_keys": ("a",)}, "all, or those: leave one out"),
        ({"meta_keys": ("text",)}, "is read as text, label, id or language already"),
        ({"max_document_bytes": 0}, "must be at least 1"),
        ({"label_from": "file", "label_key": "y"}, "leave one out"),
        ({"pattern": ""}, "pattern is empty"),
    ],
)
def test_settings_that_do_not_go_together(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        Files(Path("x"), **changes)
