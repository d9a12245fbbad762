"""The plan of models: limits, the pick, honest skips, and speeds that are timed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from burnish.cli.main import burnish, exit_code
from burnish.errors import BurnishError, RecipeError
from burnish.nn.model_size import size_of
from burnish.plan import model_speed
from burnish.plan.model_catalogue import CATALOGUE, Candidate, own_candidate
from burnish.plan.model_pick import pick
from burnish.plan.model_speed import Speed, Untimed, time_candidate
from burnish.plan.models import (
    Limits,
    Row,
    candidates_for,
    excesses,
    machine_memory_gb,
    measure_rows,
)

BY_NAME = {candidate.name: candidate for candidate in CATALOGUE}
TINY = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 300,
}


def row(name: str, read_ms: float | None = None, step_ms: float | None = None) -> Row:
    candidate = BY_NAME[name]
    speed = Untimed("the time budget ran out first") if read_ms is None else (
        Speed(read_ms / 1000, None if step_ms is None else step_ms / 1000, 2, "by hand")
    )  # fmt: skip
    return Row(candidate, size_of(candidate.config), speed)


def test_the_pick_meets_every_limit_and_does_most_arithmetic() -> None:
    rows = [row("SmolLM2-135M", 100, 10), row("Qwen2.5-0.5B", 200, 20), row("Qwen3-0.6B", 300, 90)]
    assert named(pick(rows, Limits("generate"))) == "Qwen3-0.6B"
    assert named(pick(rows, Limits("generate", max_memory_gb=1.1))) == "Qwen2.5-0.5B"
    assert named(pick(rows, Limits("generate", max_p50_ms=1000))) == "Qwen2.5-0.5B"  # 200 + 31 x 20 = 820 ms
    assert named(pick(rows, Limits("generate", max_p50_ms=500))) == "SmolLM2-135M"
    assert named(pick(rows, Limits("generate", min_tokens_per_s=40))) == "Qwen2.5-0.5B"
    assert named(pick(rows, Limits("classify", max_p50_ms=250))) == "Qwen2.5-0.5B"  # one reading, nothing new


def named(choice: Any) -> str | None:
    return choice.picked.candidate.name if choice.picked else None


def test_of_equal_arithmetic_the_smaller_is_picked() -> None:
    rows = [row("DeepSeek-R1-Distill-Qwen-1.5B", 1, 1), row("Qwen2.5-1.5B", 1, 1)]
    assert named(pick(rows, Limits("generate"))) == "Qwen2.5-1.5B"


def test_no_fit_names_the_limit_that_binds_and_by_how_much() -> None:
    rows = [row("SmolLM2-135M", 100, 10), row("Qwen2.5-0.5B", 200, 20)]
    choice = pick(rows, Limits("generate", max_memory_gb=5, max_p50_ms=100))
    assert choice.picked is None
    assert choice.reason == (
        "None of 2 candidates meets the limits. The time limit binds: the nearest, SmolLM2-135M, takes 410 ms, 310 ms "
        "above --max-p50-ms 100."
    )
    choice = pick(rows, Limits("generate", max_memory_gb=0.2))
    assert "The memory limit binds: the nearest, SmolLM2-135M, needs 0.363 GB, 0.16 GB above" in choice.reason


def test_what_has_no_speed_is_not_picked_under_a_limit_on_time_and_is_said() -> None:
    rows = [row("SmolLM2-135M", 100, 10), row("Qwen2.5-0.5B")]
    choice = pick(rows, Limits("generate", max_p50_ms=1000))
    assert named(choice) == "SmolLM2-135M"
    assert "1 more have no speed" in choice.reason
    choice = pick([row("Qwen2.5-0.5B")], Limits("generate", max_p50_ms=1000))
    assert choice.picked is None
    assert "could not be judged, having no speed (Qwen2.5-0.5B: the time budget ran out first)" in choice.reason


def test_memory_is_that_of_the_purpose() -> None:
    smol = row("SmolLM2-135M")
    serve, lora, full = (smol.memory_bytes(Limits("generate", purpose=p)) for p in ("serve", "lora", "full"))
    assert serve == 2 * 134_515_008 + 4096 * 30 * 2 * 3 * 64 * 2
    assert smol.memory_bytes(Limits("generate", held="int8")) < serve < lora < full
    assert full == smol.size.training_bytes(1024)


@pytest.mark.parametrize("limits", [{"max_memory_gb": 0}, {"max_p50_ms": -1}, {"min_tokens_per_s": float("inf")}])
def test_a_limit_must_be_above_0(limits: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match="must be above 0, and finite"):
        Limits("generate", **limits)  # type: ignore[arg-type]


def test_tokens_of_images_are_refused() -> None:
    with pytest.raises(RecipeError, match="bound its time with --max-p50-ms"):
        Limits("image", min_tokens_per_s=1)


def test_lora_is_not_offered_for_convolutions() -> None:
    names = [candidate.name for candidate, _ in candidates_for("image", CATALOGUE, "lora")]
    assert names == ["ViT-B/16", "CLIP ViT-B/32"]


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        {**TINY, "model_type": "deepseek_v2", "num_key_value_heads": 2, "kv_lora_rank": 8, "qk_nope_head_dim": 16,
         "qk_rope_head_dim": 8, "v_head_dim": 16, "q_lora_rank": None, "moe_intermediate_size": 16,
         "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 2},
    ],
    ids=["dense", "experts"],
)  # fmt: skip
def test_a_decoder_is_timed_by_its_layers(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_speed, "_WHOLE_BELOW", 0)
    candidate = Candidate("tiny", config, "a test")
    speed = time_candidate(candidate, size_of(config), until_s=time.monotonic() + 60)
    assert isinstance(speed, Speed)
    assert speed.num_timed_layers == 2
    assert speed.step_s is not None
    assert 0 < speed.step_s < 5 * speed.read_s
    assert "2 of 6 layers, extrapolated to all, and the head" in speed.how


def test_extrapolation_is_near_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of twelve layers, times six, against all twelve; wide bounds, since the machine is shared."""
    config = {**TINY, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 12}
    candidate, size = Candidate("tiny", config, "a test"), size_of(config)
    whole = time_candidate(candidate, size, until_s=time.monotonic() + 60)
    monkeypatch.setattr(model_speed, "_WHOLE_BELOW", 0)
    part = time_candidate(candidate, size, until_s=time.monotonic() + 60)
    assert isinstance(whole, Speed)
    assert isinstance(part, Speed)
    assert (whole.num_timed_layers, part.num_timed_layers) == (12, 2)
    assert 1 / 5 < part.read_s / whole.read_s < 5


@pytest.mark.parametrize("name", ["BERT-tiny", "MobileNetV2"])
def test_small_models_are_timed_whole(name: str) -> None:
    size = size_of(BY_NAME[name].config)
    speed = time_candidate(BY_NAME[name], size, until_s=time.monotonic() + 120)
    assert isinstance(speed, Speed)
    assert (speed.num_timed_layers, speed.step_s) == (size.num_layers, None)
    assert ", whole;" in speed.how


def test_clip_is_timed_by_its_image_tower() -> None:
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = {
        "model_type": "clip",
        "projection_dim": 16,
        "text_config": {**tower, "vocab_size": 100},
        "vision_config": {**tower, "image_size": 32, "patch_size": 16},
    }
    speed = time_candidate(Candidate("c", config, "a test"), size_of(config), until_s=time.monotonic() + 60)
    assert isinstance(speed, Speed)


def test_what_does_not_fit_is_skipped_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_speed, "free_memory_bytes", lambda: 2**30)
    found = time_candidate(BY_NAME["DeepSeek-V3"], size_of(BY_NAME["DeepSeek-V3"].config), until_s=time.monotonic() + 9)
    assert found == Untimed("its weights take 1249.9 GiB in bf16, and 1.0 GiB are free")


def test_a_spent_budget_times_nothing() -> None:
    found = time_candidate(Candidate("t", TINY, "a test"), size_of(TINY), until_s=time.monotonic() - 1)
    assert found == Untimed("the time budget ran out first")


def test_a_config_that_transformers_cannot_run_is_said() -> None:
    config = {**TINY, "num_key_value_heads": 3, "num_attention_heads": 4}
    found = time_candidate(Candidate("t", config, "a test"), size_of(config), until_s=time.monotonic() + 30)
    assert isinstance(found, Untimed)
    assert found.reason.startswith("it could not be built and run: ")


def test_candidates_over_the_memory_limit_are_not_timed() -> None:
    heard: list[str] = []
    own = Candidate("tiny", TINY, "a test")
    sized = candidates_for("generate", [own, BY_NAME["Qwen3-8B"]])
    limits = Limits("generate", max_memory_gb=1)
    small, large = measure_rows(sized, limits, seconds=60, tell=heard.append)
    assert heard == ["tiny"]
    assert isinstance(small.speed, Speed)
    assert large.speed == Untimed("over the memory limit")
    assert [excess.limit for excess in excesses(large, limits)] == ["memory"]


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(burnish, ["plan", "models", *arguments], standalone_mode=False)


def test_the_command_prints_a_table_and_a_pick_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(__import__("sys").modules, "torch", None)  # importing it would fail
    result = plan("--seconds", "0", "--max-memory-gb", "4")
    assert result.return_value == 0
    assert "SmolLM2-135M" in result.stdout
    assert "671B (37.6B active)" in result.stdout
    assert "pick: Qwen3-1.7B" in result.stdout
    assert "Its speed is not known" in result.stdout


def test_no_fit_ends_with_3() -> None:
    result = plan("--seconds", "0", "--max-memory-gb", "0.1")
    assert result.return_value == 3
    assert "None of 14 candidates meets the limits. The memory limit binds" in result.stdout


def test_json_has_every_candidate_and_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text(json.dumps({**TINY, "layer_types": ["full_attention"] * 6}))
    result = plan("--model", str(tmp_path / "mine"), "--max-memory-gb", "0.01", "--max-p50-ms", "60000", "--json")
    body = json.loads(result.stdout)
    assert (body["pick"], result.return_value) == ("mine", 0)
    assert len(body["candidates"]) == 15
    mine = body["candidates"][0]
    assert mine["parameters"] == size_of(TINY).parameters
    assert mine["p50_ms"] == pytest.approx(mine["read_ms"] + 31 * 1000 / mine["decode_tokens_per_s"])
    assert body["candidates"][1]["not_timed"] == "over the memory limit"
    assert body["machine"]["num_cores"] >= 1


def test_a_scene_brings_task_and_bound_and_options_overrule(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Limits] = []

    def measured(sized: Any, limits: Limits, **_: Any) -> list[Row]:
        asked.append(limits)
        return [row("BERT-tiny", 1)]

    monkeypatch.setattr("burnish.plan.models.measure_rows", measured)
    assert plan("--scene", "fraud").return_value == 0
    assert plan("--scene", "fraud", "--max-p50-ms", "100", "--task", "embed").return_value == 0
    assert [(limits.task, limits.max_p50_ms) for limits in asked] == [("classify", 480), ("embed", 100)]
    assert asked[0].max_memory_gb == round(machine_memory_gb(), 1)


def test_the_machines_memory_is_its_largest_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"gpus": ["NVIDIA L4, 23034 MiB, 1", "NVIDIA H100 80GB HBM3, 81559 MiB, 1"], "memory_bytes": 10}
    monkeypatch.setattr("burnish.plan.models.hardware", lambda: found)
    assert machine_memory_gb() == 81559 * 2**20 / 1e9
    monkeypatch.setattr("burnish.plan.models.hardware", lambda: {"gpus": [], "memory_bytes": 8e9})
    assert machine_memory_gb() == 8


def test_a_limit_on_time_needs_time(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", "models", "--seconds", "0", "--max-p50-ms", "5"]
    assert exit_code(lambda: burnish.main(arguments, standalone_mode=False)) == 2
    assert "--seconds is 0 and a limit is on time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, r"cannot be read \(No such file.*give a model's folder or its config.json"),
        ("{", "is no JSON"),
        ("[]", "holds no JSON object"),
        ('{"model_type": "mamba"}', "sizes are known of"),
    ],
)
def test_a_wrong_model_is_said(tmp_path: Path, body: str | None, message: str) -> None:
    if body is not None:
        (tmp_path / "config.json").write_text(body)
    with pytest.raises(BurnishError, match=message):
        own_candidate(tmp_path)
