"""The compression chain: every recipe fills; every step runs end to end on a small model, and is measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.cli.recipes import compose_recipe
from burnish.compress.quantize import bits_of
from burnish.errors import RecipeError
from burnish.loop.compress_chain import CompressRecipe, compress_chain
from burnish.loop.matrix_chain import MatrixRecipe, matrix_chain
from burnish.runtime import Run
from burnish.runtime.events import Event, StageSealed
from burnish.runtime.recipes import fill
from conftest import HEADLINES, make_model

RECIPES = sorted(path for path in Path("recipes/compress").glob("*.yaml") if path.stem != "matrix")
LOOP = {"num_steps": 2, "row_tokens": 64, "learning_rate": 0.001, "validate_every_steps": 2}
CALIBRATION = {"num_rows": 4, "row_tokens": 32}
HEAL = {"loop": LOOP, "precision": "fp32", "teacher_precision": "fp32", "validation_records": 4}
INT4 = {
    "bits": {
        "kind": "uniform",
        "grid": {"kind": "int_grid", "num_bits": 4, "group_size": 32},
        "head": {"kind": "int_grid"},
    }
}


@pytest.mark.parametrize("profile", ["full", "tiny"])
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_fills(path: Path, profile: str) -> None:
    recipe = fill(CompressRecipe, compose_recipe(path, (f"profile={profile}",)).values)
    assert recipe.seed == recipe.quality.seed == 17
    assert (recipe.quality.num_documents == 4) == (profile == "tiny")


@pytest.mark.parametrize("profile", ["full", "tiny"])
def test_the_matrix_fills(profile: str) -> None:
    recipe = fill(MatrixRecipe, compose_recipe(Path("recipes/compress/matrix.yaml"), (f"profile={profile}",)).values)
    assert len(recipe.schemes) == 5
    assert (recipe.load.num_requests == 8) == (profile == "tiny")


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A recipe's values: lines in a file, a small model in a folder."""
    records = [
        {"id": f"{copy}-{at}", "text": f"{text}, {copy} times over. {text}"}
        for copy in ("once", "twice", "thrice", "often")
        for at, (text, _) in enumerate(HEADLINES)
    ]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records))
    return {
        "collect": {"sources": [{"kind": "files", "path": str(tmp_path / "lines.jsonl"), "id_key": "id"}]},
        "clean": {"languages": ["en", "zh"], "shingle": {"kind": "bytes", "length": 3}},
        "select": {"min_words": 1, "copies": {"min_similarity": 0.99}, "min_language_score": 0.0},
        "split": {"sizes": {"kind": "by_count", "validation": 4, "test": 6}},
        "quality": {"num_documents": 6, "max_tokens": 32},
        "check": {"num_prompts": 2, "max_tokens": 8},
        "base": {"source": {"kind": "local_model", "path": str(make_model(tmp_path / "model"))}},
    }


def _forms(run: Run, values: dict[str, Any], steps: dict[str, Any]) -> dict[str, dict[str, Any]]:
    report = compress_chain(run, fill(CompressRecipe, values | steps))
    assert "<svg" in (report.payload / "index.html").read_text(encoding="utf-8")
    return {form["name"]: form["figures"] for form in report.read_json("report.json")["forms"]}


def test_the_steps_follow_each_other_and_each_form_is_measured(
    run: Run, values: dict[str, Any], events: list[Event]
) -> None:
    steps = {
        "trim": {"keep": {"kind": "num_tokens", "num_tokens": 296}, "held_out_records": 4},
        "prune": {"ffn_frac": 0.3, "calibration": CALIBRATION, "held_out_records": 4},
        "heal": HEAL,
        "control": True,
        "quantize": INT4,
        "export": [{"kind": "openvino"}],
    }
    forms = _forms(run, values, steps)
    assert list(forms) == ["base", "trimmed", "pruned", "control", "healed", "quantized", "openvino"]
    for name in ("trimmed", "pruned", "control", "healed", "quantized"):
        assert forms[name]["perplexity_ratio"]["n"] == 6, name
    assert forms["openvino"]["logit_difference_max"]["value"] < 1e-3
    assert forms["quantized"]["size_bytes"]["value"] < forms["base"]["size_bytes"]["value"] / 4
    sealed = {event.label: event.digest for event in events if isinstance(event, StageSealed)}
    bits = bits_of(run.store.open(sealed["quantized"]).payload)
    assert {name for name, each in bits.items() if each >= 16} == {name for name in bits if "norm" in name}


def test_a_student_is_healed_and_drafts(run: Run, values: dict[str, Any]) -> None:
    draft = {"num_documents": 2, "prompt_tokens": 4, "max_tokens": 4, "num_draft_tokens": 2}
    forms = _forms(run, values, {"student": {"layers": [0]}, "heal": HEAL, "draft": draft})
    assert list(forms) == ["base", "student", "healed"]
    assert "acceptance_frac" in forms["healed"]


@pytest.mark.parametrize("step", ["qat", "sparsify"])
def test_other_ways_run_too(run: Run, values: dict[str, Any], step: str) -> None:
    steps = {"qat": HEAL, "sparsify": {"calibration": CALIBRATION, "held_out_records": 4}}
    forms = _forms(run, values, {step: steps[step]})
    assert len(forms) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the recipe names no step"),
        ({"prune": {}, "student": {}}, "prune and student are both given"),
        ({"quantize": {}, "qat": {}}, "quantize and qat are both given"),
        ({"prune": {}, "control": True}, "belong to heal"),
        ({"quantize": {}, "load": {}}, "load serves the OpenVINO export"),
        ({"quantize": {}, "gates": {"quantised": {}}}, "gates names the stage call 'quantised'"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        fill(CompressRecipe, values | changes)


def test_the_matrix_serves_every_scheme(run: Run, values: dict[str, Any]) -> None:
    del values["check"]
    load = {"concurrency": 2, "num_requests": 2, "max_tokens": 4}
    recipe = fill(MatrixRecipe, values | {"schemes": {"int8": {}, "int4": INT4}, "load": load})
    report = matrix_chain(run, recipe)
    forms = {form["name"]: form["figures"] for form in report.read_json("report.json")["forms"]}
    assert list(forms) == ["float32", "int8", "int4"]
    for name in forms:
        assert forms[name]["throughput_tokens_per_s"]["value"] > 0
    assert forms["int8"]["kl_nats"]["value"] < forms["int4"]["kl_nats"]["value"]
    with pytest.raises(RecipeError, match="schemes is empty"):
        fill(MatrixRecipe, values | {"schemes": {}})
