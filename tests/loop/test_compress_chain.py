"""The compression chain: every recipe fills; every step runs end to end on a small model, and is measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.cli.recipes import compose_recipe
from burnish.compress.quantize import bits_of
from burnish.errors import GateFailed, RecipeError
from burnish.loop.compress_chain import CompressRecipe, compress_chain
from burnish.loop.matrix_chain import MatrixRecipe, matrix_chain
from burnish.runtime import Run
from burnish.runtime.events import Event, StageCached, StageSealed
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


def _made(run: Run, values: dict[str, Any], steps: dict[str, Any]) -> dict[str, Any]:
    """Run the chain; give report.json."""
    report = compress_chain(run, fill(CompressRecipe, values | steps))
    assert "<svg" in (report.payload / "index.html").read_text(encoding="utf-8")
    facts: dict[str, Any] = report.read_json("report.json")
    return facts


def _forms(run: Run, values: dict[str, Any], steps: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {form["name"]: form["figures"] for form in _made(run, values, steps)["forms"]}


def _called(events: list[Event]) -> set[str]:
    return {event.label for event in events if isinstance(event, StageSealed | StageCached)}


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
    assert _called(events) == set(fill(CompressRecipe, values | steps).labels())


def test_of_forms_as_small_as_each_other_the_one_that_was_healed_is_the_best(run: Run, values: dict[str, Any]) -> None:
    heal = HEAL | {"loop": LOOP | {"num_steps": 20, "learning_rate": 0.01}}
    prune = {"ffn_frac": 0.3, "calibration": CALIBRATION, "held_out_records": 4}
    facts = _made(run, values, {"prune": prune, "heal": heal, "control": True})
    forms = {form["name"]: form["figures"] for form in facts["forms"]}
    sizes = [forms[name]["size_bytes"]["value"] for name in ("pruned", "control", "healed")]
    assert max(sizes) < 1.001 * min(sizes)
    assert len({forms[name]["num_parameters"]["value"] for name in ("pruned", "control", "healed")}) == 1
    best = min(("pruned", "control", "healed"), key=lambda name: forms[name]["perplexity_ratio"]["value"])
    assert best != "pruned"
    assert facts["headline"].startswith(f"The smallest of 4 forms, {best}, is ")


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
    assert all("size_bytes" in figures for figures in forms.values())


def test_two_exports_for_one_engine_are_two_forms(run: Run, values: dict[str, Any], events: list[Event]) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install 'burnish[export]'")
    export = [{"kind": "gguf"}, {"kind": "gguf", "float_type": "f16"}]
    forms = _forms(run, values, {"export": export})
    assert list(forms) == ["base", "gguf", "gguf float_type=f16"]
    assert forms["gguf float_type=f16"]["size_bytes"]["value"] < forms["gguf"]["size_bytes"]["value"]
    assert _called(events) == set(fill(CompressRecipe, values | {"export": export}).labels())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the recipe names no step"),
        ({"prune": {}, "student": {}}, "prune and student are both given"),
        ({"quantize": {}, "qat": {}}, "quantize and qat are both given"),
        ({"prune": {}, "control": True}, "belong to heal"),
        ({"quantize": {}, "load": {}}, "load serves the OpenVINO export"),
        ({"quantize": {}, "gates": {"quantised": {}}}, "gates names the stage call 'quantised'"),
        (
            {"quantize": {}, "gates": {"healed": {}}},
            "'healed'; there are: collect, .*, base, quantized, quantized quality, rep",
        ),
        ({"quantize": {}, "gates": {"openvino": {}}}, "gates names the stage call 'openvino'"),
        ({"export": ["openvino"], "check": None, "gates": {"openvino parity": {}}}, "the stage call 'openvino parity'"),
        ({"export": ["onnx", {"kind": "onnx"}]}, "export names onnx twice with the same values"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        fill(CompressRecipe, values | changes)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"export": ["executorch"]}, "executorch"),
        ({"export": ["openvino"], "load": {}}, "base openvino"),
        ({"export": ["openvino"], "load": {}}, "openvino load"),
        ({"heal": {}, "draft": {}, "student": {}}, "draft"),
    ],
)
def test_every_call_may_be_bounded(values: dict[str, Any], changes: dict[str, Any], label: str) -> None:
    assert list(fill(CompressRecipe, values | changes | {"gates": {label: {}}}).gates) == [label]


def test_a_bound_on_a_form_is_held(run: Run, values: dict[str, Any]) -> None:
    gates = {"base openvino": {"size_bytes": {"at_most": 1}}}
    load = {"concurrency": 1, "num_requests": 2, "max_tokens": 2}
    steps = {"export": ["openvino"], "check": None, "load": load, "gates": gates}
    with pytest.raises(GateFailed, match="gate size_bytes"):
        compress_chain(run, fill(CompressRecipe, values | steps))


def test_the_matrix_serves_every_scheme(run: Run, values: dict[str, Any], events: list[Event]) -> None:
    del values["check"]
    load = {"concurrency": 2, "num_requests": 2, "max_tokens": 4}
    loop = {"num_steps": 2, "row_tokens": 32, "validate_every_steps": 2, "snapshot_every_steps": 1}
    floats = {"precision": "fp32", "teacher_precision": "fp32"}
    hybrid = {**INT4, **floats, "activation_bits": 8, "loop": loop, "validation_records": 2}
    trained = {"hybrid": hybrid}
    named = {"schemes": {"int8": {}, "int4": INT4}, "trained": trained, "float_activations": ["int8"]}
    recipe = fill(MatrixRecipe, values | named | {"load": load})
    report = matrix_chain(run, recipe)
    forms = {form["name"]: form["figures"] for form in report.read_json("report.json")["forms"]}
    assert list(forms) == ["float32", "int8", "int8, float activations", "int4", "hybrid"]
    for name in forms:
        assert forms[name]["throughput_tokens_per_s"]["value"] > 0
        assert forms[name]["text_kept_frac"]["value"] == pytest.approx(1, abs=0.2)
    assert "perplexity_ratio" not in forms["int8, float activations"]  # its weights are read in memory as int8's
    assert "Text kept, served" in report.read_json("report.json")["columns"]
    assert forms["int8"]["kl_nats"]["value"] < forms["int4"]["kl_nats"]["value"]
    assert _called(events) == set(recipe.labels())
    with pytest.raises(
        RecipeError,
        match=r"'float32 quality'; there are: collect, .*, base, base reading, float32 served, float32 text, f",
    ):
        fill(MatrixRecipe, values | {"schemes": {"int8": {}}, "gates": {"float32 quality": {}}})
    for change, words in (
        ({"schemes": {}}, "schemes and trained are empty"),
        ({"schemes": {"a": {}}, "trained": {"a": {}}}, "'a' is in schemes and in trained; rename one"),
        ({"schemes": {"a": {}}, "float_activations": ["b"]}, "'b' is no scheme; there are: a"),
    ):
        with pytest.raises(RecipeError, match=words):
            fill(MatrixRecipe, values | change)
