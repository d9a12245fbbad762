"""Taking examples: each format is read for what it says, and what is no example is set aside with its reason."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.artifacts import DatasetArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.examples import Turn, read_conversations, read_preferences
from burnish.runtime import Run
from burnish.runtime.recipes import fill
from burnish.train import example_sources
from burnish.train.example_sources import ChatterbotCorpus, ExampleFiles
from burnish.train.examples import ExamplesConfig, take_examples
from burnish.train.formats import Format, Found, Unusable, read_example

SYSTEM, ASKED, ANSWERED = Turn("system", "Be brief."), Turn("user", "你好吗?"), Turn("assistant", "Fine.")
MORE, LAST = Turn("user", "And now?"), Turn("assistant", "Still fine.")
U, A = {"role": "user", "content": "你好吗?"}, {"role": "assistant", "content": "Fine."}
S = {"role": "system", "content": "Be brief."}
B = {"role": "assistant", "content": "Go away."}


@pytest.mark.parametrize(
    ("form", "record", "turns"),
    [
        ("openai", {"messages": [U, A]}, (ASKED, ANSWERED)),
        ("openai", {"messages": [S, U, {"role": "assistant", "content": [{"type": "text", "text": "Fine."}]}]},
         (SYSTEM, ASKED, ANSWERED)),
        ("openai", {"messages": [{"role": "developer", "content": "Be brief."}, U, {**A, "tool_calls": None}]},
         (SYSTEM, ASKED, ANSWERED)),
        ("openai", {"messages": [{"role": "system", "content": " "}, U, A]}, (ASKED, ANSWERED)),
        ("sharegpt", {"conversations": [{"from": "human", "value": "你好吗?"}, {"from": "gpt", "value": "Fine."}]},
         (ASKED, ANSWERED)),
        ("sharegpt", {"system": "Be brief.", "conversations": [U, A]}, (SYSTEM, ASKED, ANSWERED)),
        ("alpaca", {"instruction": "Translate.", "input": "Fine.", "output": "好。"},
         (Turn("user", "Translate.\n\nFine."), Turn("assistant", "好。"))),
        ("alpaca", {"instruction": "And now?", "input": "", "output": "Still fine.", "system": "Be brief.",
                    "history": [["你好吗?", "Fine."]]}, (SYSTEM, ASKED, ANSWERED, MORE, LAST)),
        ("completion", {"prompt": "你好吗?", "completion": "Fine."}, (ASKED, ANSWERED)),
        ("completion", {"prompt": [S, U], "completion": [A]}, (SYSTEM, ASKED, ANSWERED)),
    ],
)  # fmt: skip
def test_conversations_say_the_same_in_every_format(form: Format, record: Any, turns: tuple[Turn, ...]) -> None:
    assert read_example(record, form) == read_example(record, "auto") == Found(turns)


@pytest.mark.parametrize(
    ("record", "turns"),
    [
        ({"prompt": "你好吗?", "chosen": "Fine.", "rejected": "Go away."}, (ASKED,)),
        ({"prompt": [S, U], "chosen": [A], "rejected": [B]}, (SYSTEM, ASKED)),  # TRL, conversational
        ({"chosen": [S, U, A], "rejected": [S, U, B]}, (SYSTEM, ASKED)),  # TRL, the prompt inside
        ({"prompt": "你好吗?", "messages": [U, A], "chosen": [U, A], "rejected": [U, B], "score_chosen": 8.5}, (ASKED,)),
        ({"messages": [U], "chosen": "Fine.", "rejected": "Go away."}, (ASKED,)),
        ({"conversations": [{"from": "human", "value": "你好吗?"}], "chosen": {"from": "gpt", "value": "Fine."},
          "rejected": {"from": "gpt", "value": "Go away."}}, (ASKED,)),  # LLaMA-Factory
        ({"instruction": "你好吗?", "input": "", "chosen": "Fine.", "rejected": "Go away."}, (ASKED,)),
        ({"input": {"messages": [S, U]}, "preferred_output": [A], "non_preferred_output": [B]}, (SYSTEM, ASKED)),
    ],
)  # fmt: skip
def test_pairs_of_answers_say_the_same_in_every_shape(record: Any, turns: tuple[Turn, ...]) -> None:
    assert read_example(record) == read_example(record, "preference") == Found(turns, "Fine.", "Go away.")


@pytest.mark.parametrize(
    ("rule", "form", "record"),
    [
        ("not_an_object", "auto", "just text"),
        ("not_an_object", "auto", {"messages": ["hello"]}),
        ("unknown_format", "auto", {"text": "hello"}),
        ("missing_field", "alpaca", {"instruction": "x"}),
        ("missing_field", "preference", {"prompt": "x", "chosen": "y"}),
        ("no_turns", "auto", {"messages": []}),
        ("no_turns", "auto", {"messages": "hello"}),
        ("unknown_role", "auto", {"messages": [U, {"role": "tool", "content": "4"}]}),
        ("tool_call", "auto", {"messages": [U, {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}]}),
        ("tool_call", "auto", {"messages": [U, A], "tools": [{"name": "add"}]}),
        ("turn_weight", "auto", {"messages": [U, {**A, "weight": 0}]}),
        ("empty_turn", "auto", {"messages": [U, {"role": "assistant", "content": " \n"}]}),
        ("empty_turn", "auto", {"instruction": "", "input": "", "output": "x"}),
        ("not_text", "auto", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, A]}),
        ("not_text", "auto", {"messages": [{"role": "user", "content": "\ud800"}, A]}),
        ("wrong_order", "auto", {"messages": [U, U, A]}),
        ("wrong_order", "auto", {"messages": [A, U, A]}),
        ("wrong_order", "auto", {"messages": [U, A, S]}),
        ("no_answer", "auto", {"messages": [U]}),
        ("no_answer", "auto", {"messages": [U, A, U]}),
        ("no_answer", "auto", {"messages": [S]}),
        ("no_answer", "auto", {"chosen": [S, U], "rejected": [S, A]}),
        ("wrong_order", "auto", {"prompt": [U, A], "chosen": "x", "rejected": "y"}),
        ("wrong_order", "auto", {"chosen": "x", "rejected": "y"}),
        ("two_prompts", "auto", {"chosen": [U, A], "rejected": [S, U, B]}),
        ("same_answers", "auto", {"prompt": "x", "chosen": "y", "rejected": "y"}),
    ],
)
def test_what_is_no_example_says_why(rule: str, form: Format, record: Any) -> None:
    with pytest.raises(Unusable) as caught:
        read_example(record, form)
    assert caught.value.rule == rule


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "content", "from", "value", "messages", "conversations", "prompt", "chosen",
                         "rejected", "input", "preferred_output", "non_preferred_output", "instruction", "output",
                         "completion", "system", "history", "tools", "type", "text"]),
        inner | st.sampled_from(["user", "assistant", "system", "text"]),
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(_JSON)
def test_any_json_is_an_example_or_has_a_reason(record: Any) -> None:
    try:
        found = read_example(record)
    except Unusable as reason:
        found, rule = Found((ASKED,)), reason.rule
    else:
        rule = "none"
    assert rule
    assert found.turns
    json.dumps(found.body()).encode()


def chats(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "id": n,
            "messages": [{"role": "user", "content": f"问题 {n}?"}, {"role": "assistant", "content": f"答案 {n}."}],
        }
        for n in range(start, start + count)
    ]


def write(path: Path, rows: list[Any]) -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def ids(data: DatasetArtifact) -> dict[str, list[str]]:
    return {
        path.stem: pyarrow.parquet.read_table(path).column("id").to_pylist()
        for path in sorted((data.payload / "data").glob("*.parquet"))
    }


def set_aside(data: DatasetArtifact) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(data.payload / "rejected/examples.parquet").to_pylist()
    return rows


def test_files_of_every_kind_hold_the_same_examples(run: Run, tmp_path: Path) -> None:
    found = []
    for suffix in (".jsonl", ".json", ".parquet"):
        (tmp_path / suffix).mkdir()
        path = write(tmp_path / suffix / f"chats{suffix}", chats(80))
        data = run(take_examples, config=ExamplesConfig((ExampleFiles(path),)))
        found.append((ids(data), [tuple(c.turns) for c in read_conversations(data, "train")]))
        folder = run(take_examples, config=ExamplesConfig((ExampleFiles(tmp_path / suffix),)))
        assert ids(folder) == ids(data)
    assert found[0] == found[1] == found[2]
    assert (Turn("user", "问题 7?"), Turn("assistant", "答案 7.")) in found[0][1]


def test_an_example_keeps_its_place_when_others_come(run: Run, tmp_path: Path) -> None:
    config = ExamplesConfig((ExampleFiles(write(tmp_path / "chats.jsonl", chats(400))),), 0.1, 0.2)
    few = ids(run(take_examples, config=config))
    assert sorted(name for names in few.values() for name in names) == sorted(f"chats/{n}" for n in range(400))
    assert len(few["validation"]) == pytest.approx(40, abs=20)
    assert len(few["test"]) == pytest.approx(80, abs=30)
    write(tmp_path / "chats.jsonl", [*chats(100, start=400), *reversed(chats(400))])
    more = ids(run(take_examples, config=config))
    for split, names in few.items():
        assert [name for name in more[split] if int(name.split("/")[1]) < 400] == names
    other = ids(run(take_examples, config=ExamplesConfig(config.sources, 0.1, 0.2, seed=1)))
    assert set(other["test"]) != set(more["test"])


def test_bad_records_are_kept_aside_and_counted(run: Run, tmp_path: Path) -> None:
    path = write(
        tmp_path / "chats.jsonl", [*chats(100), chats(1, 5)[0] | {"id": "again"}, chats(1, 200)[0] | {"id": 5}]
    )
    with path.open("ab") as file:
        file.write(b'{"messages": [\n\xff\xfe\n[1, 2]\n{"messages": [{"role": "user", "content": "\\ud800"}]}\n')
    data = run(take_examples, config=ExamplesConfig((ExampleFiles(path),)))
    rows = set_aside(data)
    assert [(row["row"], row["rule"]) for row in rows] == [
        (100, "duplicate"),
        (101, "duplicate_id"),
        (102, "broken_json"),
        (103, "broken_json"),
        (104, "not_an_object"),
        (105, "not_text"),
    ]
    assert json.loads(rows[1]["record"])["messages"][0]["content"] == "问题 200?"
    assert data.measurement("kept_frac").value == pytest.approx(100 / 106)
    assert data.measurement("broken_json_records").value == 2
    assert sum(map(len, ids(data).values())) == 100


def test_records_without_an_id_are_named_by_what_they_say(run: Run, tmp_path: Path) -> None:
    rows = [{"messages": chat["messages"]} for chat in chats(60)]
    first = ids(run(take_examples, config=ExamplesConfig((ExampleFiles(write(tmp_path / "a.jsonl", rows)),))))
    both = run(
        take_examples,
        config=ExamplesConfig(
            (ExampleFiles(tmp_path / "a.jsonl"), ExampleFiles(write(tmp_path / "b.json", rows[::-1])))
        ),
    )
    assert ids(both) == first
    assert {row["rule"] for row in set_aside(both)} == {"duplicate"}


def test_pairs_are_read_back_whole(run: Run, tmp_path: Path) -> None:
    rows = [{"chosen": [U, {**A, "content": f"good {n}"}], "rejected": [U, B]} for n in range(60)]
    data = run(take_examples, config=ExamplesConfig((ExampleFiles(write(tmp_path / "p.parquet", rows)),)))
    pairs = read_preferences(data, "train")
    assert {pair.turns for pair in pairs} == {(ASKED,)}
    assert all(pair.chosen.startswith("good ") and pair.rejected == "Go away." for pair in pairs)
    with pytest.raises(BurnishError, match="is a preference; this stage learns conversations"):
        read_conversations(data, "train")


def test_a_file_may_be_a_split_of_its_own(run: Run, tmp_path: Path) -> None:
    sources = (
        ExampleFiles(write(tmp_path / "train.jsonl", chats(30)), split="train"),
        ExampleFiles(write(tmp_path / "held.jsonl", chats(9, 100)), split="validation"),
    )
    data = run(take_examples, config=ExamplesConfig(sources, 0.0, 0.0))
    assert {split: len(names) for split, names in ids(data).items()} == {"train": 30, "validation": 9}
    assert {name.split("/")[0] for name in ids(data)["validation"]} == {"held"}


def test_mistakes_say_what_to_do(run: Run, tmp_path: Path) -> None:
    def take(*rows: Any, **options: Any) -> DatasetArtifact:
        return run(
            take_examples, config=ExamplesConfig((ExampleFiles(write(tmp_path / "x.jsonl", list(rows)), **options),))
        )

    with pytest.raises(BurnishError, match=r"no record is a usable example \(1 unknown_format\).*its keys are text"):
        take({"text": "x"})
    with pytest.raises(BurnishError, match="1 conversations and 1 pairs of answers"):
        take(*chats(1), {"prompt": "x", "chosen": "y", "rejected": "z"})
    with pytest.raises(RecipeError, match="split 'validation' would be empty of 1 examples"):
        take(*chats(1))
    with pytest.raises(RecipeError, match="set test_frac to 0"):
        run(take_examples, config=ExamplesConfig((ExampleFiles(tmp_path / "x.jsonl", split="train"),
                                                  ExampleFiles(write(tmp_path / "v.jsonl", chats(2, 50)), split="validation"))))  # fmt: skip
    with pytest.raises(RecipeError, match=r"must be a folder, or end in one of: \.jsonl"):
        ExampleFiles(tmp_path / "x.csv")
    with pytest.raises(RecipeError, match=r"validation_frac is 0\.5, test_frac 0\.5"):
        ExamplesConfig((ChatterbotCorpus(),), 0.5, 0.5)
    (tmp_path / "y.json").write_text("{}")
    with pytest.raises(RecipeError, match="must hold a list of examples"):
        run(take_examples, config=ExamplesConfig((ExampleFiles(tmp_path / "y.json"),)))
    (tmp_path / "z.parquet").write_bytes(b"no parquet")
    with pytest.raises(RecipeError, match="cannot be read as Parquet"):
        run(take_examples, config=ExamplesConfig((ExampleFiles(tmp_path / "z.parquet"),)))
    filled = fill(ExamplesConfig, {"sources": [{"kind": "example_files", "path": "c.jsonl", "format": "sharegpt"},
                                               {"kind": "chatterbot_corpus", "language": "zh"}]})  # fmt: skip
    assert filled.sources == (ExampleFiles(Path("c.jsonl"), "sharegpt"), ChatterbotCorpus("zh"))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus laid out as the asset's."""
    topics = {
        "english/conversations": [["Hi", "Hello", "How are you?"], ["A?", "B.", "C?", "D."], "a broken one"],
        "english/emotion": [["Are you sad?", "No.", "Never."]],
        "english/trivia": [[f"Question {n}?", f"Answer {n}."] for n in range(40)],
        "chinese/ai": [["什么是ai", "人工智能。"]],
    }
    for name, dialogues in topics.items():
        path = tmp_path / "corpus" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"categories": [path.stem], "conversations": dialogues}), encoding="utf-8")
    monkeypatch.setattr(example_sources, "fetch", lambda _name, **_: tmp_path / "corpus")


@pytest.mark.usefixtures("corpus")
def test_the_corpus_gives_dialogues_and_other_answers(run: Run) -> None:
    data = run(take_examples, config=ExamplesConfig((ChatterbotCorpus(),), 0.2, 0.0))
    said = {
        tuple(turn.content for turn in conversation.turns)
        for split in ("train", "validation")
        for conversation in read_conversations(data, split)
    }
    assert {("Hi", "Hello"), ("A?", "B.", "C?", "D."), ("Are you sad?", "No."), ("Are you sad?", "Never.")} < said
    assert len(said) == 44
    assert [row["rule"] for row in set_aside(data)] == ["no_turns"]
    chinese = [given.record for given in example_sources.read_source(ChatterbotCorpus("zh"), lambda _: None)]
    assert read_example(chinese[0]) == Found((Turn("user", "什么是ai"), Turn("assistant", "人工智能。")))
