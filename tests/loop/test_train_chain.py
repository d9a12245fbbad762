"""The training chain: every recipe fills; each way to learn runs end to end on a small model, and is measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.artifacts import ReportArtifact
from burnish.cli.recipes import compose_recipe
from burnish.errors import RecipeError
from burnish.loop.train_chain import TrainRecipe, train_chain
from burnish.runtime import Run
from burnish.runtime.events import Event, StageSealed
from burnish.runtime.recipes import fill
from conftest import HEADLINES, make_model

RECIPES = sorted(path for path in Path("recipes/train").glob("*.yaml") if path.stem != "search")
TASK = {"instruction": "Which?", "labels": ["serious", "sarcastic"]}
LOOP = {"num_steps": 3, "row_tokens": 512, "learning_rate": 0.01, "validate_every_steps": 3}


@pytest.mark.parametrize("profile", ["full", "tiny"])
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_fills(path: Path, profile: str) -> None:
    recipe = fill(TrainRecipe, compose_recipe(path, (f"profile={profile}",)).values)
    assert recipe.train.seed == recipe.seed == 17
    assert (recipe.train.loop.num_steps == 3) == (profile == "tiny")
    if recipe.score is not None:
        assert (recipe.score.test_records == 32) == (profile == "tiny")


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A recipe's values: labelled lines in a file, a small model in a folder."""
    records = [
        {"id": f"{copy}-{at}", "text": f"{text} {copy} times over", "label": label}
        for copy in ("once", "twice", "thrice", "often")
        for at, (text, label) in enumerate(HEADLINES)
    ]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records))
    source = {"kind": "files", "path": str(tmp_path / "lines.jsonl"), "id_key": "id", "label_key": "label"}
    return {
        "collect": {"sources": [source]},
        "clean": {"languages": ["en"], "shingle": {"kind": "bytes", "length": 3}},
        "select": {"min_words": 1, "copies": {"min_similarity": 0.99}, "min_language_score": 0.0},
        "split": {"sizes": {"kind": "by_count", "validation": 4, "test": 6}},
        "base": {"source": {"kind": "local_model", "path": str(make_model(tmp_path / "model"))}},
    }


@pytest.mark.parametrize(
    "train",
    [
        {"kind": "finetune", "task": TASK, "method": {"kind": "lora", "rank": 4}},
        {"kind": "finetune", "task": TASK, "method": "full", "smoothing_frac": 0.1},
        {"kind": "finetune", "task": TASK, "method": {"kind": "prefix", "num_virtual_tokens": 3}},
        {"kind": "finetune", "task": TASK, "method": {"kind": "prompt", "num_virtual_tokens": 3}},
        {"kind": "finetune", "task": TASK, "method": {"kind": "unfreeze", "layers_per_stage": 1, "stage_steps": 1}},
        {"kind": "prefer", "pairs": {"kind": "from_labels", "task": TASK}},
        {"kind": "pretrain", "attention": {"kind": "local_global", "window_tokens": 16, "num_global_tokens": 2}},
    ],
    ids=["lora", "full", "prefix", "prompt", "unfreeze", "dpo", "text"],
)
def test_each_way_to_learn_is_measured_before_and_after(
    run: Run, values: dict[str, Any], events: list[Event], train: dict[str, Any]
) -> None:
    scored = {"task": TASK, "test_records": 4, "general_records": 2}
    general = {**values["collect"], "seed": 3}  # another call than that of the domain's
    recipe = fill(
        TrainRecipe,
        values
        | {"train": train | {"loop": LOOP, "precision": "fp32", "validation_records": 4}}
        | {"score": scored, "general": general},
    )
    report = train_chain(run, recipe)
    sealed = {event.label: event for event in events if isinstance(event, StageSealed)}
    is_lora = train.get("method", {"kind": "lora"}) in ({"kind": "lora"}, {"kind": "lora", "rank": 4})
    assert ("merged" in sealed) == is_lora
    assert set(recipe.labels()) == set(sealed)
    table = {row["name"]: row for row in report.read_json("report.json")["table"]}
    assert {"accuracy_frac", "domain_bits_per_byte"} <= set(table)
    assert table["domain_bits_per_byte"]["before"] != table["domain_bits_per_byte"]["after"]
    assert "<svg" in (report.payload / "index.html").read_text(encoding="utf-8")
    assert isinstance(report, ReportArtifact)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"collect": None}, "give either collect"),
        ({"examples": {"sources": [{"kind": "chatterbot_corpus"}]}}, "give either collect"),
        ({"score": {"task": TASK}}, "score and general belong together"),
        ({"gates": {"tunde": {}}}, "names the stage call 'tunde'"),
        (
            {"gates": {"tuned_quality": {}}},
            "names the stage call 'tuned_quality'; there are: collect, .*, tuned, merged, ",
        ),
        ({"gates": {"merged": {}}, "is_merged": False}, "names the stage call 'merged'"),
        ({"gates": {"examples": {}}}, "names the stage call 'examples'"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    train = {"kind": "finetune", "task": TASK}
    with pytest.raises(RecipeError, match=words):
        fill(TrainRecipe, {k: v for k, v in (values | {"train": train} | changes).items() if v is not None})


def test_a_task_of_a_source_that_is_not_collected_is_refused(values: dict[str, Any]) -> None:
    labels = TASK["labels"]
    tasks = [
        {"name": "tone", "labels": labels, "source": "files"},
        {"name": "mood", "labels": labels, "source": "blog"},
    ]
    with pytest.raises(RecipeError, match=r"task mood has source 'blog'; collect.sources are, by kind: files"):
        fill(TrainRecipe, values | {"train": {"kind": "multitask", "tasks": tasks}})
