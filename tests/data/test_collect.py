"""Collect: real rows of the slice, stable ids, known truth for what is planted."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_slice import collected, evidence, slice_lines, texts, use_slice
from set_aside import read_rejected

from burnish.artifacts import Store
from burnish.data.collect import CollectConfig
from burnish.data.readers.copies import near_copy, plant_copies
from burnish.data.records import read_kept
from burnish.data.sources import GeneralText, LocalFile, PlantedCopies, RandomText, SarcasmHeadlines
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.events import Event, EventLog, Warned
from burnish.runtime.recipes import fill


@pytest.fixture(autouse=True)
def _slice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_slice(monkeypatch, tmp_path / "assets")


def test_headlines_carry_the_label_of_their_own_row(run: Run) -> None:
    records = read_kept(collected(run, SarcasmHeadlines(200, ("no", "yes"))))
    truth = [json.loads(line) for line in slice_lines("ideal")]
    assert len(records) == len({record.id for record in records}) == 200
    for record in records:
        row = truth[int(record.id.removeprefix("sarcasm_headlines:"))]
        assert record.text == row["input"][1]["content"]
        assert record.label == ("yes" if row["ideal"] == "1" else "no")
        assert record.planted == ""


def test_a_smaller_sample_starts_the_larger_and_the_seed_draws_another(run: Run) -> None:
    ids = {
        (size, seed): [record.id for record in read_kept(collected(run, SarcasmHeadlines(size), seed=seed))]
        for size, seed in ((30, 0), (90, 0), (90, 1))
    }
    assert ids[30, 0] == ids[90, 0][:30]
    assert ids[90, 0] != ids[90, 1]
    assert ids[90, 0] != sorted(ids[90, 0])


def test_random_rows_are_planted_and_general_rows_hold_no_code(run: Run) -> None:
    dataset = collected(run, GeneralText(20), RandomText())
    records = read_kept(dataset)
    assert Counter(record.planted for record in records) == {"": 20, "random": 20}
    assert {record.source for record in records if not record.planted} == {
        f"general_text/{name}" for name in ("c4", "oscar", "openwebtext", "quotes")
    }
    assert not any("<?php" in record.text for record in records)
    assert evidence(dataset)["planted_random_records"] == 20
    assert evidence(dataset)["collected_records"] == 40


def test_asking_for_more_than_there_is_names_both_numbers(run: Run) -> None:
    with pytest.raises(RecipeError, match="num_records is 201; this source has 200"):
        collected(run, SarcasmHeadlines(201))


def test_copies_keep_label_and_source_and_sort_after_their_original(run: Run) -> None:
    dataset = collected(run, SarcasmHeadlines(50), RandomText(), PlantedCopies(20, 30))
    records = {record.id: record for record in read_kept(dataset)}
    copies = [record for record in records.values() if record.planted in ("exact_copy", "near_copy")]
    assert Counter(record.planted for record in copies) == {"exact_copy": 20, "near_copy": 30}
    for copy in copies:
        original = records[copy.id.split("+")[0]]
        assert original.planted == ""  # random rows are not copied
        assert (copy.label, copy.source) == (original.label, original.source)
        assert (copy.text == original.text) == (copy.planted == "exact_copy")
        assert original.id < copy.id
    assert evidence(dataset)["planted_copy_records"] == 50


def test_more_copies_than_originals_are_refused() -> None:
    with pytest.raises(RecipeError, match="num_near is 3; the sources before it gave 2"):
        plant_copies(texts("one", "two"), PlantedCopies(0, 3), seed=0)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.randoms(use_true_random=False))
def test_a_near_copy_is_one_small_edit(text: str, rng: object) -> None:
    import random

    assert isinstance(rng, random.Random)
    edited = near_copy(text, rng)
    assert edited != text
    assert edited
    assert abs(len(edited) - len(text)) <= 1 + max(map(len, [*text.split(" "), "x"])) or edited == text.upper()


def test_equal_recipes_make_equal_bytes_in_any_store(run: Run, tmp_path: Path) -> None:
    other = Run(Store(tmp_path / "other"), EventLog(tmp_path / "other.jsonl"))
    sources = (SarcasmHeadlines(40), RandomText(), PlantedCopies(5, 5))
    digests = {collected(each, *sources, seed=3).manifest.payload_digest for each in (run, other)}
    assert len(digests) == 1
    assert collected(run, *sources, seed=4).manifest.payload_digest not in digests


def test_two_files_never_share_an_id_and_bad_rows_are_told(run: Run, tmp_path: Path, events: list[Event]) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "good row"}\n{broken\n', encoding="utf-8")
    dataset = collected(run, LocalFile(tmp_path / "a.jsonl"), LocalFile(tmp_path / "b.jsonl"))
    assert [record.id for record in read_kept(dataset)] == ["local_file:0", "local_file_2:0"]
    assert [record.id for record, _ in read_rejected(dataset)] == ["local_file:1", "local_file_2:1"]
    assert evidence(dataset)["dropped_malformed_row_records"] == 2
    assert evidence(dataset)["dropped_missing_text_records"] == 0
    assert any("2 rows could not be read" in event.message for event in events if isinstance(event, Warned))


def test_yaml_fills_the_sources() -> None:
    config = fill(
        CollectConfig,
        {
            "sources": [
                {"kind": "sarcasm_headlines", "num_records": 9},
                "random_text",
                {"kind": "local_file", "path": "x.csv", "text_key": "body"},
                {"kind": "planted_copies", "num_exact": 1, "num_near": 2},
            ]
        },
    )
    assert config.sources == (
        SarcasmHeadlines(9),
        RandomText(),
        LocalFile(Path("x.csv"), "body"),
        PlantedCopies(1, 2),
    )


@pytest.mark.parametrize(
    "sources",
    [(), (PlantedCopies(), SarcasmHeadlines()), (PlantedCopies(),), (RandomText(), PlantedCopies(), PlantedCopies())],
)
def test_copies_stand_last_and_once(sources: tuple[SarcasmHeadlines | RandomText | PlantedCopies, ...]) -> None:
    with pytest.raises(RecipeError, match="sources"):
        CollectConfig(sources)


@pytest.mark.parametrize("labels", [("one",), ("same", "same"), ("a", "b", "c"), ("a", " ")])
def test_labels_are_two_names(labels: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match="labels"):
        SarcasmHeadlines(labels=labels)
