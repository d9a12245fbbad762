from pathlib import Path

import pytest
from small_chain import SmallRecipe, small_chain

from burnish.cli.main import burnish, exit_code
from burnish.cli.run import Order, run_recipe
from burnish.cli.store import find_run
from burnish.cli.track import open_tracker
from burnish.report.trackers.mlflow import MlflowReader


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BURNISH_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    (tmp_path / "line.yaml").write_text("")
    return tmp_path / "line.yaml"


def run(recipe: Path, *overrides: str) -> Path:
    run_recipe(Order(recipe, overrides, recipe.parent / "store"), SmallRecipe, small_chain)
    return find_run(recipe.parent / "store")


def type_command(*arguments: object) -> int:
    typed = [str(argument) for argument in arguments]
    return exit_code(lambda: burnish.main(typed, prog_name="burnish", standalone_mode=False))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_mlflow_follows_a_run_and_a_copy_afterwards_adds_nothing(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(recipe, "track=[mlflow]", "fit.num_steps=5")
    capsys.readouterr()
    for _ in range(2):
        assert type_command("track", "latest", "--to", "mlflow") == 0
    assert f"run {folder.name} is in sqlite:////" in capsys.readouterr().out
    tracker = open_tracker("mlflow", recipe.parent / "store")
    assert isinstance(tracker, MlflowReader)
    (found,) = tracker._client.search_runs([tracker._experiment], "")
    assert found.info.run_name == folder.name
    assert found.info.status == "FINISHED"
    assert found.data.params["fit.num_steps"] == "5"
    assert len(tracker._client.get_metric_history(found.info.run_id, "tuned/loss")) == 5
    assert "evidence/tuned/slope" in found.data.metrics


@pytest.mark.slow
def test_wandb_copies_a_run(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(recipe)
    assert type_command("track", folder.name, "--to", "wandb") == 0
    (copy,) = (recipe.parent / "store" / "wandb").glob(f"offline-run-*-{folder.name}/*.wandb")
    assert copy.stat().st_size > 1000
    assert f"run {folder.name} is in {recipe.parent / 'store' / 'wandb'}" in capsys.readouterr().out


def test_a_run_that_is_not_there_names_those_that_are(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(recipe)
    assert type_command("track", "2001", "--to", "mlflow") == 1
    shown = capsys.readouterr().err
    assert "'2001' is no run" in shown
    assert folder.name in shown


def test_a_tracker_that_is_not_known_is_a_wrong_command(recipe: Path) -> None:
    assert type_command("track", "latest", "--to", "excel") == 2
