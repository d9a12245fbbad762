"""Mixture: shares follow the temperature or the weights, repeats keep to their bound, and no shard changes anything."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_slice import evidence, workdir
from set_aside import read_rejected
from sharded import sharded
from unsealed import unsealed_run

from burnish.artifacts import DatasetArtifact
from burnish.data.engine import Local
from burnish.data.mixture import Epochs, MixtureConfig, NumRecords, Temperature, Weights, mix, share_out
from burnish.data.records import Record, read_kept
from burnish.data.weighing.groups import ByLabel, ByMeta, BySource, place_records
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill
from conftest import sealed_records


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return unsealed_run(tmp_path)


SIZES = {"web": 800, "books": 160, "code": 40}


def corpus(**sizes: int) -> list[Record]:
    return [
        Record(f"{source}:{n}", f"text {n}", None, source, meta=json.dumps({"lang": "zh" if n % 4 else "en"}))
        for source, size in (sizes or SIZES).items()
        for n in range(size)
    ]


def sources(dataset: DatasetArtifact) -> Counter[str]:
    return Counter(record.source for record in read_kept(dataset))


def test_temperature_one_keeps_everything(run: Run) -> None:
    done = run(mix, sharded(run, corpus(), 2), config=MixtureConfig(shares=Temperature(1.0)))
    assert sorted(record.id for record in read_kept(done)) == sorted(record.id for record in corpus())
    assert evidence(done)["most_repeats"] == 1


def test_shares_follow_the_temperature(run: Run) -> None:
    config = MixtureConfig(shares=Temperature(2.0), budget=NumRecords(500))
    counts = sources(run(mix, sharded(run, corpus(), 2), config=config))
    roots = {name: math.sqrt(size) for name, size in SIZES.items()}
    for name, root in roots.items():
        assert counts[name] == pytest.approx(500 * root / sum(roots.values()), abs=3)


def test_a_high_temperature_makes_groups_equal_until_repeats_are_out(run: Run) -> None:
    config = MixtureConfig(shares=Temperature(1e9), max_repeats=4)
    done = run(mix, sharded(run, corpus(), 3), config=config)
    assert sources(done) == {"code": 160, "web": 420, "books": 420}
    measured = evidence(done)
    assert (measured["most_repeats"], measured["missing_records"]) == (4, 0)
    assert measured["code_share_frac"] == pytest.approx(0.16)
    assert measured["imbalance_ratio_before"] == 20
    assert measured["imbalance_ratio_after"] == pytest.approx(420 / 160)
    repeats = Counter(record.id.partition("+rep")[0] for record in read_kept(done))
    assert max(repeats.values()) == 4
    assert set(Counter(i for i in repeats if i.startswith("books")).values()) == {1}


def test_weights_name_what_goes_in(run: Run) -> None:
    data = sharded(run, corpus(), 2)
    config = MixtureConfig(shares=Weights({"web": 1.0, "code": 1.0}), budget=NumRecords(100))
    done = run(mix, data, config=config)
    assert sources(done)["books"] == 0
    assert sources(done)["code"] == 50
    assert sources(done)["web"] == pytest.approx(50, abs=1)
    assert {rejection.rule for _, rejection in read_rejected(done)} == {"undersampled"}
    assert len({record.id for record in read_kept(done)}) + len(read_rejected(done)) >= 1000
    equal = MixtureConfig(shares=Weights({}, other=1.0), budget=NumRecords(90))
    assert sources(run(mix, data, config=equal))["books"] == 30


def test_groups_by_language_and_by_label(run: Run) -> None:
    config = MixtureConfig(ByMeta("lang"), Weights({"zh": 1.0, "en": 1.0}), NumRecords(400))
    done = run(mix, sharded(run, corpus(), 2), config=config)
    languages = Counter(json.loads(record.meta or "")["lang"] for record in read_kept(done))
    assert languages["en"] == pytest.approx(200, abs=1)
    assert languages["zh"] == pytest.approx(200, abs=1)
    labelled = [Record(str(n), "x", "ab"[n % 2], "s") for n in range(20)] + [Record("none", "x", None, "s")]
    done = run(mix, sharded(run, labelled, 1), config=MixtureConfig(ByLabel(), Temperature(1.0)))
    assert evidence(done)["unnamed_records_after"] == 1


@pytest.mark.parametrize("shares", [Temperature(3.3), Weights({"web": 1.0, "code": 2.0})])
def test_shards_change_nothing_and_the_seed_does(run: Run, shares: Temperature | Weights) -> None:
    config = MixtureConfig(shares=shares)
    one, four = (run(mix, sharded(run, corpus(), number), config=config) for number in (1, 4))
    assert sorted(record.id for record in read_kept(one)) == sorted(record.id for record in read_kept(four))
    assert evidence(one) == evidence(four)
    other = run(mix, sharded(run, corpus(), 1), config=MixtureConfig(shares=shares, seed=1))
    assert {record.id for record in read_kept(other)} != {record.id for record in read_kept(one)}


def test_a_larger_budget_keeps_all_that_a_smaller_one_kept(run: Run) -> None:
    data = sharded(run, corpus(), 2)
    kept = [
        {record.id for record in read_kept(run(mix, data, config=MixtureConfig(budget=NumRecords(budget))))}
        for budget in (100, 300, 900)
    ]
    assert kept[0] < kept[1] < kept[2]


def test_held_out_splits_stay(run: Run) -> None:
    rows = [{"id": str(n), "text": "x", "source": "ab"[n % 9 == 0]} for n in range(90)]
    data = sealed_records(run, {"train": rows, "test": rows})
    done = run(mix, data, config=MixtureConfig(budget=NumRecords(20)))
    assert len(read_kept(done, "test")) == 90
    assert 19 <= len(read_kept(done, "train")) <= 20


def test_held_out_records_alone_are_nothing_to_mix(run: Run) -> None:
    data = sealed_records(run, {"test": [{"id": "1", "text": "x"}]})
    with pytest.raises(RecipeError, match="there are no training records"):
        run(mix, data, config=MixtureConfig())


def test_epochs_are_of_all_records(run: Run) -> None:
    done = run(
        mix, sharded(run, corpus(a=60, b=40), 1), config=MixtureConfig(budget=Epochs(2.5), shares=Temperature(1))
    )
    assert len(read_kept(done)) == 250
    assert evidence(done)["most_repeats"] == 3


def test_a_bound_on_repeats_leaves_the_budget_short(run: Run) -> None:
    config = MixtureConfig(budget=Epochs(9.0), max_repeats=2)
    done = run(mix, sharded(run, corpus(a=6, b=4), 1), config=config)
    assert len(read_kept(done)) == 20
    assert evidence(done)["missing_records"] == 70


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 2000), min_size=1),
    st.floats(1, 100),
    st.integers(1, 20_000),
    st.integers(1, 8),
)
def test_a_budget_is_shared_out_whole_or_every_group_is_full(
    sizes: dict[str, int], temperature: float, wanted: int, most: int
) -> None:
    given: dict[str | None, int] = dict(sizes.items())
    chances: dict[str | None, float] = {name: size ** (1 / temperature) for name, size in given.items()}
    targets = share_out(given, chances, wanted, max_repeats=most)
    assert all(0 <= targets[name] <= size * most for name, size in given.items())
    assert sum(targets.values()) == min(wanted, most * sum(sizes.values()))
    free = [name for name in given if targets[name] < given[name] * most - 1]
    if free:  # among those below their bound, the shares are those asked for
        scale = [targets[name] / chances[name] for name in free]
        slack = max(1 / chances[name] for name in free)
        assert max(scale) - min(scale) <= 2 * slack + 1e-6


def test_ranks_are_a_permutation_but_for_ties(run: Run, tmp_path: Path) -> None:

    records = corpus(a=500)
    data = sharded(run, records, 3)
    places = place_records(workdir(tmp_path / "w"), data, BySource(), seed=0, step="count", engine=Local())
    ranks = sorted(places.ranks(["a"] * 500, [record.id for record in records]).tolist())
    assert ranks[-1] == 500
    assert len(set(ranks)) > 480  # of 16,384 bins some 7 pairs meet
    assert all(rank >= at for at, rank in enumerate(ranks, start=1))  # a tie takes the last place of its bin


def test_a_user_is_told_what_is_wrong(run: Run) -> None:
    data = sharded(run, corpus(), 1)
    with pytest.raises(RecipeError, match="names 'wiki', which no record has; there are: books, code, web"):
        run(mix, data, config=MixtureConfig(shares=Weights({"wiki": 1.0})))
    many = sharded(run, [Record(str(n), "x", str(n), "s") for n in range(1001)], 1)
    with pytest.raises(RecipeError, match="more than 1000 groups"):
        run(mix, many, config=MixtureConfig(ByLabel()))
    for values, message in (
        ({"shares": {"kind": "temperature", "value": 0.5}}, "value is 0.5; it must be at least 1"),
        ({"shares": {"kind": "weights", "of": {"web": -1.0}}}, "web=-1.0"),
        ({"shares": {"kind": "weights", "of": {}}}, "all 0"),
        ({"budget": {"kind": "num_records", "value": 0}}, "value is 0"),
        ({"budget": {"kind": "epochs", "value": 0.0}}, "value is 0.0"),
        ({"max_repeats": 0}, "max_repeats is 0"),
    ):
        with pytest.raises(RecipeError, match=message):
            fill(MixtureConfig, values)
