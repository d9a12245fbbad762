"""Clean: nothing is lost, each shard keeps its place, and neither cuts nor processes nor shards show in the result."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from real_slice import CHINESE, collected, evidence, slice_lines, texts, use_slice
from sharded import sharded

from burnish.artifacts import DatasetArtifact
from burnish.data.clean import CleanConfig, clean
from burnish.data.engine import Local
from burnish.data.kernel.measure import MEASURES
from burnish.data.records import Record, read_kept
from burnish.data.repairs.pii import PiiConfig
from burnish.data.shards import num_rows, read_tables, shard_paths
from burnish.data.shingle import Bytes, Words
from burnish.data.sketches import NUM_SLOTS, read_keys, read_shingle, read_signatures, sketch_paths
from burnish.data.sources import GeneralText, PlantedCopies, RandomText, SarcasmHeadlines
from burnish.errors import ArtifactError, RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill

DAMAGED = (
    "<p>one</p><p>two &amp; three</p>",
    "cafÃ© au lait",
    "zero\u200bwidth",
    "call 13800138000 now",
    "  wide\u3000space\r\n",
)
RECORDS = [
    Record(f"t:{n:04}", text, "l", "t", "", '{"page": 1}')
    for n, text in enumerate([*CHINESE, *DAMAGED, "", *CHINESE[:3]])
]


def payload_files(dataset: DatasetArtifact) -> dict[str, bytes]:
    paths = sorted(path for path in dataset.payload.rglob("*") if path.is_file())
    return {str(path.relative_to(dataset.payload)): path.read_bytes() for path in paths}


def rows(dataset: DatasetArtifact, folder: str) -> list[dict[str, Any]]:
    paths = sorted((dataset.payload / folder).glob("*.parquet"))
    return [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]


def test_real_rows_flow_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run) -> None:
    use_slice(monkeypatch, tmp_path / "assets")
    raw = collected(run, SarcasmHeadlines(200), GeneralText(20), RandomText(), PlantedCopies(10, 10))
    cleaned = run(clean, raw, config=CleanConfig())
    before, after = read_kept(raw), read_kept(cleaned)
    assert [(r.id, r.label, r.source, r.planted) for r in after] == [
        (r.id, r.label, r.source, r.planted) for r in before
    ]
    found = evidence(cleaned)
    assert found["records_in"] == len(before) == 260
    assert (found["planted_random_records"], found["planted_copy_records"]) == (20, 20)  # carried on for the gates
    changed = {b.id for b, a in zip(before, after, strict=True) if a.text != b.text}
    noted = {row["id"] for row in rows(cleaned, "ledger")}
    assert found["repaired_records"] >= 1
    assert noted <= changed
    (damaged,) = [r for r in before if "didnâ€™t" in r.text]
    (repaired,) = [r.text for r in after if r.id == damaged.id]
    assert repaired.endswith("I said I didn’t know.”")
    assert {row["rule"] for row in rows(cleaned, "ledger") if row["id"] == damaged.id} == {"repaired_mojibake"}


@pytest.mark.parametrize("num_shards", [1, 2, 8])
def test_every_shard_has_its_data_measures_ledger_and_sketches(run: Run, num_shards: int) -> None:
    cleaned = run(clean, sharded(run, RECORDS, num_shards), config=CleanConfig())
    names = [path.stem for path in shard_paths(cleaned)]
    assert len(names) == num_shards
    for folder, pattern in (
        ("data", "*.parquet"),
        ("measures", "*.parquet"),
        ("ledger", "*.parquet"),
        ("sketches", "*.npz"),
    ):
        assert sorted(path.stem for path in (cleaned.payload / folder).glob(pattern)) == names
    for path, sketch in zip(shard_paths(cleaned), sketch_paths(cleaned), strict=True):
        count = num_rows(path)
        assert count == num_rows(cleaned.payload / "measures" / path.name)
        assert read_keys(sketch).shape == (count, 2)
        assert read_signatures(sketch).shape == (count, NUM_SLOTS)
    assert {r.id for r in read_kept(cleaned)} == {r.id for r in RECORDS}
    assert all(r.meta == '{"page": 1}' and r.label == "l" for r in read_kept(cleaned))


def test_the_number_of_shards_changes_no_record_and_no_measure(run: Run) -> None:
    found = []
    for num_shards in (1, 2, 8):
        cleaned = run(clean, sharded(run, RECORDS, num_shards), config=CleanConfig())
        kept = sorted(read_kept(cleaned), key=lambda r: r.id)
        found.append(
            (
                kept,
                sorted(map(str, rows(cleaned, "measures"))),
                sorted(map(str, rows(cleaned, "ledger"))),
                evidence(cleaned),
            )
        )
    assert found[0] == found[1] == found[2]
    repaired = {name: value for name, value in found[0][3].items() if name.endswith("_count")}
    assert repaired == {
        "repaired_html_count": 1, "repaired_mojibake_count": 1, "repaired_invalid_characters_count": 1, "masked_cn_mobile_count": 1,
    }  # fmt: skip


def test_cuts_and_processes_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    raw = sharded(run, RECORDS, 3)
    expected = payload_files(run(clean, raw, config=CleanConfig()))
    assert len(expected) == 3 * 4 + 1
    again = Run(type(run.store)(tmp_path / "second"), run.events)
    monkeypatch.setitem(read_tables.__kwdefaults__ or {}, "max_bytes", 60)
    assert payload_files(again(clean, raw, config=CleanConfig())) == expected
    third = Run(type(run.store)(tmp_path / "third"), run.events)
    assert payload_files(third(clean, raw, config=CleanConfig(engine=Local(2)))) == expected


def test_a_run_that_ends_after_it_moved_its_files_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    raw = sharded(run, RECORDS, 3)

    def fail(*_: object) -> None:
        raise RecipeError("pulled out")

    with monkeypatch.context() as patch:
        patch.setattr("burnish.data.clean.write_shingle", fail)
        with pytest.raises(RecipeError, match="pulled out"):
            run(clean, raw, config=CleanConfig())
    whole = Run(type(run.store)(tmp_path / "whole"), run.events)
    assert payload_files(run(clean, raw, config=CleanConfig())) == payload_files(
        whole(clean, raw, config=CleanConfig())
    )


def test_how_it_was_worked_on_is_no_part_of_the_lineage(run: Run) -> None:
    raw = sharded(run, RECORDS, 1)
    first = run(clean, raw, config=CleanConfig())
    assert run(clean, raw, config=CleanConfig(engine=Local(2))).digest == first.digest
    assert run(clean, raw, config=CleanConfig(pii=None)).digest != first.digest


def test_what_is_asked_for_is_done(run: Run) -> None:
    raw = sharded(run, texts("call 13800138000 now", "mail ann@example.com"), 1)
    unmasked = run(clean, raw, config=CleanConfig(pii=None))
    assert [r.text for r in read_kept(unmasked)] == ["call 13800138000 now", "mail ann@example.com"]
    mail = run(clean, raw, config=CleanConfig(pii=PiiConfig(kinds=("email",))))
    assert [r.text for r in read_kept(mail)] == ["call 13800138000 now", "mail <EMAIL>"]
    for shingle in (Words(3), Bytes(4)):
        cleaned = run(clean, raw, config=CleanConfig(shingle=shingle))
        assert read_shingle(cleaned) == shingle


def test_short_shards_and_long_records(run: Run) -> None:
    long = "\n".join(
        f"{number} The river carried small boats. 中国银行昨日公布了财务报告。" for number in range(60_000)
    )
    assert len(long.encode()) > 4_500_000
    records = texts(long, "", "one")
    cleaned = run(clean, sharded(run, records, 5), config=CleanConfig())  # two shards have no record
    assert {r.id: r.text for r in read_kept(cleaned)} == {r.id: r.text for r in records}
    measures = {row["id"]: row for row in rows(cleaned, "measures")}
    assert measures["t:0000"]["num_lines"] == 60_000
    assert measures["t:0001"]["num_words"] == measures["t:0001"]["num_real_words"] == 0
    assert all(np.isfinite(value) for row in measures.values() for name, value in row.items() if name in MEASURES)
    alone = run(clean, sharded(run, texts("only one"), 1), config=CleanConfig())
    assert [r.text for r in read_kept(alone)] == ["only one"]


def test_a_dataset_that_was_not_cleaned_has_no_sketches(run: Run) -> None:
    with pytest.raises(ArtifactError, match="has no sketches; copies are found in what the stage clean made"):
        sketch_paths(sharded(run, RECORDS, 1))


def test_an_unknown_language_is_refused_with_those_near_it() -> None:
    with pytest.raises(RecipeError, match=r"languages has 'zh-CN'; give codes .* Near it: .*zh"):
        CleanConfig(languages=("en", "zh-CN"))
    with pytest.raises(RecipeError, match="languages is empty"):
        CleanConfig(languages=())


@pytest.mark.parametrize("make", [Words, Bytes])
def test_a_shingle_has_a_length(make: Any) -> None:
    with pytest.raises(RecipeError, match=r"shingle\.length is 0; it must be at least 1"):
        make(0)


def test_yaml_fills_every_choice() -> None:
    values = {
        "languages": ["de"],
        "pii": {"kinds": ["email"], "replacement": {"kind": "drop"}},
        "shingle": {"kind": "bytes", "length": 3},
        "engine": {"kind": "local", "workers": 2},
    }
    filled = fill(CleanConfig, values)
    assert (filled.languages, filled.shingle, filled.engine) == (("de",), Bytes(3), Local(2))
    assert filled.pii is not None
    assert filled.pii.kinds == ("email",)
    assert fill(CleanConfig, {"pii": None}) == CleanConfig(pii=None)


def test_the_slice_holds_what_is_said_of_it() -> None:
    assert sum("didn\\u00e2\\u20ac\\u2122t" in line or "didnâ€™t" in line for line in slice_lines("type")) == 1
