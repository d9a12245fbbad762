"""Select: what is good enough stays, all else goes with its reason, and other bounds cost no cleaning."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from curated import MIXED, kept_ids, ledger, reasons, selected
from real_slice import CHINESE, collected, dataset, evidence, texts, use_slice
from set_aside import read_rejected
from sharded import sharded

from burnish.artifacts import Measurement, Store
from burnish.data.records import read_kept
from burnish.data.rules import Documents, Lines
from burnish.data.select import RULES, KeepBest, SelectConfig
from burnish.data.shards import read_tables
from burnish.data.shingle import Bytes
from burnish.data.sources import GeneralText, PlantedCopies, RandomText, SarcasmHeadlines
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill


@pytest.mark.parametrize("num_shards", [1, 3])
def test_every_record_is_kept_or_goes_once_with_one_reason(
    run: Run, num_shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(read_tables.__kwdefaults__ or {}, "max_bytes", 2_000)  # several tables a shard
    made = selected(run, sharded(run, MIXED, num_shards), SelectConfig())
    kept, gone = kept_ids(made), reasons(made)
    assert kept | gone.keys() == {record.id for record in MIXED}
    assert len(read_kept(made)) + len(read_rejected(made)) == len(MIXED) == len(kept) + len(gone)
    rows = ledger(made)
    assert {row["step"] for row in rows} == {"select"}
    assert not any(row["kept"] for row in rows)
    assert {
        row["id"]: (row["rule"], row["value"], row["threshold"], row["partner_id"], row["similarity"]) for row in rows
    } == {name: (r.rule, r.value, r.threshold, r.partner_id, r.similarity) for name, r in gone.items()}
    assert len(rows) == len(gone)
    found = evidence(made)
    counts = Counter(r.rule for r in gone.values())
    assert {name: found[f"dropped_{name}_records"] for name in RULES} == {name: counts[name] for name in RULES}
    assert (found["records_in"], found["records_kept"]) == (len(MIXED), len(kept))
    assert {"exact_copy", "near_copy", "too_few_words", "language", "bullets"} <= counts.keys()
    originals = {record.id: record.text for record in MIXED}
    assert {r.id: r.text for r in read_kept(made) if r.text != originals[r.id]} == {}


def test_measures_are_there_for_every_record(run: Run) -> None:
    made = selected(run, sharded(run, MIXED, 2), SelectConfig())
    paths = sorted((made.payload / "measures").glob("*"))
    rows = {row["id"]: row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()}
    assert rows.keys() == {record.id for record in MIXED}
    assert set(rows["t:0000"]) == {"id", *RULES}
    for name, reason in reasons(made).items():
        assert rows[name][reason.rule] == pytest.approx(reason.value)


OTHER = SelectConfig(
    min_words=3,
    min_language_score=0.5,
    gibberish=None,
    documents=Documents(max_passage_frac=0.2),
    lines=None,
    copies=KeepBest(0.55),
)


def test_other_bounds_need_no_cleaning_and_give_what_all_anew_would(run: Run, tmp_path: Path) -> None:
    raw = sharded(run, MIXED, 2)
    first = selected(run, raw, SelectConfig())
    run.steps.clear()
    second = selected(run, raw, OTHER)
    assert [(step.label, step.is_cached) for step in run.steps] == [
        ("clean", True),
        ("find_copies", True),
        ("select", False),
    ]
    assert second.digest != first.digest
    anew = Run(Store(tmp_path / "another"), run.events)
    third = selected(anew, sharded(anew, MIXED, 2), OTHER)
    assert not any(step.is_cached for step in anew.steps)
    assert third.digest == second.digest
    assert (kept_ids(third), reasons(third)) == (kept_ids(second), reasons(second))
    assert kept_ids(first) != kept_ids(second)
    looked_less = selected(
        anew, sharded(anew, MIXED, 2), OTHER, looked=0.55
    )  # pairs that nobody asks for change nothing
    assert (kept_ids(looked_less), reasons(looked_less)) == (kept_ids(second), reasons(second))


def test_planted_faults_are_measured_against_all_that_were_planted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    use_slice(monkeypatch, tmp_path / "assets")
    raw = collected(run, SarcasmHeadlines(200), GeneralText(20), RandomText(), PlantedCopies(40, 40))
    made = selected(run, raw, SelectConfig(min_words=3), shingle=Bytes(3))
    kept, found = read_kept(made), evidence(made)
    num_random = sum(record.planted == "random" for record in kept)
    assert found["planted_random_caught_frac"] == pytest.approx(1 - num_random / 20)
    assert num_random <= 2
    copied = {record.id.rpartition("+")[0] for record in read_kept(raw) if record.planted.endswith("copy")}
    families = Counter(name for r in kept if (name := r.id.rpartition("+")[0] if "+" in r.id else r.id) in copied)
    num_too_many = sum(count - 1 for count in families.values())
    assert found["planted_copy_caught_frac"] == pytest.approx(1 - num_too_many / 80)
    assert num_too_many <= 4
    honest = [r for r in read_kept(raw) if not r.planted]
    lost = [r for r, reason in read_rejected(made) if not r.planted and reason.partner_id is None]
    assert found["clean_lost_frac"] == pytest.approx(len(lost) / len(honest))
    assert len(lost) <= 0.03 * len(honest)
    assert (found["planted_random_records"], found["planted_copy_records"]) == (20, 80)


def test_what_was_planted_and_came_no_more_counts_as_caught(run: Run) -> None:
    rows = [*texts("the weather is fine today in london and it will be so", "she said that it was only a joke of his")]
    rows += [
        replace(r, id="p:0", planted="random")
        for r in texts("a row that was planted and reads well all the same to the end")
    ]
    found = evidence(
        selected(run, dataset(run, rows, Measurement("planted_random_records", 8.0, "records", 10)), SelectConfig())
    )
    assert found["planted_random_caught_frac"] == 7 / 8
    assert found["clean_lost_frac"] == 0
    assert "planted_copy_caught_frac" not in found
    assert "planted_random_caught_frac" not in evidence(selected(run, dataset(run, rows), SelectConfig()))


def test_the_rules_do_not_read_what_is_planted(run: Run) -> None:
    marked = [replace(record, planted="" if record.planted else "random") for record in MIXED]
    one, other = (selected(run, sharded(run, records, 1), SelectConfig()) for records in (MIXED, marked))
    assert kept_ids(one) == kept_ids(other)


def test_the_languages_asked_for_stay(run: Run) -> None:
    french = "Le président a parlé hier soir de la guerre et du climat devant une salle comble."
    records = texts(*CHINESE, french, "東京の天気は晴れです。明日も晴れるでしょう、と予報は言いました。")
    config = SelectConfig(min_words=3)
    made = selected(run, dataset(run, records), config)
    assert kept_ids(made) == {record.id for record in records[: len(CHINESE)]}
    assert [reason.rule for reason in reasons(made).values()] == ["language"] * 2
    assert all((reason.value or 0) < 0.1 == reason.threshold for reason in reasons(made).values())
    assert [r.text for r in read_kept(selected(run, dataset(run, records), config, languages=("fr",)))] == [french]


def test_losing_everything_stops_and_names_the_rule_that_took_most(run: Run) -> None:
    with pytest.raises(
        RecipeError, match="all 3 records were dropped, 2 of them by too_few_words; check the bounds of select"
    ):
        selected(
            run,
            dataset(run, texts("a b", "c d", "новости дня из Москвы о погоде и о том что будет завтра")),
            SelectConfig(),
        )


def test_a_run_that_ends_after_it_moved_its_files_loses_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = sharded(run, MIXED, 3)

    def fail(*_: object) -> None:
        raise RecipeError("pulled out")

    with monkeypatch.context() as patch:
        patch.setattr("burnish.data.select.measure_planted", fail)
        with pytest.raises(RecipeError, match="pulled out"):
            selected(run, raw, SelectConfig())
    made = selected(run, raw, SelectConfig())
    assert kept_ids(made) | reasons(made).keys() == {record.id for record in MIXED}
    assert len(ledger(made)) == len(reasons(made)) > 20


def test_short_shards_and_empty_texts(run: Run) -> None:
    records = texts("the weather is fine today in london and it will be so", "", "!!!")
    made = selected(run, sharded(run, records, 7), SelectConfig())
    assert kept_ids(made) == {"t:0000"}
    assert len(list((made.payload / "data").iterdir())) == 7
    assert {reason.rule for reason in reasons(made).values()} == {"too_few_words"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SelectConfig(min_words=-1), "min_words is -1; it must be from 0 to 16"),
        (lambda: SelectConfig(min_words=17), "min_words is 17"),
        (lambda: SelectConfig(min_language_score=2), "min_language_score is 2"),
        (lambda: KeepBest(0.0), r"min_similarity is 0\.0; it must be above 0"),
    ],
)
def test_bounds(make: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make()


def test_yaml_fills_every_group_of_rules() -> None:
    values = {
        "min_words": 3,
        "gibberish": None,
        "documents": {"min_words": 80, "max_phrase_fracs": [0.2, 0.18, 0.16]},
        "lines": {"max_short_line_frac": 0.67},
        "copies": {"min_similarity": 0.9},
    }
    assert fill(SelectConfig, values) == SelectConfig(
        3, gibberish=None, documents=Documents(80, max_phrase_fracs=(0.2, 0.18, 0.16)), lines=Lines(max_short_line_frac=0.67), copies=KeepBest(0.9)
    )  # fmt: skip
