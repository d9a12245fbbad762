"""`burnish run` with a chain of small real stages, in this process and in processes of their own."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_chain
from small_chain import DELAY, SmallRecipe
from small_chain import small_chain as chain

from burnish.artifacts import Store
from burnish.cli.main import burnish, exit_code
from burnish.cli.run import Order, run_recipe
from burnish.cli.store import find_run, newest_runs
from burnish.errors import BurnishError, GateFailed, RecipeError
from burnish.runtime.events import Event, RunFinished, RunStarted, StageCached, StageSealed, Warned, read_events


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "tiny.yaml").write_text("# @package _global_\nfit:\n  num_steps: 2\n")
    (tmp_path / "line.yaml").write_text("fit:\n  num_steps: 12\n")
    return tmp_path / "line.yaml"


def order(recipe: Path, *overrides: str, is_dry: bool = False) -> Order:
    return Order(recipe, overrides, recipe.parent / "store", is_dry)


def events_of(recipe: Path) -> list[Event]:
    folder = find_run(recipe.parent / "store")
    return [event for _, event in read_events(folder / "events.jsonl")]


def test_a_run_makes_its_artifacts_and_leaves_its_record(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_recipe(order(recipe, "collect.seed=4"), SmallRecipe, chain) == 0
    folder = find_run(recipe.parent / "store")
    record = json.loads((folder / "recipe.json").read_text())
    assert record["overrides"] == ["collect.seed=4"]
    assert record["values"]["collect"] == {"num_points": 20, "seed": 4}
    assert record["values"]["fit"] == {"num_steps": 12, "method": {"kind": "gradient", "lr": 0.1}}
    assert (folder.parent / "latest").read_text().strip() == folder.name
    first, *_, last = events_of(recipe)
    assert isinstance(first, RunStarted)
    assert (first.run_id, first.values) == (folder.name, record["values"])
    assert isinstance(last, RunFinished)
    assert last.status == "ok"
    shown = capsys.readouterr().out
    assert "✓ tuned          sealed in" in shown
    assert "■ done in" in shown
    assert "3 made, 0 cached" in shown
    assert "slope" in shown
    assert "index.html" in shown


def test_the_second_run_is_all_cached(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe(order(recipe), SmallRecipe, chain)
    first = find_run(recipe.parent / "store")
    capsys.readouterr()
    assert run_recipe(order(recipe), SmallRecipe, chain) == 0
    assert find_run(recipe.parent / "store") != first
    assert len(newest_runs(recipe.parent / "store")) == 2
    assert "0 made, 3 cached" in capsys.readouterr().out
    assert [type(event) for event in events_of(recipe) if isinstance(event, StageSealed | StageCached)] == [
        StageCached
    ] * 3


def test_a_failed_gate_ends_with_3_and_is_recorded(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GateFailed, match=r"gate kept_frac: measured .* required at least 1"):
        run_recipe(order(recipe, "min_kept_frac=1.0"), SmallRecipe, chain)
    last = events_of(recipe)[-1]
    assert isinstance(last, RunFinished)
    assert last.status == "gate"
    assert "gate kept_frac" in last.message
    assert "✗ gate failed    kept_frac" in capsys.readouterr().out


def test_a_stage_that_fails_is_recorded_and_its_error_goes_on(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DELAY, "no number")
    with pytest.raises(ValueError, match="no number"):
        run_recipe(order(recipe), SmallRecipe, chain)
    last = events_of(recipe)[-1]
    assert isinstance(last, RunFinished)
    assert last.status == "failed"
    assert last.message.startswith("ValueError: could not convert")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fit.num_stepz=3", r"^fit.num_stepz=3 is not known; .* Did you mean num_steps\?$"),
        ("fit.num_steps=x", r"^fit.num_steps is 'x'; it must be a whole number$"),
        ("fit.method=gradeint", r"Did you mean gradient\?$"),
        ("collect.num_points=1", r"^collect: num_points is 1; it must be at least 2$"),
        ("track=[mlfow]", r"^track\[0\] is 'mlfow'; allowed: mlflow, wandb. Did you mean mlflow\?$"),
    ],
)
def test_a_wrong_recipe_stops_before_anything_is_made(recipe: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        run_recipe(order(recipe, override), SmallRecipe, chain)
    assert refused.value.exit_code == 2
    assert not (recipe.parent / "store").exists()


def test_a_dry_run_prints_the_plan_and_makes_nothing(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_recipe(order(recipe, is_dry=True), SmallRecipe, chain) == 0
    shown = capsys.readouterr().out
    assert "3 to be made, 0 cached; unknown time" in shown
    assert newest_runs(recipe.parent / "store") == []
    assert list(Store(recipe.parent / "store").all()) == []


def test_a_dry_run_knows_what_is_cached_and_what_it_took_here(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe(order(recipe), SmallRecipe, chain)
    sealed = {artifact.digest[:12] for artifact in Store(recipe.parent / "store").all()}
    capsys.readouterr()
    run_recipe(order(recipe, is_dry=True), SmallRecipe, chain)
    shown = capsys.readouterr().out
    assert all(digest in shown for digest in sealed)
    assert "total: all 3 cached, nothing to be made" in shown
    run_recipe(order(recipe, "fit.num_steps=13", is_dry=True), SmallRecipe, chain)
    shown = capsys.readouterr().out
    assert "↺ cached" in shown
    assert shown.count("measured here") == 2
    assert "2 to be made, 1 cached; about" in shown
    run_recipe(order(recipe, "profile=tiny", is_dry=True), SmallRecipe, chain)
    assert "measured here" not in capsys.readouterr().out


def test_a_dry_run_warns_of_an_altered_artifact(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe(order(recipe), SmallRecipe, chain)
    report = next((recipe.parent / "store" / "report").iterdir())
    (report / "payload/index.html").write_text("altered")
    capsys.readouterr()
    run_recipe(order(recipe, is_dry=True), SmallRecipe, chain)
    shown = capsys.readouterr()
    assert "index.html was altered" in shown.err
    assert "1 to be made, 2 cached" in shown.out


def test_a_store_that_cannot_be_written_is_one_sentence(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recipe.parent / "store").write_text("")
    assert exit_code(lambda: run_recipe(order(recipe), SmallRecipe, chain)) == 1
    assert "choose another with --store" in capsys.readouterr().err


def test_a_tracker_that_fails_does_not_stop_the_run(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(event: Event) -> None:
        if isinstance(event, Warned):
            raise BurnishError("MLflow cannot be written (locked).")

    monkeypatch.setattr("burnish.cli.run.open_tracker", lambda _name, _store: broken)
    assert run_recipe(order(recipe, "track=[mlflow]"), SmallRecipe, chain) == 0
    shown = capsys.readouterr().out
    assert shown.count("MLflow cannot be written (locked). `burnish track latest --to mlflow` copies this run") == 1


def start(recipe: Path, *arguments: str, delay_s: float = 0.0) -> subprocess.Popen[str]:
    script = [sys.executable, small_chain.__file__, str(recipe), str(recipe.parent / "store"), *arguments]
    return subprocess.Popen(
        script,
        env={**os.environ, DELAY: str(delay_s)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_step(recipe: Path, step: int) -> None:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        for snapshot in (recipe.parent / "store" / "work").glob("*.snapshots/state.json"):
            if json.loads(snapshot.read_text())[1] >= step:
                return
        time.sleep(0.01)
    raise AssertionError("the stage did not come so far")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_resume_and_resumes_from_its_snapshot(recipe: Path, number: signal.Signals) -> None:
    process = start(recipe, delay_s=0.1)
    wait_for_step(recipe, 3)
    start_s = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert time.monotonic() - start_s < 5
    assert process.returncode == 130
    assert errors == "stopped; what is sealed stays. Give the same command again to resume.\n"
    assert "✗ tuned          stopped" in output
    last = events_of(recipe)[-1]
    assert isinstance(last, RunFinished)
    assert last.status == "interrupted"
    output, errors = start(recipe).communicate(timeout=30)
    assert errors == ""
    assert "↺ collect        cached" in output
    assert "2 made, 1 cached" in output
    undisturbed = Order(recipe, (), recipe.parent / "undisturbed")
    run_recipe(undisturbed, SmallRecipe, chain)
    ends = [
        {artifact.digest: artifact.manifest.payload_digest for artifact in Store(recipe.parent / name).all()}
        for name in ("store", "undisturbed")
    ]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("overrides", "code", "words"),
    [
        ((), 0, ""),
        (("min_kept_frac=1.0",), 3, "error: gate kept_frac"),
        (("nope=1",), 2, "error: nope=1 is not known"),
    ],
)
def test_exit_codes_of_a_process(recipe: Path, overrides: tuple[str, ...], code: int, words: str) -> None:
    process = start(recipe, *overrides)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert errors.startswith(words)
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == bool(words)


def test_no_bars_where_there_is_no_terminal(recipe: Path) -> None:
    output, _ = start(recipe, delay_s=0.01).communicate(timeout=30)
    assert "\x1b" not in output
    assert "━" not in output.split("A line")[0]


def test_the_output_may_be_something_without_a_file(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stdout", heard)
    assert run_recipe(order(recipe), SmallRecipe, chain) == 0
    assert "sealed in" in heard.getvalue()


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("train run recipes/train/search.yaml", "train search recipes/train/search.yaml"),
        ("compress run recipes/compress/matrix.yaml", "compress matrix recipes/compress/matrix.yaml"),
        ("compress run recipes/compress/matrix.yaml loads=3", "compress matrix recipes/compress/matrix.yaml"),
        ("compress matrix recipes/compress/int4.yaml", "compress run recipes/compress/int4.yaml"),
    ],
)
def test_another_commands_recipe_is_sent_there(capsys: pytest.CaptureFixture[str], typed: str, right: str) -> None:
    assert exit_code(lambda: burnish.main(typed.split(), standalone_mode=False)) == 2
    assert f"is a recipe for another command; type: burnish {right}\n" in capsys.readouterr().err


def test_a_field_of_another_recipe_among_its_own_is_a_wrong_key(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["compress", "run", "recipes/compress/int4.yaml", "schemes={int8: {}}"]
    assert exit_code(lambda: burnish.main(typed, standalone_mode=False)) == 2
    assert "schemes={'int8': {}} is not known" in capsys.readouterr().err
