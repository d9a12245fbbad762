"""The corpus generator: what it extracts, what it plants, what it writes down; the same seed is the same bytes."""

import gzip
import importlib
import json
import random
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import planted
import pyarrow.parquet
import pytest

from burnish.errors import ArtifactError

build: Any = planted.build
defects: Any = importlib.import_module("corpus.defects")
extract: Any = importlib.import_module("corpus.extract")
fetching: Any = importlib.import_module("corpus.fetch")
make_corpus: Any = importlib.import_module("make_corpus")


DIGEST = "d4711c5ae6bc03d68738cc187ec4811e6d88260b0b02b7cf761b40dc16f73799"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# ---- extraction


@pytest.mark.parametrize(
    ("convert", "raw", "text"),
    [
        (
            "from_html",
            "<head><title>x</title></head><h1>标题</h1><p>a &amp;\n b</p><script>1</script>",
            "标题\n\na & b",
        ),
        ("from_roff", '.\\" note\n.TH LS 1\n.SH "名称"\nls \\- list\n.PP\n\\fBbold\\fR\n.BR ls (1)', None),
        ("from_pod", "=head1 NAME\n\nB<bold> and C<code>\n\n=cut\n", "NAME\n\nbold and code"),
        ("from_fortunes", "\x1b[32m静夜思\x1b[m\n%\n春晓", "静夜思\n\n春晓"),
    ],
)
def test_markup_goes_and_text_stays(convert: str, raw: str, text: str | None) -> None:
    found = getattr(extract, convert)(raw)
    assert found == (text or "名称\n\nls - list\n\nbold\nls (1)")


def test_a_file_is_cut_at_paragraphs_and_loses_only_a_short_end() -> None:
    text = "\n\n".join(planted.english(random.Random(n), 60) for n in range(80))
    documents = list(extract.cut(text, random.Random(0)))
    whole = [part for part in text.split("\n\n") if part.strip()]
    parts = [part for document in documents for part in document.split("\n\n")]
    assert parts == whole[: len(parts)]
    assert sum(map(len, whole[len(parts) :])) < extract.MIN_DOCUMENT_CHARS
    assert all(extract.MIN_DOCUMENT_CHARS <= len(document) <= 21_000 for document in documents)
    long = "字" * 50_000
    assert [len(piece) for piece in extract.cut(long, random.Random(0))] == [20_000, 20_000, 10_000]


def test_the_packages_files_become_documents_of_their_language_and_repeats_stay_out(tmp_path: Path) -> None:
    rng = random.Random(2)
    pages = {
        "manpages-zh/usr/share/man/zh_CN/man1/a.1.gz": gzip.compress(f".SH 名\n{planted.chinese(rng)}".encode()),
        "manpages/usr/share/man/man1/b.1.gz": gzip.compress(planted.english(rng).encode()),
        "maint-guide-fr/usr/share/doc/x.html": f"<p>{planted.english(rng)}</p>".encode(),
        "debian-faq-ja/usr/share/doc/y.html": f"<p>{planted.chinese(rng)}</p>".encode(),
        "manpages-dev/usr/share/man/man3/bad.3.gz": gzip.compress(b"\xff\xfe broken"),
    }
    pages["manpages-dev/usr/share/man/man3/copy.3.gz"] = pages["manpages/usr/share/man/man1/b.1.gz"]
    for name, body in pages.items():
        path = tmp_path / "deb-x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    base = build.gather(tmp_path, fetching.SMALL, random.Random(0))
    assert {(source, lang) for source, lang, _ in base.zh} == {("manpages-zh", "zh")}
    assert {(source, lang) for source, lang, _ in base.en} == {("manpages", "en")}
    assert {(source, lang) for source, lang, _ in base.other} == {("maint-guide-fr", "fr"), ("debian-faq-ja", "ja")}


def test_every_source_is_of_a_package_that_is_fetched() -> None:
    fetched = {*fetching.FULL.debian, *fetching.SMALL.debian}
    assert {source.package for source in extract.SOURCES} == fetched


def test_a_package_that_cannot_come_is_said_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Path:
        raise ArtifactError("apt-get is not on this machine")

    monkeypatch.setattr(fetching, "download", refuse)
    with pytest.raises(SystemExit, match="error: apt-get is not on this machine"):
        make_corpus.main(["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--packages", "small"])


# ---- what is planted


@pytest.fixture(scope="module")
def made() -> list[Any]:
    return planted.rows()[0]


def of_kind(made: list[Any], kind: str) -> list[Any]:
    found = [row for row in made if row.kind == kind]
    assert found
    return found


def test_all_kinds_are_planted(made: list[Any]) -> None:
    kinds = Counter(row.kind for row in made)
    assert set(kinds) == {
        *("clean", "exact", "norm", "near", "pii", "markup", "mojibake", "gibberish", "short", "other_lang")
    }
    assert kinds["clean"] > 0.5 * len(made)


def test_copies_are_what_the_truth_says(made: list[Any]) -> None:
    for row in of_kind(made, "exact"):
        assert row.text == made[row.of].text
    for row in of_kind(made, "norm"):
        plain = [unicodedata.normalize("NFKC", "".join(text.split())).lower() for text in (row.text, made[row.of].text)]
        assert plain[0] == plain[1]
    for row in of_kind(made, "near"):
        assert row.truth["jaccard"] == round(defects.jaccard(row.text, made[row.of].text), 4)
    assert sum(row.text != made[row.of].text for row in of_kind(made, "near")) > 0.8 * len(of_kind(made, "near"))
    assert {made[row.of].kind for row in made if row.of is not None} == {"clean"}


def test_personal_data_stand_in_the_text_and_their_checksums_are_right() -> None:
    personal: Any = importlib.import_module("corpus.personal")
    rng = random.Random(0)
    seen: Counter[str] = Counter()
    for number in range(60):
        text, items = personal.add_personal("第一行\n第二行", rng, is_zh=number % 2 == 0)
        seen.update(items.keys())
        assert all(value in text for value in items.values())
        if "cn_id" in items:  # ISO 7064 MOD 11-2: the weighted sum, check digit included, leaves 1
            digits = [10 if char == "X" else int(char) for char in items["cn_id"]]
            assert sum(digit * 2 ** (17 - place) for place, digit in enumerate(digits)) % 11 == 1
        if "card" in items:
            digits = [int(char) for char in reversed(items["card"])]
            doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(digits)]
            assert sum(doubled) % 10 == 0
    assert set(seen) == {"email", "cn_phone", "cn_id", "card", "ip", "us_phone"}


def test_a_broken_encoding_can_be_undone_where_the_truth_says_so() -> None:
    rng = random.Random(0)
    ways: Counter[str] = Counter()
    for number in range(80):
        text = planted.chinese(rng, 60) if number % 2 else planted.english(rng, 40)
        spoiled, how = defects.mojibake(text, rng)
        ways[how] += 1
        if how.startswith(("as cp1252", "as latin-1")):
            assert spoiled.encode(how.removeprefix("as ")).decode() == text
        assert spoiled != text or text.isascii()
    assert set(ways) == {"as cp1252", "as latin-1", "as gb18030", "lost bytes"}


# ---- what is written


def test_any_number_of_shards_holds_the_same_lines(tmp_path: Path) -> None:
    summaries = []
    for num_shards in (8, 1, 2):
        out = tmp_path / "same-folder"
        planted.corpus(out, num_shards)
        assert len(list((out / "jsonl").iterdir())) == len(list((out / "parquet").iterdir())) == num_shards
        lines = b"".join(path.read_bytes() for path in sorted((out / "jsonl").iterdir()))
        in_parquet = [
            row for path in sorted((out / "parquet").iterdir()) for row in pyarrow.parquet.read_table(path).to_pylist()
        ]
        assert in_parquet == [json.loads(line) for line in lines.splitlines()]
        summaries.append((lines, (out / "truth.jsonl").read_bytes(), json.loads((out / "summary.json").read_bytes())))
    assert summaries[0] == summaries[1] == summaries[2]


def test_the_truth_has_every_row_and_points_to_rows_by_id(tmp_path: Path) -> None:
    planted.corpus(tmp_path)
    texts = {row["id"]: row["text"] for path in (tmp_path / "jsonl").iterdir() for row in read(path)}
    truth = read(tmp_path / "truth.jsonl")
    assert [row["id"] for row in truth] == sorted(texts)
    for row in truth:
        if row["kind"] == "exact":
            assert texts[row["id"]] == texts[row["of"]]
        assert set(row) >= {"id", "kind", "of"}
    kinds = {row["id"]: row["kind"] for row in truth}
    originals = read(tmp_path / "originals.jsonl")
    assert {kinds[row["id"]] for row in originals} == {"markup", "mojibake"}
    assert Counter(kinds.values()) == json.loads((tmp_path / "summary.json").read_bytes())["kinds"]


def test_the_same_seed_is_the_same_bytes_for_ever(tmp_path: Path) -> None:
    """Results of benchmarks are compared over time: a change of this digest makes earlier ones incomparable."""
    planted.corpus(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_bytes())["jsonl_sha256"] == DIGEST
    made, order = planted.rows(seed=2)
    other = planted.write.write(tmp_path / "other", made, order, num_shards=1, seed=2)
    assert other["jsonl_sha256"] != DIGEST
