"""The way of the records: stages in order, their parts, and counts that agree with the shards."""

import dataclasses
from pathlib import Path

import pytest
from data_stages_made import (
    Added,
    Given,
    Measures,
    Pairs,
    Quotas,
    Sieve,
    augment,
    balance,
    clean,
    collect,
    find_copies,
    select,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.artifacts import DatasetArtifact, Measurement, Store
from burnish.data.records import read_kept
from burnish.report.data_stages import Role, Stage, trace_stages
from burnish.report.data_tally import LENGTH_EDGES, UNKNOWN, Tally, scan, tally_languages, tally_stages
from burnish.runtime import Run
from burnish.runtime.events import EventLog
from burnish.runtime.workdir import Workdir, fresh

ROWS = tuple(
    (f"r{n}", text, f"source {n % 3}")
    for n, text in enumerate(
        [
            "one two three four", "five", "六 七 八 九", "十", "# # # #", "a b c d e f g", "一 二 三 # 四 五 六 七",
            "nine ten eleven twelve", "café au lait and tea", "", "短", "last of all the rows",
        ]
    )
)  # fmt: skip


@pytest.fixture
def way(run: Run) -> tuple[DatasetArtifact, ...]:
    raw = run(collect, config=Given(ROWS, num_shards=3))
    cleaned = run(clean, raw, config=Measures(suffix="."))
    copies = run(find_copies, cleaned, config=Pairs((0.75, 0.9)))
    kept = run(select, cleaned, copies, config=Sieve(partners=(("r7", "r0", 0.9),)))
    return raw, cleaned, copies, kept


@pytest.fixture
def out(tmp_path: Path, run: Run) -> Workdir:
    return fresh(tmp_path / "report", "report", run.events)


def counted(stage: Stage) -> Tally:
    """Count a stage's records one by one."""
    tally = Tally()
    for record in read_kept(stage.artifact):
        size = len(record.text.encode())
        tally.num_records += 1
        tally.num_bytes += size
        tally.source_records[record.source] += 1
        tally.source_bytes[record.source] += size
        tally.lengths[sum(edge <= len(record.text) for edge in LENGTH_EDGES) - 1] += 1
    return tally


def same(one: Tally, other: Tally) -> bool:
    fields = [field.name for field in dataclasses.fields(Tally) if field.name != "lengths"]
    return all(getattr(one, name) == getattr(other, name) for name in fields) and bool(
        (one.lengths == other.lengths).all()
    )


def test_stages_stand_in_the_order_of_the_way_whatever_order_they_come_in(way: tuple[DatasetArtifact, ...]) -> None:
    for given_order in (way, way[::-1]):
        stages = trace_stages(given_order)
        assert [stage.words for stage in stages] == ["Collect", "Clean", "Find copies", "Select"]
        assert [stage.role for stage in stages] == [Role.SOURCE, Role.REWRITE, Role.PAIRS, Role.SIEVE]
        assert [stage.before and stage.before.words for stage in stages] == [None, "Collect", "Clean", "Clean"]
    assert stages[-1].quiet_rules == ("long_words",)
    assert trace_stages(()) == ()


def test_text_that_the_result_does_not_come_from_is_left_out(run: Run, way: tuple[DatasetArtifact, ...]) -> None:
    general = run(collect, config=Given(ROWS[:2]))
    assert general.digest not in {s.artifact.digest for s in trace_stages((general, *way))}
    assert general.digest not in {s.artifact.digest for s in trace_stages((*way, general))}
    assert [s.artifact for s in trace_stages((general,))] == [general]


def test_every_count_is_what_the_shards_hold(way: tuple[DatasetArtifact, ...], out: Workdir) -> None:
    stages = trace_stages(way)
    tallies = tally_stages(out, stages)
    for stage in stages:
        if stage.role is not Role.PAIRS:
            assert same(tallies[stage.artifact.digest], counted(stage)), stage.words
    assert tallies[way[-1].digest].num_records < tallies[way[0].digest].num_records


def test_shards_are_believed_and_not_a_stage_s_word(run: Run, way: tuple[DatasetArtifact, ...], out: Workdir) -> None:
    stages = trace_stages(way)
    wrong = dataclasses.replace(stages[-1])
    wrong.artifact.__dict__["evidence"] = (Measurement("records_kept", 3.0, "records", 3),)
    tallies = tally_stages(out, (*stages[:-1], wrong))
    assert same(tallies[way[-1].digest], scan(stages[-1].shards("data"), lambda _: None))


def test_languages_are_those_of_the_records_that_stay(way: tuple[DatasetArtifact, ...], out: Workdir) -> None:
    stages = trace_stages(way)
    kept = {record.id for record in read_kept(way[-1])}
    found = tally_languages(stages, len(kept))
    assert found is not None
    chinese = {i for i, text, _ in ROWS if any(ord(c) > 0x3000 for c in text)}
    assert found.before == {"zh": len(chinese), "en": len(ROWS) - len(chinese)}
    assert found.after == {"zh": len(chinese & kept), "en": len(kept - chinese)}
    assert sum(counts.total() for counts in found.removed.values()) == len(ROWS) - len(kept)
    assert found.removed[way[-1].digest, "too_few_words"]["zh"] == 2
    assert found.came_to(way[-1].digest) == found.before
    assert tally_languages(stages[:1], len(ROWS)) is None


def test_records_that_are_added_have_no_language(run: Run, way: tuple[DatasetArtifact, ...], out: Workdir) -> None:
    more = run(augment, way[-1], config=Added(("r0", "r2")))
    stages = trace_stages((*way, more))
    assert stages[-1].role is Role.REWRITE
    tallies = tally_stages(out, stages)
    num = tallies[more.digest].num_records
    assert num == tallies[way[-1].digest].num_records + 2
    found = tally_languages(stages, num)
    assert found is not None
    assert found.after[UNKNOWN] == 2


def test_balancing_sets_aside_what_came_and_repeats_others(
    run: Run, way: tuple[DatasetArtifact, ...], out: Workdir
) -> None:
    even = run(balance, way[-1], config=Quotas(("r2", "r5"), ("r0",)))
    stages = trace_stages((*way, even))
    assert [stage.role for stage in stages][-1] is Role.RESAMPLE
    tallies = tally_stages(out, stages)
    assert same(tallies[even.digest], counted(stages[-1]))
    found = tally_languages(stages, tallies[even.digest].num_records)
    assert found is not None
    assert found.removed[even.digest, "undersampled"] == {"zh": 1, "en": 1}
    kept = {record.id for record in read_kept(even)}
    chinese = {i for i, text, _ in ROWS if any(ord(c) > 0x3000 for c in text)}
    assert found.after == {"zh": len(chinese & kept), "en": len(kept - chinese) - 1, UNKNOWN: 1}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.sampled_from("ab 中#\n"), max_size=12), min_size=2, max_size=12), shards=st.integers(1, 4)
)
def test_what_a_sieve_kept_is_what_came_less_what_went(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], shards: int
) -> None:
    root = tmp_path_factory.mktemp("way")
    run = Run(Store(root / "store"), EventLog(root / "events.jsonl"))
    rows = (*((f"r{n}", text, "s") for n, text in enumerate(texts)), ("good", "these are four words", "t"))
    raw = run(collect, config=Given(rows, shards))
    stages = trace_stages((raw, run(select, raw, config=Sieve())))
    tallies = tally_stages(fresh(root / "report", "report", run.events), stages)
    assert same(tallies[stages[-1].artifact.digest], counted(stages[-1]))
