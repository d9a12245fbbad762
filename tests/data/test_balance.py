"""Balance: classes come nearer to one size by counted means, held-out records stay, and no shard changes anything."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_slice import evidence, texts
from set_aside import read_rejected
from sharded import FINANCE, GRAIN, PLAIN_CHINESE, sharded
from unsealed import unsealed_run

from burnish.artifacts import DatasetArtifact
from burnish.data.balance import BalanceConfig, Oversample, Smote, Undersample, balance, targets_of
from burnish.data.records import Record, read_kept
from burnish.data.shards import read_tables, shard_paths
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill
from conftest import sealed_records


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return unsealed_run(tmp_path)


SIZES = {"serious": 600, "sarcastic": 90, "rare": 7}


def records(**sizes: int) -> list[Record]:
    return [
        Record(f"{label}:{number}", f"text {number} of {label}", label, "s")
        for label, size in (sizes or SIZES).items()
        for number in range(size)
    ]


def counts(dataset: DatasetArtifact) -> dict[str | None, int]:
    labels = [record.label for record in read_kept(dataset)]
    return {label: labels.count(label) for label in dict.fromkeys(labels)}


def ids(dataset: DatasetArtifact) -> list[str]:
    return sorted(record.id for record in read_kept(dataset))


def test_undersampling_keeps_to_the_ratio_and_the_rare_class_whole(run: Run) -> None:
    done = run(balance, sharded(run, records(), 2), config=BalanceConfig())
    kept = counts(done)
    assert kept["rare"] == 7
    assert 20 <= kept["serious"] <= 21  # three times the smallest; records of one bin go together
    assert 20 <= kept["sarcastic"] <= 21
    assert len(read_kept(done)) + len(read_rejected(done)) == 697
    measured = evidence(done)
    assert measured["imbalance_ratio_before"] == pytest.approx(600 / 7)
    assert measured["imbalance_ratio_after"] == pytest.approx(max(kept.values()) / 7)
    assert measured["serious_records_before"] == 600
    assert measured["serious_records_after"] == kept["serious"]
    assert measured["records_out"] == sum(kept.values())


def test_what_is_set_aside_can_be_decided_again_from_the_ledger(run: Run) -> None:
    data = sharded(run, records(), 2)
    strict, loose = (run(balance, data, config=BalanceConfig(Undersample(ratio))) for ratio in (3.0, 9.0))
    rejected = read_rejected(strict)
    assert {rejection.rule for _, rejection in rejected} == {"undersampled"}
    share = 63 / 600  # what a ratio of 9 leaves of the class
    back = [r.id for r, why in rejected if r.label == "serious" and why.value is not None and why.value <= share]
    assert sorted([*(i for i in ids(strict) if i.startswith("serious")), *back]) == [
        identity for identity in ids(loose) if identity.startswith("serious")
    ]
    ledger = pyarrow.parquet.read_table(strict.payload / "ledger").to_pylist()
    assert {row["id"] for row in ledger} == {record.id for record, _ in rejected}
    assert all(row["value"] > row["threshold"] for row in ledger)


@pytest.mark.parametrize("method", [Undersample(2.0), Oversample(), Oversample(1.0, 9)])
def test_shards_change_nothing(run: Run, method: Undersample | Oversample) -> None:
    one, three = (run(balance, sharded(run, records(), n), config=BalanceConfig(method)) for n in (1, 3))
    assert ids(one) == ids(three)
    assert evidence(one) == evidence(three)
    other = run(balance, sharded(run, records(), 1), config=BalanceConfig(method, seed=1))
    assert ids(other) != ids(one)


def test_records_that_go_change_no_other_records_place(run: Run) -> None:
    few = [record for record in records() if record.label != "sarcastic"]
    all_kept = set(ids(run(balance, sharded(run, records(), 1), config=BalanceConfig())))
    kept = ids(run(balance, sharded(run, few, 1), config=BalanceConfig()))
    assert all_kept >= set(kept)


def test_oversampling_repeats_with_ids_of_their_own_up_to_its_bound(run: Run) -> None:
    done = run(balance, sharded(run, records(), 2), config=BalanceConfig(Oversample(3.0, 4)))
    assert counts(done) == {"serious": 600, "sarcastic": 200, "rare": 28}
    every = ids(done)
    assert len(every) == len(set(every))
    repeats = [identity for identity in every if "+rep" in identity]
    assert len(repeats) == 110 + 21
    assert all(re.fullmatch(r"(sarcastic|rare):\d+\+rep[123]", identity) for identity in repeats)
    assert evidence(done)["most_repeats"] == 4
    assert read_rejected(done) == []


def test_a_copy_is_no_planted_fault(run: Run) -> None:
    planted = [Record("bad", "x", "rare", "s", "random"), *records(serious=9)]
    done = read_kept(run(balance, sharded(run, planted, 1), config=BalanceConfig(Oversample(3.0, 4))))
    assert {record.id: record.planted for record in done if record.label == "rare"} == {
        "bad": "random",
        "bad+rep1": "",
        "bad+rep2": "",
    }


def test_held_out_records_stay_as_they_are(run: Run) -> None:
    rows = [{"id": record.id, "text": record.text, "label": record.label} for record in records(a=90, b=10)]
    data = sealed_records(run, {"train": rows, "validation": rows[:95], "test": rows})
    for method in (Undersample(1.0), Oversample(1.0)):
        done = run(balance, data, config=BalanceConfig(method))
        assert len(read_kept(done, "validation")) == 95
        assert len(read_kept(done, "test")) == 100
        assert len(read_kept(done, "train")) == {Undersample: 20, Oversample: 130}[type(method)]
        assert evidence(done)["records_in"] == 100


def test_records_without_a_label_stay(run: Run) -> None:
    plain = texts(*GRAIN)
    done = run(balance, sharded(run, [*records(a=60, b=2), *plain], 2), config=BalanceConfig())
    assert counts(done)[None] == len(plain)
    assert evidence(done)["unlabelled_records"] == len(plain)
    assert evidence(done)["records_in"] == 62


def test_real_sentences_in_two_languages_are_balanced(run: Run) -> None:
    pool = [
        *texts(*FINANCE, *PLAIN_CHINESE, label="中文"),
        *[Record(f"g:{n}", t, "en", "s") for n, t in enumerate(GRAIN[:2])],
    ]
    done = run(balance, sharded(run, pool, 1), config=BalanceConfig())
    assert counts(done) == {"中文": 6, "en": 2}
    assert evidence(done)["中文_records_after"] == 6
    assert [row["group"] for row in json.loads((done.payload / "groups.json").read_text())] == ["中文", "en"]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=2),
    st.floats(1, 50),
    st.integers(2, 9),
)
def test_targets_keep_the_ratio_or_the_bound(sizes: dict[str, int], ratio: float, most: int) -> None:
    given: dict[str | None, int] = dict(sizes.items())
    under = targets_of(given, Undersample(ratio))
    assert max(under.values()) <= max(min(sizes.values()), ratio * min(sizes.values()))
    assert all(1 <= under[name] <= size for name, size in sizes.items())
    over = targets_of(given, Oversample(ratio, most))
    for name, size in sizes.items():
        assert size <= over[name] <= size * most
        assert over[name] * ratio >= max(sizes.values()) or over[name] == size * most
    assert all(size * ratio >= max(sizes.values()) for size in targets_of(given, Smote(max_ratio=ratio)).values())


def test_one_class_is_nothing_to_balance(run: Run) -> None:
    with pytest.raises(RecipeError, match=r"the records have 1 classes \(a\); balancing needs at least 2"):
        run(balance, sharded(run, records(a=3), 1), config=BalanceConfig())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "undersample", "max_ratio": 0.5}, "max_ratio is 0.5"),
        ({"kind": "oversample", "max_repeats": 1}, "max_repeats is 1"),
        ({"kind": "smote", "num_neighbours": 0}, "num_neighbours is 0"),
        ({"kind": "undersample", "keep": {"kind": "near_miss", "version": 4}}, "version is 4"),
    ],
)
def test_yaml_is_checked(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        fill(BalanceConfig, {"method": wrong})


def test_memory_holds_no_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from burnish.data.weighing import groups

    columns: list[list[str]] = []

    def watched(shard: Path, *, schema: Any) -> Any:
        columns.append(schema.names)
        return read_tables(shard, schema=schema)

    monkeypatch.setattr(groups, "read_tables", watched)
    done = run(balance, sharded(run, records(a=9, b=9), 2), config=BalanceConfig())
    assert columns == [["id", "label", "source", "meta"]] * 2
    assert len(shard_paths(done)) == 2
