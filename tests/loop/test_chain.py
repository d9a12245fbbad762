"""The whole chain: its recipes fill, its labels are known, and the tiny profile runs end to end."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from burnish.cli.recipes import compose_recipe
from burnish.errors import RecipeError
from burnish.loop.chain import ChainRecipe
from burnish.runtime.recipes import fill

QUICKSTART = Path("recipes/quickstart.yaml")


def filled(*overrides: str) -> ChainRecipe:
    return fill(ChainRecipe, compose_recipe(QUICKSTART, overrides).values)


@pytest.mark.parametrize("profile", ["full", "tiny"])
def test_the_quickstart_fills(profile: str) -> None:
    recipe = filled(f"profile={profile}")
    assert recipe.train.task.labels == ("serious", "sarcastic")
    assert recipe.score.task == recipe.parity.task == recipe.train.task
    assert recipe.baseline.load == recipe.load
    assert recipe.train.loop.num_steps == (90 if profile == "full" else 3)


def test_one_seed_reaches_every_stage() -> None:
    recipe = filled("seed=5")
    stages = (recipe.collect, recipe.general, recipe.split, recipe.train, recipe.score, recipe.parity, recipe.load)
    assert {stage.seed for stage in stages} == {5}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.lopo=1", r"train\.lopo=1 is not known; .* Did you mean loop\?"),
        ("train.loop.num_steps=many", r"train\.loop\.num_steps is 'many'; it must be a whole number"),
        ("train.loop.num_steps=0", r"num_steps is 0; it must be at least 1"),
        ("train.precision=fp8", r"train\.precision is 'fp8'; allowed: auto, fp32, bf16"),
        ("base.source.kind=asset_modle", r"Did you mean asset_model\?"),
        ("+gates.sreved_quality.accuracy_frac.at_least=1", r"'sreved_quality'; there are: collect, "),
        ("parity.floors.base_to_moon=1", r"floors\.base_to_moon is 1"),
    ],
)
def test_a_mistake_gets_one_sentence(override: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        filled(override)
    assert "\n" not in str(caught.value)


def test_gates_name_only_what_is_called() -> None:
    with pytest.raises(RecipeError, match="'nothing'; there are: collect, clean, copies"):
        replace(filled(), gates={"nothing": {}})


def burnish(*arguments: str, expects: int = 0) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "burnish", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == expects, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.mark.slow
def test_the_tiny_quickstart_end_to_end(tmp_path: Path) -> None:
    """Real model, real text, real server: make it, find it all cached, change one value, let a gate fail."""
    store = str(tmp_path / "store")
    run = ("run", str(QUICKSTART), "profile=tiny", "--store", store)
    first = burnish(*run)
    assert "done in" in first.stdout
    page = Path(re.findall(r"report: (.*index\.html)", first.stdout)[0])
    table = json.loads(page.with_name("report.json").read_text())
    smaller: dict[str, Any] = next(row for row in table["table"] if row["unit"] == "bytes")
    assert smaller["after"] < smaller["before"] / 3

    start_s = time.monotonic()
    again = burnish(*run)
    assert time.monotonic() - start_s < 20  # about 3 s on an idle machine; a remade stage would take longer
    assert again.stdout.count("cached ·") == 17
    assert "sealed in" not in again.stdout

    plan = burnish(*run, "train.loop.num_steps=2", "--dry-run").stdout
    state = {
        line.split()[0]: "cached" in line for line in plan.splitlines() if re.match(r"^\s*\w+\s+[0-9a-f]{12}", line)
    }
    assert all(state[label] for label in ("base_quality", "split", "baseline_load"))
    assert not any(state[label] for label in ("tuned", "merged", "compressed", "parity", "served_load", "report"))

    failed = burnish(*run, "+gates.split.test_records.at_least=1000", expects=3)
    assert "gate test_records: measured 32" in failed.stderr
    assert "Traceback" not in failed.stderr
