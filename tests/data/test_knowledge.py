"""Knowledge: facts that fit reach the text, the prompt or records of their own, and everything told can be traced."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from countries import SAYINGS, write_countries
from real_slice import evidence, texts
from sharded import sharded
from unsealed import unsealed_run

from burnish.artifacts import DatasetArtifact
from burnish.data.graphs.knowledge_text import InPrompt, InText, Mode, OwnRecords
from burnish.data.knowledge import KnowledgeConfig, inject_knowledge
from burnish.data.records import Record, read_kept
from burnish.errors import RecipeError
from burnish.runtime import Run
from conftest import sealed_records


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return unsealed_run(tmp_path)


TEXTS = (
    "Which currency does Japan use?",
    "法国的首都在哪里?",
    "Nothing here is known to the graph.",
    "The capital of France is Paris.",
)
Inject = Callable[..., DatasetArtifact]


@pytest.fixture
def inject(run: Run, tmp_path: Path) -> Inject:
    source = write_countries(tmp_path / "graph")

    def call(records: Any = None, mode: Mode | None = None, num_shards: int = 1, **more: Any) -> DatasetArtifact:
        config = KnowledgeConfig(source, SAYINGS, mode=mode or InPrompt(), **more)
        data = records if isinstance(records, DatasetArtifact) else sharded(run, records or texts(*TEXTS), num_shards)
        return run(inject_knowledge, data, config=config)

    return call


def by_id(dataset: DatasetArtifact) -> dict[str, Record]:
    return {record.id: record for record in read_kept(dataset)}


def table(dataset: DatasetArtifact, folder: str) -> list[dict[str, Any]]:
    return list(pyarrow.parquet.read_table(dataset.payload / folder).to_pylist())


def test_a_prompt_has_the_facts_that_its_words_ask_for_first(inject: Inject) -> None:
    records = by_id(inject(max_facts=1))
    assert records["t:0000"].text == "Facts:\n- The currency of Japan is the yen.\n\nWhich currency does Japan use?"
    assert records["t:0002"] == texts(*TEXTS)[2]
    assert json.loads(records["t:0000"].meta or "") == {"knowledge": ["The currency of Japan is the yen."]}


def test_a_chinese_text_is_told_in_chinese(inject: Inject) -> None:
    record = by_id(inject(max_facts=2))["t:0001"]
    assert record.text.startswith("已知事实：\n- 法国")
    assert record.text.endswith("\n\n法国的首都在哪里?")


def test_what_the_text_says_is_not_told_again(inject: Inject) -> None:
    record = by_id(inject(max_facts=50))["t:0003"]
    told = json.loads(record.meta or "")["knowledge"]
    assert "The capital of France is Paris." not in told
    assert "The currency of France is the euro." in told
    assert len(told) == len(set(told))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (InText("before"), "The currency of Japan is the yen.\nWhich currency does Japan use?"),
        (InText("after"), "Which currency does Japan use?\nThe currency of Japan is the yen."),
        (InText("inline"), "Which currency does Japan (The currency of Japan is the yen) use?"),
    ],
)
def test_facts_stand_in_the_text(inject: Inject, mode: Mode, expected: str) -> None:
    assert by_id(inject(mode=mode, max_facts=1))["t:0000"].text == expected


def test_inline_facts_stand_behind_their_own_names(inject: Inject) -> None:
    record = by_id(inject(texts("巴西和埃及都很远。"), mode=InText("inline"), relations=("currency",)))["t:0000"]
    assert record.text == "巴西（巴西的货币是雷亚尔）和埃及（埃及的货币是埃及镑）都很远。"


def test_own_records_hold_each_fact_once_and_leave_texts_alone(inject: Inject) -> None:
    records = texts("Japan is far.", "Japan is near.", "日本很远。")
    done = inject(records, mode=OwnRecords(), relations=("currency",), num_shards=3)
    kept = by_id(done)
    assert [kept[record.id] for record in records] == records
    facts = [record for record in kept.values() if record.source == "knowledge"]
    assert sorted(record.text for record in facts) == ["The currency of Japan is the yen.", "日本的货币是日元。"]
    asked = {record.text: json.loads(record.meta or "")["asked_by_records"] for record in facts}
    assert asked == {"The currency of Japan is the yen.": 2, "日本的货币是日元。": 1}


def test_the_number_of_shards_changes_nothing(inject: Inject) -> None:
    records = texts(*TEXTS, "Georgia and Brazil", "Tokyo, Cairo, London")
    for mode in (InPrompt(), OwnRecords()):
        one, three = (inject(records, mode=mode, num_shards=number) for number in (1, 3))
        assert by_id(one) == by_id(three)
        assert evidence(one) == evidence(three)


def test_links_and_ledger_say_what_was_done(inject: Inject) -> None:
    done = inject(max_facts=2)
    links = [row for row in table(done, "links") if row["id"] == "t:0003"]
    assert [(row["name"], row["entity"], row["score"]) for row in links] == [
        ("France", "FR", 1.0),
        ("Paris", "FR-capital", 1.0),
    ]
    assert [TEXTS[3][row["start"] : row["end"]] for row in links] == ["France", "Paris"]
    told = {row["id"]: (row["rule"], row["value"], row["threshold"], row["kept"]) for row in table(done, "ledger")}
    assert told["t:0000"] == ("facts_told", 2.0, 2.0, True)
    assert "t:0002" not in told
    assert evidence(done) | {
        "records_in": 4,
        "linked_records": 3,
        "linked_frac": 0.75,
        "links_per_record": 1.0,
        "injected_records": 3,
        "injected_facts": 6,
        "graph_skipped_rows": 0,
    } == evidence(done)


def test_two_hops_reach_what_a_thing_inherits_from(inject: Inject) -> None:
    near, far = (inject(texts("Where is Tokyo?"), num_hops=hops, max_facts=9) for hops in (1, 2))
    told = [json.loads(read_kept(done)[0].meta or "")["knowledge"] for done in (near, far)]
    assert "Japan lies in Asia." not in told[0]
    assert "Japan lies in Asia." in told[1]
    assert set(told[0]) < set(told[1])


def test_other_splits_can_be_left_alone(inject: Inject, run: Run) -> None:
    rows = [{"id": "1", "text": "Japan is far."}]
    data = sealed_records(run, {"train": rows, "validation": rows, "test": rows})
    done = inject(data, splits=("train",), max_facts=1)
    assert read_kept(done, "train")[0].text.startswith("Facts:")
    assert read_kept(done, "test")[0].text == "Japan is far."
    assert evidence(done)["records_in"] == 1
    own = inject(data, mode=OwnRecords(), splits=("train",), max_facts=1)
    assert "1" in {record.id for record in read_kept(own, "train")}
    assert len(read_kept(own, "train")) == 2  # the fact trains
    assert len(read_kept(own, "test")) == 1


def test_the_seed_draws_among_equals(inject: Inject) -> None:
    records = texts("Japan.", "Brazil.", "Egypt.", "France.", "China.")
    drawn = [tuple(record.text for record in read_kept(inject(records, seed=seed, max_facts=1))) for seed in range(4)]
    assert len(set(drawn)) > 1
    assert drawn[0] == tuple(record.text for record in read_kept(inject(records, seed=0, max_facts=1)))


def test_meta_that_was_there_stays(inject: Inject) -> None:
    record = Record("a", "Japan is far.", "yes", "web", meta='{"url": "x"}')
    (done,) = read_kept(inject([record], max_facts=1))
    assert json.loads(done.meta or "")["url"] == "x"
    assert (done.label, done.source) == ("yes", "web")


def test_linking_is_measured_on_labelled_texts(inject: Inject, tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    links = [{"start": 0, "end": 5, "entity": "JP"}]
    truth.write_text(json.dumps({"text": "Japan is far.", "links": links}), encoding="utf-8")
    assert evidence(inject(labelled=truth))["link_precision_frac"] == 1


def test_a_user_is_told_what_is_wrong(inject: Inject) -> None:
    with pytest.raises(RecipeError, match="none of 1 records names any of the graph's"):
        inject(texts("nothing to see"))
    with pytest.raises(RecipeError, match="relation 'colour' is in no fact of the graph; there are: capital"):
        inject(relations=("colour",))
    with pytest.raises(RecipeError, match="max_facts is 0"):
        inject(max_facts=0)
    with pytest.raises(RecipeError, match="header and header_zh must not be blank"):
        InPrompt(header=" ")


def test_a_shards_work_can_be_sent_to_another_process(tmp_path: Path) -> None:
    from burnish.data.graphs.knowledge_shard import KnowledgeShard
    from burnish.data.graphs.linking import LinkConfig

    work = KnowledgeShard(write_countries(tmp_path), SAYINGS, LinkConfig(), InPrompt(), (), 3, 1, ("train",), 0)
    assert pickle.loads(pickle.dumps(work)) == work
