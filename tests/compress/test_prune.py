"""The stage: what it writes, what it refuses, and that a killed run goes on."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.compress.calibration import CalibrationConfig
from burnish.compress.held_out import HeldOut
from burnish.compress.prune import PruneConfig, prune
from burnish.compress.pruning.depth import GreedyLoss
from burnish.compress.pruning.steps import Steps
from burnish.compress.sensitivity import GradientNorm
from burnish.errors import BurnishError, GateFailed, RecipeError
from burnish.learn.loop import LoopConfig
from burnish.learn.task import TokenTask
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Run
from burnish.train.base import BaseConfig, LocalModel, take_base
from conftest import HEADLINES, make_model, sealed_records

ROWS = CalibrationConfig(num_rows=4, row_tokens=32)
TUNING = LoopConfig(num_steps=4, row_tokens=64, learning_rate=1e-3, snapshot_every_steps=1)


@pytest.fixture
def text(run: Run) -> DatasetArtifact:
    rows = [{"id": f"h{i}", "text": f"{text}. " * 4, "label": label} for i, (text, label) in enumerate(HEADLINES)]
    return sealed_records(run, {"train": rows, "validation": rows[:4]})


@pytest.fixture
def wide(run: Run, tmp_path: Path) -> ModelArtifact:
    folder = make_model(tmp_path / "wide", intermediate_size=256, num_hidden_layers=3)
    return run(take_base, config=BaseConfig(LocalModel(folder)))


def test_a_model_becomes_smaller_in_every_way(run: Run, wide: ModelArtifact, text: DatasetArtifact) -> None:
    config = PruneConfig(0.5, num_kv_groups=1, num_layers_dropped=1, step_frac=0.25, calibration=ROWS)
    pruned = run(prune, wide, text, config=config)
    model = open_model(pruned.payload, precision="fp32")
    shape = (model.config.intermediate_size, model.config.num_key_value_heads, model.config.num_hidden_layers)
    assert shape == (128, 1, 2)
    assert pruned.measurement("num_parameters").value == sum(p.numel() for p in model.parameters())
    assert 0 < pruned.measurement("removed_frac").value < 1
    assert open_tokenizer(pruned.payload)("央行")["input_ids"] == open_tokenizer(wide.payload)("央行")["input_ids"]
    log = json.loads((pruned.payload / "pruning.json").read_text())
    assert [step["shape"]["ffn_channels"] for step in log["steps"]] == [192, 128]
    assert log["steps"][0]["loss_nats"] == pytest.approx(log["steps"][1]["loss_nats_before"])
    assert log["steps"][-1]["loss_nats"] == pruned.measurement("calibration_loss_nats").value
    assert all(step["refit_error_frac"] < 1 for step in log["steps"])
    ratio = pruned.measurement("perplexity").value / pruned.measurement("perplexity_before").value
    assert pruned.measurement("perplexity_ratio").value == pytest.approx(ratio)
    assert pruned.measurement("perplexity").n > 100


def test_the_published_recipe_tunes_after_each_step(run: Run, wide: ModelArtifact, text: DatasetArtifact) -> None:
    published = PruneConfig(0.25, criterion=GradientNorm(), reconstruction=None, step_frac=0.125, calibration=ROWS)
    untuned = run(prune, wide, text, config=published)
    tuned = run(prune, wide, text, config=replace(published, tuning=TUNING))
    steps = json.loads((tuned.payload / "pruning.json").read_text())["steps"]
    assert all(step["loss_nats"] < step["loss_nats_cut"] for step in steps)
    assert all(step["refit_error_frac"] is None for step in steps)
    assert tuned.measurement("perplexity").value < untuned.measurement("perplexity").value
    assert len((tuned.payload / "training_log.jsonl").read_text().splitlines()) == 4


def test_steps_that_break_in_any_tuning_are_kept_aside_and_counted(
    run: Run, wide: ModelArtifact, text: DatasetArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = TokenTask.backward, iter(range(1, 1000))

    def backward(*args: Any, **kwargs: Any) -> Any:
        measured = real(*args, **kwargs)
        return {"loss_nats": math.nan} if next(calls) in (2, 5, 7) else measured

    monkeypatch.setattr(TokenTask, "backward", backward)
    tuning = replace(TUNING, on_broken_step="skip")
    config = PruneConfig(0.25, step_frac=0.125, calibration=ROWS, tuning=tuning)
    pruned = run(prune, wide, text, config=config)
    kept = sorted(str(path.relative_to(pruned.payload)) for path in pruned.payload.rglob("step_*.json"))
    assert kept == [f"broken/tuning_{name}.json" for name in ("1/step_2", "2/step_1", "2/step_3")]
    assert json.loads((pruned.payload / kept[0]).read_text())["batch"][0]["ids"]
    assert pruned.measurement("skipped_steps_count").value == 3
    steps = json.loads((pruned.payload / "pruning.json").read_text())["steps"]
    assert [step["num_skipped"] for step in steps] == [1, 2]


def weights(artifact: ModelArtifact) -> Any:
    return open_model(artifact.payload, precision="fp32").state_dict()


@pytest.mark.parametrize("where", ["losses", "fit", "rename"])
def test_a_killed_run_goes_on_and_ends_the_same(
    run: Run, wide: ModelArtifact, text: DatasetArtifact, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Stop after the first step; the second attempt must not do it again, and must end where a whole run ends."""
    config = PruneConfig(0.25, step_frac=0.125, calibration=ROWS, tuning=TUNING)
    cuts: list[Any] = []
    real_cut = Steps._narrowed

    def counted(self: Any, model: Any, shape: Any) -> Any:
        cuts.append(shape)
        return real_cut(self, model, shape)

    monkeypatch.setattr(Steps, "_narrowed", counted)
    with monkeypatch.context() as patch:
        _stop_in_second_step(patch, where)
        with pytest.raises(KeyboardInterrupt):
            run(prune, wide, text, config=config)
    resumed = run(prune, wide, text, config=config)
    assert [shape.ffn_channels for shape in cuts] == [224, 192]
    log = (resumed.payload / "pruning.json").read_bytes()
    resumed_weights = weights(resumed)
    shutil.rmtree(resumed.payload.parent)
    whole = run(prune, wide, text, config=config)
    assert len(cuts) == 4
    assert (whole.payload / "pruning.json").read_bytes() == log
    for name, weight in weights(whole).items():
        torch.testing.assert_close(resumed_weights[name], weight, rtol=0, atol=0)


def _stop_in_second_step(patch: pytest.MonkeyPatch, where: str) -> None:
    owner, name, at = {
        "losses": (HeldOut, "losses", 3),  # the whole model, the first step, the second
        "fit": (TokenTask, "backward", 7),  # two steps into the second tuning
        "rename": (Path, "rename", 2),
    }[where]
    real, calls = getattr(owner, name), iter(range(1, 1000))

    def stops(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == at:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    patch.setattr(owner, name, stops)


def test_a_loss_budget_backs_off_or_stops_the_run(
    run: Run, wide: ModelArtifact, text: DatasetArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random model loses nothing by pruning, so the loss here is one that grows with what goes."""

    def grown(self: HeldOut, model: Any) -> list[float]:
        return [100 * (2 - model.config.intermediate_size / 256) for _ in self.documents]

    monkeypatch.setattr(HeldOut, "losses", grown)
    config = PruneConfig(0.75, step_frac=0.25, calibration=ROWS, max_loss_increase_frac=0.4)
    held = run(prune, wide, text, config=config)
    log = json.loads((held.payload / "pruning.json").read_text())
    widths = [(step["shape"]["ffn_channels"], step["is_good"]) for step in log["steps"]]
    assert widths == [(192, True), (128, False), (160, True)]
    assert open_model(held.payload, precision="fp32").config.intermediate_size == 160
    assert held.measurement("ffn_channels").value == 160
    assert held.measurement("good_steps_count").value == 2
    assert "64 FFN channels, 2 KV groups, 3 layers were asked for" in (held.payload.parent / "card.md").read_text()
    with pytest.raises(GateFailed, match="no step keeps the loss budget"):
        run(prune, wide, text, config=replace(config, max_loss_increase_frac=0))
    fewer = PruneConfig(0.0, num_layers_dropped=2, step_frac=0.3, calibration=ROWS, max_loss_increase_frac=0.1)

    def halved(self: HeldOut, model: Any) -> list[float]:
        return [100.0 * (2 if model.config.num_hidden_layers == 1 else 1) for _ in self.documents]

    monkeypatch.setattr(HeldOut, "losses", halved)
    steps = json.loads((run(prune, wide, text, config=fewer).payload / "pruning.json").read_text())["steps"]
    assert [(len(step["kept_layers"]), step["is_good"]) for step in steps] == [(2, True), (1, False)]
    assert set(steps[1]["kept_layers"]) < set(steps[0]["kept_layers"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ffn_frac": 1.0}, r"ffn_frac is 1\.0"),
        ({"kv_groups_frac": -0.1}, "kv_groups_frac is -0.1"),
        ({"kv_groups_frac": 0.5, "num_kv_groups": 1}, "say the same thing"),
        ({"num_layers_dropped": -1}, "num_layers_dropped is -1"),
        ({"step_frac": 0}, "step_frac is 0"),
        ({"multiple_of": 48}, "multiple_of is 48"),
        ({"max_loss_increase_frac": -1}, "max_loss_increase_frac is -1"),
        ({"held_out_records": 0}, "held_out_records is 0"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        PruneConfig(**fields)


def test_what_would_leave_nothing_is_refused(run: Run, wide: ModelArtifact, text: DatasetArtifact) -> None:
    config = PruneConfig(0.0, num_layers_dropped=3, layer_criterion=GreedyLoss(), calibration=ROWS)
    with pytest.raises(RecipeError, match="the model has 3 layers, drop at most 2"):
        run(prune, wide, text, config=config)
    with pytest.raises(BurnishError, match="no records in split 'test'"):
        run(prune, wide, text, config=PruneConfig(calibration=ROWS, held_out_split="test"))
