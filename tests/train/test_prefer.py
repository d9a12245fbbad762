"""Preference tuning: it learns which answer is better, is repeatable, resumes to the bit, and refuses what it cannot."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killing import Killed, resumed_from, seal_then_kill

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.loop import LoopConfig
from burnish.learn.packing import Sample
from burnish.learn.preference import Pair, PreferenceTask
from burnish.learn.preference_loss import Ipo
from burnish.nn.chat import ChatFormat, LabelTask
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Run, Workdir
from burnish.runtime.events import Event, Warned
from burnish.runtime.recipes import fill
from burnish.train import prefer as module
from burnish.train.methods import Full, Lora, Method
from burnish.train.pairs import FromLabels, FromPreferences, PairDesk, PairSource, read_pairs
from burnish.train.prefer import PreferConfig, prefer
from conftest import HEADLINES, read_lines

TASK = LabelTask("Which?", ("serious", "sarcastic", "neither"))
CONFIG = PreferConfig(
    method=Lora(rank=4, alpha=8),
    loop=LoopConfig(
        num_steps=8, row_tokens=512, rows_per_step=2, learning_rate=0.01, snapshot_every_steps=2, validate_every_steps=4
    ),
    precision="fp32",
)
FULL = replace(CONFIG, method=Full(), loop=replace(CONFIG.loop, learning_rate=1e-3))
ROWS = [
    {
        "turns": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": text}],
        "chosen": f"thank you, {label}",
        "rejected": "go away",
    }
    for text, label in HEADLINES
]


def sealed_preferences(run: Run, splits: dict[str, list[dict[str, Any]]]) -> DatasetArtifact:
    """Seal pairs as `learn.examples` reads them."""
    import pyarrow
    import pyarrow.parquet

    def given(out: Workdir, *, config: dict[str, list[dict[str, Any]]]) -> Draft[DatasetArtifact]:
        for split, rows in config.items():
            whole = [{"id": f"p{n}", "kind": "preference", "example": json.dumps(row)} for n, row in enumerate(rows)]
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(whole), out / f"data/{split}.parquet")
        return Draft(DatasetArtifact, (), "pairs of a test")

    return run(given, config=splits)


@pytest.fixture
def pairs(run: Run) -> DatasetArtifact:
    """Six pairs in each split."""
    return sealed_preferences(run, {"train": ROWS, "validation": ROWS})


@pytest.mark.parametrize("config", [CONFIG, FULL])
def test_it_learns_which_answer_is_better(
    run: Run, base: ModelArtifact, pairs: DatasetArtifact, config: PreferConfig
) -> None:
    tuned = run(prefer, base, pairs, config=config)
    log = read_lines(tuned.payload / "training_log.jsonl")
    steps = [row for row in log if "loss_nats" in row]
    assert steps[0]["loss_nats"] == pytest.approx(0.6931472, abs=1e-5)
    assert steps[0]["preference_accuracy_frac"] < 1
    assert steps[-1]["loss_nats"] < 0.4
    assert steps[-1]["reward_margin_nats"] > 0.5
    right = tuned.measurement("preference_accuracy_frac")
    assert (right.value, right.n) == (1, 6)
    assert right.low == pytest.approx(0.6097, abs=1e-3)  # Wilson's, 6 of 6
    assert tuned.measurement("validation_loss_nats").value < 0.4
    assert tuned.measurement("train_records").value == 6
    names = {path.name for path in tuned.payload.iterdir()}
    assert ("adapter_model.safetensors" in names) == isinstance(config.method, Lora)
    assert ("model.safetensors" in names) == isinstance(config.method, Full)


@pytest.mark.parametrize("method", [Lora(rank=4, alpha=8, dropout=0.2), Full()])
@pytest.mark.parametrize(("dies_at", "resumes_from"), [(2, 0), (6, 4)])
def test_a_killed_run_resumes_to_the_same_bits(
    run: Run,
    base: ModelArtifact,
    pairs: DatasetArtifact,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    method: Method,
    dies_at: int,
    resumes_from: int,
) -> None:
    config = replace(FULL, method=method)

    def make() -> ModelArtifact:
        return run(prefer, base, pairs, config=config)

    digest = seal_then_kill(run, monkeypatch, PreferenceTask, make, dies_at)

    def asked(*_: Any) -> Any:
        raise AssertionError("the reference was asked again")

    monkeypatch.setattr(module, "_ask_reference", asked)
    assert make().manifest.payload_digest == digest
    assert resumed_from(events) == ([resumes_from] if resumes_from else [])


def test_a_torn_reference_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "reference_logprobs.json"
    assert module._read_reference(path) == {}
    path.write_text('{"a": [-1.25, -2')
    assert module._read_reference(path) == {}
    path.write_text('{"a": [-1.25, -2.1]}')
    assert module._read_reference(path) == {"a": (-1.25, -2.1)}


def desk(base: ModelArtifact, **changes: Any) -> PairDesk:
    given: dict[str, Any] = {"row_tokens": 512, "on_unusable": "stop"}
    return PairDesk(ChatFormat(open_tokenizer(base.payload)), **given | changes)


def rendered(run: Run, base: ModelArtifact, data: DatasetArtifact, source: PairSource, seed: int = 0) -> list[Pair]:
    found: list[Pair] = []

    def reads(out: Workdir, given: DatasetArtifact, *, config: int) -> Draft[DatasetArtifact]:
        found.extend(desk(base).prepare(out, "train", read_pairs(given, "train", source, seed=config)))
        raise Killed

    with pytest.raises(Killed):
        run(reads, data, config=seed)
    return found


def test_both_answers_are_rendered_by_the_chat_template(run: Run, base: ModelArtifact, pairs: DatasetArtifact) -> None:
    tokenizer = open_tokenizer(base.payload)
    first = rendered(run, base, pairs, FromPreferences())[0]
    prompt = f"<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n{HEADLINES[0][0]}<|im_end|>\n<|im_start|>assistant\n"
    for sample, answer in ((first.chosen, "thank you, sarcastic"), (first.rejected, "go away")):
        assert tokenizer.decode(sample.ids) == f"{prompt}{answer}<|im_end|>"
        assert tokenizer.decode(learnt(sample)) == f"{answer}<|im_end|>"


def learnt(sample: Sample) -> list[int]:
    return [token for token, weight in zip(sample.ids, sample.weights, strict=True) if weight]


def test_labels_make_pairs_with_another_label_drawn_by_the_seed(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    chat = ChatFormat(open_tokenizer(base.payload))

    def made(seed: int) -> list[tuple[str, str]]:
        found = rendered(run, base, headlines, FromLabels(TASK), seed)
        return [(chat.text(tuple(learnt(p.chosen))), chat.text(tuple(learnt(p.rejected)))) for p in found]

    assert [chosen for chosen, _ in made(0)] == [label for _, label in HEADLINES]
    assert all(rejected in TASK.labels and rejected != chosen for chosen, rejected in made(0))
    assert made(0) == made(0)
    assert len({tuple(made(seed)) for seed in range(4)}) > 1
    tuned = run(prefer, base, headlines, config=replace(CONFIG, pairs=FromLabels(TASK), sft_weight=0.5))
    card = (tuned.payload.parent / "card.md").read_text(encoding="utf-8")
    assert tuned.measurement("preference_accuracy_frac").value > 0.5
    assert "6 pairs made of labels against the base, sigmoid loss at 0.1, weight 0.5" in card


def test_pairs_that_cannot_be_learnt_are_counted_and_listed(run: Run, base: ModelArtifact, events: list[Event]) -> None:
    bad = [
        ROWS[0] | {"chosen": "very long " * 300},
        ROWS[0] | {"rejected": ROWS[0]["chosen"]},
        ROWS[0] | {"chosen": " "},
        ROWS[0] | {"rejected": "no <|im_end|> yet"},
        ROWS[0] | {"turns": [{"role": "assistant", "content": "hello"}]},
        ROWS[0] | {"turns": []},
    ]
    data = sealed_preferences(run, {"train": [*ROWS, *bad], "validation": ROWS})
    tuned = run(prefer, base, data, config=CONFIG)
    left_out = tuned.measurement("left_out_frac")
    assert (left_out.value, left_out.n) == (6 / 18, 18)
    assert tuned.measurement("train_records").value == 6
    listed = read_lines(tuned.payload / "left_out.jsonl")
    assert [(row["id"], row["reason"]) for row in listed] == [
        ("p6", "too_long"),
        ("p7", "same_answers"),
        ("p8", "empty_answer"),
        ("p9", "control_token"),
        ("p10", "no_question"),
        ("p11", "no_question"),
    ]
    assert listed[3]["detail"] == "<|im_end|>"
    says = r"6 of 12 pairs of split 'train' cannot be learnt: 1 too_long \(first: p6, \d+ tokens\); .*2 no_question"
    assert any(isinstance(event, Warned) and re.match(says, event.message) for event in events)
    with pytest.raises(RecipeError, match=f"{says}.* raise loop.row_tokens or set on_unusable: leave_out"):
        run(prefer, base, data, config=replace(CONFIG, on_unusable="stop"))
    data = sealed_preferences(run, {"train": bad[1:2], "validation": ROWS})
    with pytest.raises(RecipeError, match=r"1 of 1 pairs .* 1 same_answers \(first: p0\). Clean the data$"):
        run(prefer, base, data, config=CONFIG)


def test_plain_records_are_no_pairs(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    with pytest.raises(BurnishError, match="holds plain records"):
        run(prefer, base, headlines, config=CONFIG)


def test_a_recipe_fills() -> None:
    filled = fill(
        PreferConfig,
        {"loss": {"kind": "ipo", "tau": 0.2}, "pairs": {"kind": "from_labels", "task": {"labels": ["a", "b"]}},
         "loop": {"num_steps": 3}, "sft_weight": 1},
    )  # fmt: skip
    assert filled.loss == Ipo(0.2)
    assert filled.pairs == FromLabels(LabelTask(labels=("a", "b")))
    assert (filled.loop.num_steps, filled.loop.learning_rate) == (3, 5e-6)
    with pytest.raises(RecipeError, match="sft_weight is -1"):
        fill(PreferConfig, {"sft_weight": -1})
