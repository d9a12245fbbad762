from collections import Counter

import pytest
from natural_set import collected, dataset

from burnish.artifacts import DatasetArtifact, ReportArtifact
from burnish.claims.d1_valid_share import CLAIM, ValidShareConfig, fault_of, measure_valid_share
from burnish.claims.damaged_set import DamageConfig, Truth, plant_damage, read_truth
from burnish.data.clean import CleanConfig, clean
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.records import Record, read_kept
from burnish.data.select import SelectConfig, select
from burnish.errors import RecipeError
from burnish.runtime import Run

PLANTED = {
    "mojibake": 3,
    "control_characters": 3,
    "markup": 3,
    "truncation": 3,
    "lost_characters": 2,
    "personal_data": 3,
    "shuffled_words": 2,
    "disturbed_words": 2,
    "exact_copy": 4,
    "near_copy": 3,
}
CONFIG = DamageConfig({"en": 34, "zh": 14}, PLANTED, num_random_ideographs=3)


@pytest.fixture
def planted(run: Run) -> DatasetArtifact:
    return run(plant_damage, collected(run), config=CONFIG)


def read(run: Run, planted: DatasetArtifact, kept: list[Record]) -> ReportArtifact:
    return run(measure_valid_share, planted, dataset(run, kept), config=ValidShareConfig())


def value(reading: ReportArtifact, name: str) -> float:
    return reading.measurement(name).value


def test_the_set_holds_what_was_asked_for_and_its_truth_stays_apart(planted: DatasetArtifact) -> None:
    records, truth = read_kept(planted), read_truth(planted)
    assert [record.id for record in records] == [known.id for known in truth]
    kinds = Counter(known.kind for known in truth)
    assert kinds == {**PLANTED, "random": 20, "random_ideographs": 3, "": 48 - 21}
    assert Counter(record.planted for record in records) == kinds
    assert planted.measurement("valid_before_frac").value == 27 / len(records)
    for record, known in zip(records, truth, strict=True):
        assert (record.text == known.original) == (known.kind in ("", "exact_copy"))
    damaged = {known.of for known in truth if known.kind in ("mojibake", "truncation", "personal_data")}
    assert damaged.isdisjoint(known.of for known in truth if known.kind == "")


def test_too_much_damage_for_the_texts_there_are_is_refused(run: Run) -> None:
    with pytest.raises(RecipeError, match=r"truncation can be done to 44 texts; num_planted asks for 99"):
        run(plant_damage, collected(run), config=DamageConfig({"en": 30, "zh": 14}, {"truncation": 99}))
    with pytest.raises(RecipeError, match=r"num_planted has typos: 1; the kinds are mojibake"):
        DamageConfig({}, {"typos": 1})


def test_doing_nothing_changes_nothing(run: Run, planted: DatasetArtifact) -> None:
    reading = read(run, planted, read_kept(planted))
    assert value(reading, "valid_after_frac") == value(reading, "valid_before_frac")
    assert value(reading, "faults_gone_frac") == 0
    assert value(reading, "valid_lost_frac") == 0


def test_perfect_cleaning_is_seen_as_perfect(run: Run, planted: DatasetArtifact) -> None:
    truth = {known.id: known for known in read_truth(planted)}
    good = ("", "mojibake", "control_characters", "markup", "personal_data")
    repaired = [
        Record(record.id, truth[record.id].original, None, record.source)
        for record in read_kept(planted)
        if truth[record.id].kind in good
    ]
    reading = read(run, planted, repaired)
    assert value(reading, "valid_after_frac") == value(reading, "faults_gone_frac") == 1
    assert value(reading, "valid_lost_frac") == 0
    assert reading.read_json("reading.json")["left"] == {}


def test_dropping_everything_but_one_record_is_seen_as_loss(run: Run, planted: DatasetArtifact) -> None:
    one = next(record for record in read_kept(planted) if not record.planted)
    reading = read(run, planted, [one])
    assert value(reading, "valid_after_frac") == 1
    assert value(reading, "valid_lost_frac") == 26 / 27


def test_each_fault_that_stays_is_named() -> None:
    text = "The minister promised that farmers would hear more before the harvest."
    truth = {
        "a": Truth("a", "", "a", text),
        "a+near": Truth("a+near", "near_copy", "a", text),
        "b": Truth("b", "mojibake", "b", text),
        "c": Truth("c", "personal_data", "c", text, "138 1234 5678"),
        "d": Truth("d", "", "d", text),
        "e+exact": Truth("e+exact", "exact_copy", "e", text),
        "r": Truth("r", "random", "r", ""),
    }
    kept = {
        "a+near": text.upper(),
        "a": text,
        "b": text.replace("minister", "minÃ¯ster"),
        "c": f"Call 13812345678. {text}",
        "d": text.replace("farmers", ""),
        "e+exact": text,  # its original is gone: it stands for it
        "r": "x9 kq",
    }
    faults = fault_of([Record(name, body, None, "t") for name, body in kept.items()], truth)
    assert faults == {
        "a": "", "a+near": "near_copy", "b": "mojibake", "c": "personal_data", "d": "altered", "e+exact": "", "r": "random",
    }  # fmt: skip


def test_the_real_stages_raise_the_share_and_the_reading_says_what_is_left(run: Run, planted: DatasetArtifact) -> None:
    cleaned = run(clean, planted, config=CleanConfig())
    copies = run(find_copies, cleaned, config=FindCopiesConfig())
    selected = run(select, cleaned, copies, config=SelectConfig())
    reading = run(measure_valid_share, planted, selected, config=ValidShareConfig())
    assert value(reading, "valid_after_frac") > value(reading, "valid_before_frac") + 0.3
    assert value(reading, "gone_random_ideographs_frac") == value(reading, "gone_truncation_frac") == 1
    assert {figure.name for figure in CLAIM.figures} <= {m.name for m in reading.evidence}
    body = reading.read_json("reading.json")
    left = sum(body["left"].values())
    after = reading.measurement("valid_after_frac")
    assert left == round((1 - after.value) * after.n)
    assert len(body["examples"]) == min(left, 12)
    assert "seed 0" in body["setting"]
