"""Split: by document, stable, complete, and every label everywhere."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_slice import collected, dataset, evidence, slice_lines, texts, use_slice

from burnish.artifacts import DatasetArtifact, Draft
from burnish.data.clean import clean
from burnish.data.collect import collect
from burnish.data.find_copies import find_copies
from burnish.data.records import Record, read_kept
from burnish.data.select import select
from burnish.data.sources import SarcasmHeadlines
from burnish.data.split import SPLITS, ByCount, ByFraction, SplitConfig, divide, split
from burnish.errors import RecipeError
from burnish.runtime import Run, Workdir
from burnish.runtime.recipes import fill

HEADLINES = [
    Record(f"h:{row}", line["input"][-1]["content"], line["ideal"], "h")
    for row, line in enumerate(map(json.loads, slice_lines("ideal")))
]


def places(records: list[Record], config: SplitConfig) -> dict[str, str]:
    return {record.id: name for name, part in divide(records, config).items() for record in part}


@pytest.mark.parametrize("sizes", [ByFraction(), ByFraction(0.3, 0.05), ByCount(20, 30)])
def test_every_record_has_one_place(sizes: ByFraction | ByCount) -> None:
    parts = divide(HEADLINES, SplitConfig(sizes))
    ids = [record.id for part in parts.values() for record in part]
    assert sorted(ids) == sorted(record.id for record in HEADLINES)
    assert tuple(parts) == SPLITS


def test_counts_are_exact_and_fractions_near() -> None:
    parts = divide(HEADLINES, SplitConfig(ByCount(20, 30)))
    assert [len(part) for part in parts.values()] == [150, 20, 30]
    many = texts(*(f"document number {number}" for number in range(4000)))
    parts = divide(many, SplitConfig(ByFraction(0.1, 0.2)))
    assert len(parts["validation"]) == pytest.approx(400, abs=80)  # four standard deviations
    assert len(parts["test"]) == pytest.approx(800, abs=100)


@given(st.sets(st.sampled_from(HEADLINES), min_size=1))
def test_by_fraction_no_record_moves_when_others_go(some: set[Record]) -> None:
    config = SplitConfig(ByFraction(0.2, 0.2))
    everything = places(HEADLINES, config)
    assert places(list(some), config) == {record.id: everything[record.id] for record in some}


@given(st.sets(st.sampled_from(HEADLINES), min_size=50))
def test_by_count_no_record_moves_between_the_two_held_out(some: set[Record]) -> None:
    config = SplitConfig(ByCount(20, 20))
    few, everything = places(list(some), config), places(HEADLINES, config)
    moves = {frozenset((few[record.id], everything[record.id])) for record in some}
    assert frozenset(("validation", "test")) not in moves


@given(st.permutations(HEADLINES[:40]))
def test_the_order_of_records_changes_nothing(shuffled: list[Record]) -> None:
    for sizes in (ByFraction(0.2, 0.2), ByCount(5, 5)):
        assert divide(shuffled, SplitConfig(sizes)) == divide(HEADLINES[:40], SplitConfig(sizes))


def test_the_same_text_in_another_form_has_the_same_place() -> None:
    shouted = [Record(f"s:{r.id}", f"  {r.text.upper()}!", r.label, "s") for r in HEADLINES]
    config = SplitConfig(ByFraction(0.3, 0.3))
    plain, loud = places(HEADLINES, config), places(shouted, config)
    assert {f"s:{identity}": place for identity, place in plain.items()} == loud


def test_the_seed_draws_another_split_and_order() -> None:
    one, two = (divide(HEADLINES, SplitConfig(ByCount(20, 20), seed)) for seed in (0, 1))
    assert {r.id for r in one["test"]} != {r.id for r in two["test"]}
    assert [r.id for r in one["train"]] != sorted(r.id for r in one["train"])


def test_the_stage_writes_three_files_and_their_sizes(run: Run, tmp_path: Path) -> None:
    done = run(split, dataset(run, HEADLINES), config=SplitConfig(ByCount(20, 30)))
    assert sorted(path.name for path in (done.payload / "data").iterdir()) == [
        f"{name}.parquet" for name in sorted(SPLITS)
    ]
    assert evidence(done) == {"train_records": 150, "validation_records": 20, "test_records": 30}
    assert len(read_kept(done, "test")) == pyarrow.parquet.read_table(done.payload / "data/test.parquet").num_rows == 30


def test_a_split_without_a_label_is_refused(run: Run, tmp_path: Path) -> None:
    rare = [*HEADLINES, Record("rare:0", "the only one of its kind", "unheard", "h")]
    with pytest.raises(RecipeError, match=r"no record with label 'unheard' \(1 in all\) fell into"):
        run(split, dataset(run, rare), config=SplitConfig(ByCount(20, 30)))


def test_text_without_labels_needs_none(run: Run, tmp_path: Path) -> None:
    plain = texts(*(record.text for record in HEADLINES))
    assert evidence(run(split, dataset(run, plain), config=SplitConfig(ByCount(1, 1))))["train_records"] == 198


def test_an_empty_split_and_too_large_counts_are_refused(run: Run, tmp_path: Path) -> None:
    few = dataset(run, texts("one single text"))
    with pytest.raises(RecipeError, match="would be empty"):
        run(split, few, config=SplitConfig())
    with pytest.raises(RecipeError, match="validation=1 and test=1 leave nothing of 1 records"):
        run(split, few, config=SplitConfig(ByCount(1, 1)))


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.1), (0.1, 1.0), (0.5, 0.5), (-0.1, 0.1)])
def test_fractions_leave_something_to_train_on(validation: float, test: float) -> None:
    with pytest.raises(RecipeError, match="sum below 1"):
        ByFraction(validation, test)


def test_yaml_fills_the_sizes() -> None:
    assert fill(SplitConfig, {"sizes": {"kind": "by_count", "validation": 3}}) == SplitConfig(ByCount(3, 200))
    with pytest.raises(RecipeError, match="sizes: validation=0, test=200; each must be at least 1"):
        fill(SplitConfig, {"sizes": {"kind": "by_count", "validation": 0}})


def test_the_room_says_what_its_stages_return() -> None:
    for stage in (collect, clean, find_copies, select, split):
        assert stage.__annotations__["return"] == Draft[DatasetArtifact]


def test_real_headlines_split_with_both_labels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run) -> None:
    use_slice(monkeypatch, tmp_path / "assets")
    done = run(split, collected(run, SarcasmHeadlines(200)), config=SplitConfig(ByCount(20, 20), seed=17))
    for name in SPLITS:
        assert {record.label for record in read_kept(done, name)} == {"serious", "sarcastic"}


def test_more_text_than_memory_should_hold_is_split_shard_by_shard_to_the_same_places(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, config = dataset(run, HEADLINES), SplitConfig(ByFraction(0.2, 0.2))
    monkeypatch.setattr("burnish.data.split._MAX_HELD_BYTES", 100)
    done = split(Workdir(tmp_path / "work", "split", run.events), records, config=config)
    found = {
        identity: path.stem.split("-")[0]
        for path in (tmp_path / "work/payload/data").glob("*.parquet")
        for identity in pyarrow.parquet.read_table(path).column("id").to_pylist()
    }
    assert found == places(HEADLINES, config)
    assert {m.name: m.value for m in done.evidence}["train_records"] == sum(v == "train" for v in found.values())
    with pytest.raises(RecipeError, match="by_count, which holds all records in memory"):
        split(Workdir(tmp_path / "other", "split", run.events), records, config=SplitConfig(ByCount(20, 30)))
