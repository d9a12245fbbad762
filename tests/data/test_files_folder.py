"""A folder of a user's files: every format, and the bad ones each with its own reason, none stopping the run."""

import gzip
import json
import os
import subprocess
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from collecting import Collected, gather
from pdfs import pdf_bytes

from burnish.data.readers.columns import FILE_RULES
from burnish.data.sources import Files
from burnish.errors import RecipeError

CHINESE = "人工智能技术正在改变我们的生活方式。"
ENGLISH = "Congress is falling short on gender and racial equality."
PAGE = f"""<html><head><title>A page</title></head><body><nav>Home | About</nav>
<article><p>{ENGLISH} {CHINESE}</p><p>{ENGLISH * 3}</p></article><script>var x = 1</script></body></html>"""
MAN = r""".TH LS 1 "2024" "coreutils"
.SH 名称
ls \- 列出目录内容
.SH "DESCRIPTION"
List \fIfiles\fP (the current directory by default).
.TP
.B \-a
do not ignore entries
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, source: Files) -> Collected:
    done = gather(folder.parent / "work", source)
    assert {rule for _, rule in done.rules} <= set(FILE_RULES)
    return done


def test_each_format_gives_its_text(folder: Path) -> None:
    write(folder, "a.txt", f"\ufeffone\r\n\r\n{CHINESE}\n")
    write(folder, "b.md", f"# Two\n\n{ENGLISH}\n")
    write(folder, "c.rst", "Three\n=====\n")
    write(folder, "d.html", PAGE)
    write(folder, "e.json", json.dumps([{"text": "five"}, {"text": "六"}]))
    write(folder, "f.json", json.dumps({"text": "an object of its own"}))
    write(folder, "g.jsonl", '{"text": "seven"}\n\n{"text": "eight"}\n')
    write(folder, "h.csv", 'text,n\n"nine, ten",1\n')
    write(folder, "i.tsv", "n\ttext\n1\televen\n")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["twelve"]}), folder / "j.parquet")
    write(folder, "k.1", MAN)
    write(folder, "l.zh.1.gz", gzip.compress(MAN.encode()))
    write(folder, "m.pdf", pdf_bytes("Thirteen on paper"))
    write(folder, "sub/n.txt.gz", gzip.compress(b"packed"))
    write(folder, "sub/.hidden.txt", "not read")
    write(folder, ".git/o.txt", "not read")
    done = read(folder, Files(folder))
    assert done.rejected == []
    texts = {record.id.removeprefix("files:"): record.text for record in done.kept}
    man = "名称\nls - 列出目录内容\n\nDESCRIPTION\nList files (the current directory by default).\n\n-a\ndo not ignore entries"
    assert texts == {
        "a.txt:0": f"one\n\n{CHINESE}",
        "b.md:0": f"# Two\n\n{ENGLISH}",
        "c.rst:0": "Three\n=====",
        "d.html:0": f"{ENGLISH} {CHINESE}\n{ENGLISH * 3}",
        "e.json:0": "five",
        "e.json:1": "六",
        "f.json:0": "an object of its own",
        "g.jsonl:0": "seven",
        "g.jsonl:2": "eight",
        "h.csv:0": "nine, ten",
        "i.tsv:0": "eleven",
        "j.parquet:0": "twelve",
        "k.1:0": man,
        "l.zh.1.gz:0": man,
        "m.pdf:0": "Thirteen on paper",
        "sub/n.txt.gz:0": "packed",
    }
    assert done.evidence["collected_bytes"] == sum(len(record.text.encode()) for record in done.kept)
    assert done.evidence["collected_files_records"] == len(texts)


def test_every_bad_file_has_its_own_reason_and_the_good_rows_stay(folder: Path) -> None:
    good = [{"text": f"row {number} {ENGLISH}"} for number in range(2000)]
    packed = gzip.compress("".join(json.dumps(row) + "\n" for row in good).encode())
    write(folder, "cut.jsonl.gz", packed[: len(packed) // 2])
    write(folder, "cut.txt.gz", gzip.compress(os.urandom(1000).hex().encode())[:-300])
    write(
        folder, "cut.csv.gz", gzip.compress(b"text\n" + os.urandom(4000).hex(" ", 8).replace(" ", "\n").encode())[:-900]
    )
    write(folder, "not.json.gz", b"plain bytes")
    write(folder, "latin.txt", b"na\xefve")
    write(folder, "empty.txt", b"")
    write(folder, "blank.md", b" \n\n")
    write(folder, "header.csv", "text\n")
    write(folder, "no-column.csv", "body,n\nx,1\n")
    write(folder, "no-column.jsonl", '{"body": "x"}\n')
    write(folder, "no-column.json", '[{"body": "x"}]')
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"]}), folder / "no-column.parquet")
    write(folder, "broken.parquet", b"PAR1 is not all")
    write(folder, "broken.json", '[{"text": "first"}, {"text": "second"}, {"te')
    write(folder, "broken.pdf", b"%PDF-1.7 and no more")
    write(folder, "picture.png", b"\x89PNG")
    write(folder, "long.txt", b"x" * 2001)
    write(folder, "ok.txt", ENGLISH)
    os.mkfifo(folder / "pipe.txt")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    done = read(folder, Files(folder, max_document_bytes=2000))
    rules = {identity.removeprefix("files:").removesuffix(":0"): rule for identity, rule in done.rules}
    assert rules == {
        "cut.jsonl.gz": "truncated_gzip",
        "cut.txt.gz": "truncated_gzip",
        "cut.csv.gz": "truncated_gzip",
        "not.json.gz": "broken_file",
        "latin.txt": "invalid_utf8",
        "empty.txt": "empty_file",
        "blank.md": "empty_file",
        "header.csv": "empty_file",
        "no-column.csv": "missing_column",
        "no-column.jsonl": "missing_column",
        "no-column.json": "missing_column",
        "no-column.parquet": "missing_column",
        "broken.parquet": "broken_file",
        "broken.json": "broken_file",
        "broken.pdf": "broken_file",
        "picture.png": "unknown_format",
        "long.txt": "oversized_document",
        "pipe.txt": "unreadable_file",
        "gone.txt": "unreadable_file",
    }
    kept = [record for record in done.kept if record.id.startswith("files:cut.jsonl.gz")]
    assert 500 < len(kept) < 2000  # what stands before the break is read, and no half of a row
    assert [record.text for record in kept] == [row["text"] for row in good[: len(kept)]]
    assert [record.text for record in done.kept if "broken.json" in record.id] == ["first", "second"]
    assert done.reasons["files:long.txt:0"].value == 2001
    assert done.reasons["files:long.txt:0"].threshold == 2000
    told = {record.id: json.loads(record.meta or "{}").get("reason", "") for record, _ in done.rejected}
    assert "its columns are: body, n" in told["files:no-column.csv"]
    assert "End-of-stream" in told["files:cut.txt.gz"] or "end-of-stream" in told["files:cut.txt.gz"]
    assert done.evidence["dropped_missing_column_records"] == 4
    assert done.evidence["dropped_truncated_gzip_records"] == 3


def test_a_loop_of_links_ends_and_each_folder_is_read_once(folder: Path) -> None:
    write(folder, "a/one.txt", "one")
    (folder / "a/back").symlink_to(folder, target_is_directory=True)
    (folder / "a/self").symlink_to(folder / "a", target_is_directory=True)
    (folder / "again").symlink_to(folder / "a", target_is_directory=True)
    (folder / "link.txt").symlink_to(folder / "a/one.txt")
    done = read(folder, Files(folder))
    assert [record.id for record in done.kept] == ["files:a/one.txt:0", "files:link.txt:0"]
    assert done.rules == [
        ("files:a/back", "directory_loop"),
        ("files:a/self", "directory_loop"),
        ("files:again", "repeated_directory"),
    ]


def test_a_file_that_may_not_be_read_is_set_aside(folder: Path) -> None:
    write(folder, "ok.txt", "fine")
    write(folder, "secret/own.txt", "x")
    write(folder, "shut.txt", "x")
    (folder / "secret").chmod(0)
    (folder / "shut.txt").chmod(0)
    try:
        if os.access(folder / "shut.txt", os.R_OK):
            pytest.skip("root reads everything")
        assert read(folder, Files(folder)).rules == [
            ("files:secret", "unreadable_file"),
            ("files:shut.txt", "unreadable_file"),
        ]
    finally:
        (folder / "secret").chmod(0o755)


def test_pattern_split_and_labels_from_names(folder: Path) -> None:
    write(folder, "pos.txt", "很好\n\n推荐\n")
    write(folder, "x/neg.txt", "很差\n")
    write(folder, "x/other.md", "no\n")
    done = read(folder, Files(folder, pattern="**/*.txt", split="line", label_from="file"))
    assert [(record.id, record.text, record.label) for record in done.kept] == [
        ("files:pos.txt:0", "很好", "pos"),
        ("files:pos.txt:2", "推荐", "pos"),
        ("files:x/neg.txt:0", "很差", "neg"),
    ]
    by_folder = gather(folder.parent / "two", Files(folder, label_from="folder", split="paragraph"))
    assert [record.label for record in by_folder.kept] == ["source", "source", "x", "x"]


def test_a_source_with_nothing_usable_is_an_error_of_the_recipe(folder: Path) -> None:
    with pytest.raises(RecipeError, match="source holds no rows"):
        read(folder, Files(folder))
    write(folder, "a.xyz", "?")
    with pytest.raises(RecipeError, match="no row of source can be used: 1 of 1 are set aside by unknown_format"):
        read(folder, Files(folder))
    with pytest.raises(RecipeError, match=r"gone cannot be read \(No such file"):
        read(folder, Files(folder / "gone"))


def test_names_that_are_no_utf8_still_give_ids(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt"))).write_text("text of an odd name")
    assert [record.id for record in read(folder, Files(folder)).kept] == ["files:\\xff.txt:0"]


def test_manual_pages_read_like_those_of_groff(folder: Path) -> None:
    """Every word that groff prints of a page is in ours, and the other way round."""
    if not any(Path(place, "groff").exists() for place in os.environ["PATH"].split(":")):
        pytest.skip("groff is not installed")
    write(folder, "p.1", MAN)
    (record,) = read(folder, Files(folder)).kept
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-cbou", str(folder / "p.1")], capture_output=True, text=True, check=True
    )
    body = done.stdout.split("\n", 2)[2].rsplit("coreutils", 1)[0]
    plain = {word.strip() for word in body.replace("−", "-").replace("‐", "-").split()}
    assert {word for word in record.text.split() if word.isascii()} <= plain
