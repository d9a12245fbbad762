"""PDF: text of real files, and hostile ones that must not hurt the run."""

import io
import json
import time
from pathlib import Path

import pytest
from collecting import gather
from pdfs import bomb_bytes, endless_pages_bytes, pdf_bytes

from burnish.data.readers.extract import DocumentLimits
from burnish.data.sources import Files
from burnish.errors import MissingExtra, RecipeError

SMALL = DocumentLimits(max_pages=50, max_stream_bytes=1 << 20, max_s=5, max_memory_bytes=400 << 20)


def test_pages_titles_and_limits(tmp_path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    for page in PdfReader(io.BytesIO(pdf_bytes("First page", "Second page"))).pages:
        writer.add_page(page)
    writer.add_metadata({"/Title": "年报 2024"})
    folder = tmp_path / "pdfs"
    folder.mkdir()
    with (folder / "a.pdf").open("wb") as file:
        writer.write(file)
    writer.encrypt("secret", algorithm="RC4-128")
    with (folder / "b.pdf").open("wb") as file:
        writer.write(file)
    (folder / "c.pdf").write_bytes(pdf_bytes(*(["page"] * 51)))
    (folder / "d.pdf").write_bytes(pdf_bytes(""))
    (folder / "e.pdf").write_bytes(pdf_bytes("x" * 500, "y" * 600))
    done = gather(tmp_path / "work", Files(folder, limits=SMALL, keep_meta=True, max_document_bytes=1000))
    assert [(record.id, record.text) for record in done.kept] == [("files:a.pdf:0", "First page\nSecond page")]
    assert json.loads(done.kept[0].meta or "") == {"title": "年报 2024", "pages": 2}
    assert {identity[6:11]: rule for identity, rule in done.rules} == {
        "b.pdf": "encrypted_file",
        "c.pdf": "too_many_pages",
        "d.pdf": "missing_text",
        "e.pdf": "oversized_document",
    }
    pages = done.reasons["files:c.pdf"]
    assert (pages.value, pages.threshold) == (51, 50)


def test_bombs_end_with_a_reason_and_the_next_file_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    (folder / "a-bomb.pdf").write_bytes(bomb_bytes(300 << 20))
    (folder / "b-nested.pdf").write_bytes(bomb_bytes(64 << 20, layers=3))
    (folder / "c-endless.pdf").write_bytes(endless_pages_bytes())
    (folder / "d-good.pdf").write_bytes(pdf_bytes("still here"))
    start_s = time.monotonic()
    done = gather(tmp_path / "work", Files(folder, limits=SMALL))
    assert time.monotonic() - start_s < 60
    assert [record.text for record in done.kept] == ["still here"]
    found = {identity.removesuffix(":0"): rule for identity, rule in done.rules}
    assert found.keys() == {"files:a-bomb.pdf", "files:b-nested.pdf", "files:c-endless.pdf"}
    assert found["files:a-bomb.pdf"] == "oversized_document"
    assert found["files:b-nested.pdf"] == "oversized_document"
    assert found["files:c-endless.pdf"] in ("too_many_pages", "broken_file", "missing_text")


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        (DocumentLimits(max_stream_bytes=1 << 30, max_memory_bytes=200 << 20, max_s=30), "over_memory"),
        (DocumentLimits(max_stream_bytes=1 << 30, max_s=1), "timed_out"),
    ],
)
def test_where_pypdf_sets_no_bound_the_process_does(tmp_path: Path, limits: DocumentLimits, rule: str) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    content = (
        bomb_bytes(400 << 20) if rule == "over_memory" else pdf_bytes(*(["a) Tj " + "0 0 Td " * 20_000 + "(b"] * 60))
    )
    (folder / "a.pdf").write_bytes(content)
    (folder / "b.pdf").write_bytes(pdf_bytes("after it"))
    done = gather(tmp_path / "work", Files(folder, limits=limits))
    assert [record.text for record in done.kept] == ["after it"]
    assert done.rules == [("files:a.pdf", rule)]


def test_limits_are_at_least_one() -> None:
    with pytest.raises(RecipeError, match="max_pages is 0"):
        DocumentLimits(max_pages=0)


def test_a_library_that_is_not_installed_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf_bytes("text"))
    monkeypatch.setattr("burnish.data.readers.extractors.installed_version", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pypdf is not installed; type: pip install 'burnish\[data\]'"):
        gather(tmp_path / "work", Files(tmp_path / "a.pdf"))
