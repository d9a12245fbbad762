"""Quality and parity on a tiny model: in memory, in OpenVINO, and through a real server."""

from dataclasses import dataclass, replace

import pytest
from test_finetune import CONFIG as TRAINING

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.evaluate.generate import GenerateConfig, load_generate
from burnish.evaluate.latency import LoadConfig
from burnish.evaluate.parity import ParityConfig, check_parity
from burnish.evaluate.score import ScoreConfig, score_model, score_served
from burnish.nn.chat import LabelTask
from burnish.runtime import Run
from burnish.train.finetune import finetune
from burnish.train.merge import MergeConfig, merge
from conftest import read_lines, served_form

TASK = LabelTask("Which?", ("serious", "sarcastic"))
CONFIG = ScoreConfig(TASK, test_records=6, general_records=6)


@dataclass(frozen=True)
class Chain:
    """A model on its whole way."""

    base: ModelArtifact
    tuned: ModelArtifact
    merged: ModelArtifact
    compressed: ModelArtifact
    data: DatasetArtifact


@pytest.fixture
def chain(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> Chain:
    tuned = run(finetune, base, headlines, config=replace(TRAINING, loop=replace(TRAINING.loop, num_steps=30)))
    merged = run(merge, base, tuned, config=MergeConfig())
    return Chain(base, tuned, merged, served_form(run, merged), headlines)


def test_training_on_the_test_set_scores_perfectly(run: Run, chain: Chain) -> None:
    """The headlines are the same in every split here, so a score below 1 would be the score's own fault."""
    before = run(score_model, chain.base, chain.data, chain.data, config=CONFIG)
    after = run(score_model, chain.merged, chain.data, chain.data, config=CONFIG)
    assert after.measurement("accuracy_frac").value == 1.0
    assert after.measurement("f1_frac").value == 1.0
    assert before.measurement("accuracy_frac").value < 1.0
    guesses = read_lines(after.payload / "predictions.jsonl")
    assert [row["guess"] for row in guesses] == [row["label"] for row in guesses]


def test_the_server_scores_like_the_model_in_memory(run: Run, chain: Chain) -> None:
    memory = run(score_model, chain.merged, chain.data, chain.data, config=CONFIG)
    server = run(score_served, chain.compressed, chain.data, chain.data, config=CONFIG)
    assert server.measurement("accuracy_frac").value == memory.measurement("accuracy_frac").value
    for name in ("domain_bits_per_byte", "general_bits_per_byte"):
        assert server.measurement(name).value == pytest.approx(memory.measurement(name).value, rel=0.02)


def test_parity_holds_along_a_sound_chain(run: Run, chain: Chain) -> None:
    models = (chain.base, chain.tuned, chain.merged, chain.compressed)
    config = ParityConfig(TASK, num_prompts=6, num_examples=2, served_tokens=16)
    parity = run(check_parity, *models, chain.data, config=config)
    assert parity.measurement("template_tokens_equal_frac").value == 1.0
    assert parity.measurement("kl_tuned_to_merged_nats").value < 1e-5
    assert parity.measurement("top1_agreement_tuned_to_merged_frac").value == 1.0
    assert parity.measurement("kl_merged_to_compressed_nats").value < 0.05
    assert parity.measurement("top1_agreement_compressed_to_served_frac").value > 0.9
    report = parity.read_json("parity.json")
    assert [row["name"] for row in report["handovers"]] == [
        "tuned_to_merged",
        "merged_to_compressed",
        "compressed_to_served",
    ]
    assert all(row["served"].startswith(("serious", "sarcastic")) for row in report["examples"])


def test_parity_sees_a_merge_that_lost_the_tuning(run: Run, chain: Chain) -> None:
    """The commonest fault in this field: what is served is the untuned model."""
    untuned = served_form(run, chain.base)
    config = ParityConfig(TASK, num_prompts=6, num_examples=1, served_tokens=4)
    parity = run(check_parity, chain.base, chain.tuned, chain.base, untuned, chain.data, config=config)
    assert parity.measurement("top1_agreement_tuned_to_merged_frac").value < 0.9
    assert parity.measurement("kl_tuned_to_merged_nats").value > 0.1


def test_parity_sees_a_changed_template(run: Run, chain: Chain) -> None:
    template = chain.compressed.payload / "chat_template.jinja"
    changed = template.read_text().replace("'\n' + message['content']", "'\n ' + message['content']")
    assert changed != template.read_text()
    template.write_text(changed)
    models = (chain.base, chain.tuned, chain.merged, chain.compressed)
    config = ParityConfig(TASK, num_prompts=3, num_examples=1, served_tokens=2)
    parity = run(check_parity, *models, chain.data, config=config)
    assert parity.measurement("template_tokens_equal_frac").value == pytest.approx(1 / 3)  # merged alone still agrees


def test_the_baseline_times_every_token(run: Run, chain: Chain) -> None:
    config = GenerateConfig(LoadConfig(concurrency=4, num_requests=6, max_tokens=5), precision="fp32")
    load = run(load_generate, chain.base, chain.data, config=config)
    rows = read_lines(load.payload / "requests.jsonl")
    assert [row["num_tokens"] for row in rows] == [5] * 6
    assert all(len(row["gaps_s"]) == 4 and row["ttft_s"] > 0 for row in rows)
    assert all(row["total_s"] == pytest.approx(row["ttft_s"] + sum(row["gaps_s"])) for row in rows)
    assert load.measurement("memory_bytes").value > 50e6


def test_a_label_outside_the_task_cannot_be_scored(run: Run, chain: Chain) -> None:
    config = replace(CONFIG, task=LabelTask("", ("yes", "no")))
    with pytest.raises(BurnishError, match="the task allows yes, no"):
        run(score_model, chain.base, chain.data, chain.data, config=config)


def test_more_examples_than_prompts_are_refused() -> None:
    with pytest.raises(RecipeError, match="1 <= num_examples <= num_prompts"):
        ParityConfig(TASK, num_prompts=2, num_examples=3)
