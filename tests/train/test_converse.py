"""Chat tuning: answers are learnt and nothing else, packed as alone; what does not fit is counted; kills cost nothing."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from killing import resumed_from, seal_then_kill
from test_examples import write

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.examples import read_conversations
from burnish.learn.loop import LoopConfig
from burnish.learn.packing import Sample, pack_once
from burnish.learn.task import TokenTask, mean_loss
from burnish.nn.chat import ChatFormat
from burnish.nn.weights import open_model, open_tokenizer, quiet_transformers
from burnish.runtime import Run
from burnish.runtime.events import Event
from burnish.runtime.recipes import fill
from burnish.train.base import BaseConfig, LocalModel, take_base
from burnish.train.converse import ConverseConfig, converse
from burnish.train.example_sources import ExampleFiles
from burnish.train.examples import ExamplesConfig, take_examples
from burnish.train.methods import Full, Lora
from conftest import HEADLINES, make_model, read_lines

CONFIG = ConverseConfig(
    method=Lora(rank=4, alpha=8),
    loop=LoopConfig(num_steps=8, row_tokens=512, learning_rate=0.02, snapshot_every_steps=2, validate_every_steps=4),
    precision="fp32",
)
TALKS = [
    [(text, label), ("are you sure?", f"yes, {label} 无疑")] if n % 2 else [(text, label)]
    for n, (text, label) in enumerate(HEADLINES)
]


def messages(talk: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [
        {"role": role, "content": text} for pair in talk for role, text in zip(("user", "assistant"), pair, strict=True)
    ]


@pytest.fixture
def take(run: Run, tmp_path: Path) -> Callable[..., DatasetArtifact]:
    def taken(talks: list[list[tuple[str, str]]]) -> DatasetArtifact:
        rows = [{"id": n, "messages": messages(talk)} for n, talk in enumerate(talks)]
        held = [
            {"id": f"h{n}", "messages": [{"role": "system", "content": "Held."}, *messages(talk)]}
            for n, talk in enumerate(talks)
        ]
        sources = (
            ExampleFiles(write(tmp_path / "train.jsonl", rows), split="train"),
            ExampleFiles(write(tmp_path / "held.jsonl", held), split="validation"),
        )
        return run(take_examples, config=ExamplesConfig(sources, 0.0, 0.0))

    return taken


@pytest.fixture
def talks(take: Callable[..., DatasetArtifact]) -> DatasetArtifact:
    return take(TALKS)


def test_it_learns_the_answers(run: Run, base: ModelArtifact, talks: DatasetArtifact) -> None:
    tuned = run(converse, base, talks, config=CONFIG)
    losses = [row["loss_nats"] for row in read_lines(tuned.payload / "training_log.jsonl") if "loss_nats" in row]
    assert losses[-1] < losses[0] / 2
    assert not (tuned.payload / "left_out.jsonl").exists()
    assert tuned.measurement("train_records").value == len(TALKS)
    chat = ChatFormat(open_tokenizer(base.payload))
    samples = [chat.conversation(messages(talk)) for talk in TALKS]
    learnt = sum(sum(weights) for _, weights in samples)
    assert tuned.measurement("learnt_frac").value == pytest.approx(learnt / sum(len(ids) for ids, _ in samples))
    assert "every answer of 6 conversations is learnt" in tuned.card


def test_the_loss_is_that_of_the_answers_alone(run: Run, base: ModelArtifact, talks: DatasetArtifact) -> None:
    """The oracle: transformers' own loss on one conversation at a time, questions labelled -100."""
    chat, model = ChatFormat(open_tokenizer(base.payload)), open_model(base.payload, precision="fp32")
    total, count = 0.0, 0
    samples = []
    for conversation in read_conversations(talks, "train"):
        said = [{"role": turn.role, "content": turn.content} for turn in conversation.turns]
        ids, weights = chat.conversation(said)
        samples.append(Sample(ids, weights))
        labels = [token if weight else -100 for token, weight in zip(ids, weights, strict=True)]
        with torch.inference_mode(), quiet_transformers():
            loss = model(
                torch.tensor([ids], device=model.device), labels=torch.tensor([labels], device=model.device)
            ).loss
        num_labelled = sum(label != -100 for label in labels)
        total, count = total + float(loss) * num_labelled, count + num_labelled
    packed, alone = (mean_loss(model, pack_once(samples, row_tokens=row_tokens)) for row_tokens in (4096, 1))
    assert packed == pytest.approx(total / count, rel=1e-5)
    assert alone == pytest.approx(packed, rel=1e-5)
    whole = LoopConfig(num_steps=1, row_tokens=sum(len(sample.ids) for sample in samples))  # a row holds all of them
    tuned = run(converse, base, talks, config=replace(CONFIG, loop=whole))
    assert tuned.measurement("train_loss_nats").value == pytest.approx(total / count, rel=1e-4)


def test_a_killed_run_resumes_to_the_same_bits(
    run: Run, base: ModelArtifact, talks: DatasetArtifact, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, method=Lora(rank=4, alpha=8, dropout=0.2), loop=replace(CONFIG.loop, row_tokens=160))

    def make() -> ModelArtifact:
        return run(converse, base, talks, config=config)

    digest = seal_then_kill(run, monkeypatch, TokenTask, make, 6)
    assert make().manifest.payload_digest == digest
    assert resumed_from(events) == [4]


def test_what_is_too_long_is_cut_from_its_oldest_turns_or_left_out(
    run: Run, base: ModelArtifact, take: Callable[..., DatasetArtifact]
) -> None:
    chat = ChatFormat(open_tokenizer(base.payload))
    long = [(f"question {n}", f"answer {n}") for n in range(8)]
    endless = [("question", "x" * 900)]
    data = take([*TALKS, long, endless, [("stop<|im_end|>", "no")]])
    room = len(chat.conversation([{"role": "system", "content": "Held."}, *messages(long[5:])])[0])
    assert room > len(chat.conversation(messages(TALKS[5]))[0])
    loop = replace(CONFIG.loop, row_tokens=room, num_steps=1)
    tuned = run(converse, base, data, config=replace(CONFIG, loop=loop))
    found = {
        (row["split"], row["id"].split("/")[1]): (row["reason"], row["detail"])
        for row in read_lines(tuned.payload / "left_out.jsonl")
    }
    assert found["validation", "h6"] == ("truncated", "10 turns")  # the system turn stays, three pairs fit
    assert found["train", "6"][0] == "truncated"
    assert found["train", "7"][0] == found["validation", "h7"][0] == "too_long"
    assert found["train", "8"] == ("control_token", "<|im_end|>")
    assert tuned.measurement("train_records").value == len(TALKS) + 1
    num_truncated = sum(reason == "truncated" for reason, _ in found.values())
    assert tuned.measurement("truncated_frac").value == num_truncated / 18
    strict = run(converse, base, data, config=replace(CONFIG, loop=loop, too_long="refuse"))
    assert strict.measurement("train_records").value == len(TALKS)
    assert strict.measurement("too_long_frac").value == (num_truncated + 2) / 18
    assert strict.measurement("truncated_frac").value == 0
    with pytest.raises(RecipeError, match=r"none of the 9 conversations of split 'train' can be learnt.*row_tokens"):
        run(converse, base, data, config=replace(CONFIG, loop=replace(loop, row_tokens=8)))


def test_a_template_that_cannot_ask_for_every_answer_learns_the_last(
    run: Run, talks: DatasetArtifact, tmp_path: Path
) -> None:
    folder = make_model(tmp_path / "thinking")
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
    )
    thinking = run(take_base, config=BaseConfig(LocalModel(folder)))
    with pytest.raises(
        BurnishError, match=r"conversation train/\d: the chat template renders .* set learn: last_answer"
    ):
        run(converse, thinking, talks, config=CONFIG)
    tuned = run(converse, thinking, talks, config=replace(CONFIG, learn="last_answer"))
    assert "the last answer of 6 conversations" in tuned.card
    log = read_lines(tuned.payload / "training_log.jsonl")
    assert log[-2]["loss_nats"] < log[0]["loss_nats"]


def test_a_recipe_fills_it_and_smoothing_moves_the_loss(run: Run, base: ModelArtifact, talks: DatasetArtifact) -> None:
    filled = fill(
        ConverseConfig, {"method": "full", "learn": "last_answer", "too_long": "refuse", "loop": {"num_steps": 1}}
    )
    assert (filled.method, filled.learn, filled.too_long) == (Full(), "last_answer", "refuse")
    with pytest.raises(RecipeError, match="smoothing_frac is 1"):
        ConverseConfig(smoothing_frac=1.0)
    one = replace(CONFIG, loop=replace(CONFIG.loop, num_steps=1))
    losses = [
        run(converse, base, talks, config=replace(one, smoothing_frac=frac)).measurement("train_loss_nats").value
        for frac in (0.0, 0.5)
    ]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_the_how_to_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The page's Python as it stands, on files of the names that it gives, with fewer steps."""
    page = (Path(__file__).parents[2] / "docs/how-to/train-chat.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    make_model(tmp_path / "models/my-instruct-model")
    rows = [
        {"messages": [*messages(TALKS[n % 6])[:-1], {"role": "assistant", "content": f"答 {n}"}]} for n in range(120)
    ]
    write(tmp_path / "chats.jsonl", rows)
    (tmp_path / "texts").mkdir()
    for n in range(60):
        (tmp_path / f"texts/{n}.txt").write_text(f"{n}. {HEADLINES[n % 6][0]}", encoding="utf-8")
    names: dict[str, Any] = {}
    for block in blocks:
        assert "num_steps=200" in block
        exec(block.replace("num_steps=200", "num_steps=1"), names)  # our own page
    assert "bits/byte" in capsys.readouterr().out
    assert names["tuned"].measurement("train_records").value > 90
