"""`burnish data` on a small real run, as a user types it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from burnish.artifacts import Store
from burnish.data.shards import kept_schema, rejected_schema
from curated_store import BROKEN, CHINESE, EMAIL, ENGLISH, MOBILE, RECORDS, curate, type_command, write_recipe

KEPT = {"en2", "en7", "zh0", "zh4", "evil", "mojibake", "personal", "bidi"}
REMOVED = {"same": "exact_copy", "zhsame": "exact_copy", "near": "near_copy", "short": "too_few_words",
           "zhshort": "too_few_words", "german": "language", "greek": "language"}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return curate(tmp_path_factory.mktemp("run"))


@pytest.fixture(autouse=True)
def _here(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_STORE", str(store))
    monkeypatch.setenv("COLUMNS", "160")


def typed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Type a `burnish data` command that works; give what it printed."""
    capsys.readouterr()
    assert type_command("data", *arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Type a `burnish data` command that is refused; give the one sentence that says why."""
    capsys.readouterr()
    assert type_command("data", *arguments) in (1, 2)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def lines(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    out = typed(capsys, "ledger", *arguments, "--json")
    return [json.loads(line) for line in out.splitlines()]


def digest(store: Path, stage: str) -> str:
    return next(a.digest[:12] for a in Store(store).all() if a.stage.endswith(f".{stage}"))


def test_a_run_prints_its_flow_and_the_same_command_makes_nothing_again(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = store.parent / "mixed.yaml"
    shown = typed(capsys, "run", recipe, "--plain")
    assert "0 made, 5 cached" in shown
    assert "中英文 & <mixed>" in shown
    assert "− near copy  75 % alike and more" in shown
    assert f"of {len(RECORDS)} records were kept" in shown
    assert type_command("report", "--out", tmp_path / "page.html") == 0
    assert "<!doctype html>" in (tmp_path / "page.html").read_text()
    assert "repeated another" in capsys.readouterr().out


def test_a_dry_run_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = typed(capsys, "run", write_recipe(tmp_path), "--dry-run", "--store", tmp_path / "new")
    assert "5 to be made" in shown
    assert "a wrong key" not in shown
    assert "Did you mean" in refused(capsys, "run", write_recipe(tmp_path), "select.min_wordz=3")


def test_the_ledger_holds_every_removal_and_every_change(capsys: pytest.CaptureFixture[str]) -> None:
    rows = lines(capsys, "--limit", 0)
    removed = {row["id"]: row["rule"] for row in rows if not row["kept"] and row["step"] == "select"}
    assert REMOVED.items() <= removed.items()
    assert not KEPT & removed.keys()
    changed = {(row["id"], row["rule"]) for row in rows if row["kept"]}
    assert {
        ("personal", "masked_email"),
        ("personal", "masked_cn_mobile"),
        ("mojibake", "repaired_mojibake"),
    } <= changed
    assert {row["rule"] for row in rows if row["step"] == "collect"} == {"malformed_row", "missing_text"}
    near = next(row for row in rows if row["id"] == "near")
    assert near["partner_id"] == "long"
    assert near["text"].startswith("The central bank")
    assert 0.75 <= near["similarity"] < 1


def test_the_ledger_answers_what_it_is_asked(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {row["id"] for row in lines(capsys, "--rule", "exact_copy", "--limit", 0)} >= {"same", "zhsame"}
    assert {row["step"] for row in lines(capsys, "--step", "clean", "--limit", 0)} == {"clean"}
    assert all(row["kept"] for row in lines(capsys, "--kept", "--limit", 0))
    assert [row["rule"] for row in lines(capsys, "--id", "german", "--removed")] == ["language"]
    assert len(lines(capsys, "--limit", 3)) == 3
    of_clean = lines(capsys, digest(store, "clean"), "--limit", 0)
    assert {row["step"] for row in of_clean} == {"collect", "clean"}


def test_the_table_counts_chinese_characters_as_two_cells(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.cells import cell_len

    shown = typed(capsys, "ledger", "--limit", 0)
    assert CHINESE[0][:20] in shown
    table = [line for line in shown.splitlines() if line.startswith(" ")]
    assert {cell_len(line) for line in table} == {160}


def test_a_narrow_terminal_gives_the_text_its_own_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = typed(capsys, "ledger", "--rule", "near_copy")
    assert shown.splitlines()[0].startswith("near  select  near_copy")
    assert shown.splitlines()[1].startswith("    The central bank")


def test_csv_is_csv(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(typed(capsys, "ledger", "--csv", "--removed", "--limit", "0"))))
    assert {row["id"] for row in rows} >= REMOVED.keys()
    assert "give one of them" in refused(capsys, "ledger", "--csv", "--json")


def test_personal_data_is_shown_by_no_command(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = "".join(
        typed(capsys, *arguments)
        for arguments in (
            ("ledger", "--limit", "0"), ("ledger", "--limit", "0", "--json"), ("why", "personal"), ("sample", "-n", 99),
            ("sample", "--rule", "masked_email"), ("sample", "--rule", "missing_text"),
            ("sample", digest(store, "collect"), "-n", 99),
            ("why", json.loads(typed(capsys, "ledger", "--rule", "missing_text", "--json"))["id"]),
        )
    )  # fmt: skip
    assert EMAIL in BROKEN[1]
    assert EMAIL not in shown
    assert MOBILE not in shown
    assert "<EMAIL>" in shown


def test_why_tells_the_whole_way(capsys: pytest.CaptureFixture[str]) -> None:
    near = typed(capsys, "why", "near")
    assert "removed at select" in near
    assert "near copy of long from files" in near
    assert "url: https://example.org/near" in near
    kept = typed(capsys, "why", "long")
    assert "kept to the end" in kept
    assert "stands for 1 that repeat it: near" in kept
    personal = typed(capsys, "why", "personal")
    assert "masked e-mail addresses (1)" in personal
    assert "language: Chinese" in personal
    assert "repaired mojibake" in typed(capsys, "why", "mojibake")
    short = typed(capsys, "why", "short")
    assert "too few words; words, as a segmenter finds them 2 words, and the rule removes below 6 words" in short


def test_why_names_what_hides(capsys: pytest.CaptureFixture[str]) -> None:
    shown = typed(capsys, "why", "bidi") + typed(capsys, "why", "evil")
    assert not set(shown) & set("\u202a\u202e\x1b")
    assert "repaired control and invisible characters" in shown


def test_samples_are_those_of_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    kept = typed(capsys, "sample", "-n", 99)
    assert ENGLISH[2][:40] in kept
    assert "too short" not in kept
    assert typed(capsys, "sample", "-n", 4) == typed(capsys, "sample", "-n", 4)
    assert typed(capsys, "sample", "-n", 4) != typed(capsys, "sample", "-n", 4, "--seed", 5)
    near = typed(capsys, "sample", "--rule", "near_copy")
    assert "removed" in near
    assert "kept: long · files" in near
    assert "before" in typed(capsys, "sample", "--rule", "repaired_mojibake")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ledger", "--rule", "near_cpy"), "Did you mean near_copy?"),
        (("ledger", "--step", "clan"), "there are: clean, collect, select. Did you mean clean?"),
        (("sample", "--rule", "nothing"), "no rule 'nothing' here; there are:"),
        (("why", "nobody"), "no record 'nobody' on this way; ids here look like en0, en1, en2"),
        (("why", "near", "zzzz"), "no run and no artifact 'zzzz'"),
        (("ledger", "--store", "/nowhere/at/all"), "there is no store at /nowhere/at/all"),
        (("ledger", "--json", "--csv"), "--json and --csv were both given; give one of them"),
        (("export", "--to", "records.xlsx"), "give a name ending with .jsonl or .parquet, or a folder"),
    ],
)
def test_a_mistake_is_one_sentence_with_a_remedy(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *arguments)


def test_nothing_asked_for_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no decision was made" in typed(capsys, "ledger", "--id", "en2")
    assert typed(capsys, "ledger", "--id", "en2", "--json") == ""


def test_jsonl_holds_what_was_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "new" / "kept.jsonl"
    said = typed(capsys, "export", "--to", to)
    rows = [json.loads(line) for line in to.read_text(encoding="utf-8").splitlines()]
    assert f"{len(rows):,} records written" in said
    assert {row["id"] for row in rows} >= KEPT
    assert not {row["id"] for row in rows} & REMOVED.keys()
    chinese = next(row for row in rows if row["id"] == "zh0")
    assert chinese == {"id": "zh0", "text": CHINESE[0], "source": "files", "meta": {"url": "https://example.org/zh0"}}
    assert CHINESE[0] in to.read_text(encoding="utf-8")  # not escaped
    assert [path.name for path in to.parent.iterdir()] == ["kept.jsonl"]
    assert "give another --to, or --force" in refused(capsys, "export", "--to", to)
    assert "records written" in typed(capsys, "export", "--to", to, "--force")


def test_parquet_and_folders_hold_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed(capsys, "export", "--to", tmp_path / "kept.parquet")
    typed(capsys, "export", "--to", tmp_path / "shards")
    one = parquet.read_table(tmp_path / "kept.parquet")
    assert one.schema.names == kept_schema().names
    assert parquet.read_table(tmp_path / "shards").equals(one)


def test_what_was_rejected_has_its_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed(capsys, "export", "--rejected", "--to", tmp_path / "gone.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "gone.jsonl").read_text(encoding="utf-8").splitlines()]
    assert REMOVED.items() <= {row["id"]: row["rule"] for row in rows}.items()
    assert {row["step"] for row in rows} == {"collect", "select"}
    typed(capsys, "export", "--rejected", "--to", tmp_path / "gone.parquet")
    table = parquet.read_table(tmp_path / "gone.parquet")
    assert table.schema.names == rejected_schema().names
    assert table.num_rows == len(rows)
    typed(capsys, "export", "--rejected", "--to", tmp_path / "gone")
    assert {path.name.split("-")[0] for path in (tmp_path / "gone").iterdir()} == {"collect", "select"}


def test_an_altered_dataset_is_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = curate(tmp_path, added="One more record that makes this another dataset than the first, and no copy of it.")
    shard = next((store / "dataset").glob(f"{digest(store, 'select')}*/payload/data/*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert "was altered" in refused(capsys, "export", "--to", tmp_path / "out.jsonl", "--store", store)
    assert not (tmp_path / "out.jsonl").exists()


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "ledger", "why", "sample", "export"):
        shown = typed(capsys, command, "--help")
        assert "Examples:" in shown
        assert f"burnish data {command}" in shown
    assert "Examples, in the usual order:" in typed(capsys, "--help")
