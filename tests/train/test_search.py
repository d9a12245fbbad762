"""The search: staged, seeded, pruned; whole after kills and torn journals; its best values are a recipe."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it brings no types
from killing import seal_then_kill
from test_finetune import CONFIG

from burnish.artifacts import Artifact, DatasetArtifact, ModelArtifact, ReportArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.task import TokenTask
from burnish.runtime import Run
from burnish.runtime.events import Event, Metrics, Progress, Warned
from burnish.runtime.recipes import fill, given, resolved
from burnish.train.finetune import FinetuneConfig, finetune
from burnish.train.methods import Full
from burnish.train.pretrain import PretrainConfig
from burnish.train.search import SearchConfig, SearchPlan, search
from burnish.train.searching.journal import cut_torn_end, open_journal
from burnish.train.searching.pruning import Halving, Median, Unpruned
from burnish.train.searching.space import LogRange, Range, Rates, Regularisation, own_point, stages_of, with_point
from conftest import read_lines

TRAIN = replace(CONFIG, loop=replace(CONFIG.loop, row_tokens=256, num_steps=8, learning_rate=0.01))
RATES = Rates(num_trials=4, learning_rate=LogRange(1e-5, 0.03), rows_per_step=(1, 2))
PLAN = SearchPlan(
    rates=RATES,
    shape={"dropout": (0.0, 0.1), "rank": (2, 4)},
    regularisation=Regularisation(num_trials=2),
    trial_rows=4,
    num_validations=2,
    pruning=Unpruned(),
)
CONFIG_OF_SEARCH = SearchConfig(TRAIN, PLAN)


def trials(found: Artifact) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_lines(found.payload / "trials.jsonl")
    return rows


def value(found: Artifact, name: str) -> float:
    return found.measurement(name).value


def test_each_stage_starts_from_the_best_before(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, events: list[Event]
) -> None:
    found = run(search, base, headlines, config=CONFIG_OF_SEARCH)
    rows = trials(found)
    # the grid holds the first stage's own pair (rank 4, no dropout), whose loss is known
    assert [row["stage"] for row in rows] == ["rates"] * 4 + ["shape"] * 3 + ["regularisation"] * 2
    assert rows[0]["values"] == own_point(TRAIN, CONFIG_OF_SEARCH.stages)
    first = min(rows[:4], key=lambda row: row["loss_nats"])["values"]
    pairs = {(row["values"]["dropout"], row["values"]["rank"]) for row in rows[4:7]}
    assert pairs == {(0.0, 2), (0.1, 2), (0.1, 4)}
    for row in rows[4:]:
        assert row["values"]["learning_rate"] == first["learning_rate"]
        assert row["values"]["rows_per_step"] == first["rows_per_step"]
    second = min(rows[:7], key=lambda row: row["loss_nats"])["values"]
    assert all(row["values"][name] == second[name] for row in rows[7:] for name in ("dropout", "rank"))
    best = min(rows, key=lambda row: row["loss_nats"])
    assert value(found, "best_validation_loss_nats") == best["loss_nats"] <= value(found, "own_validation_loss_nats")
    assert [value(found, name) for name in ("trials", "pruned_trials", "failed_trials")] == [9, 0, 0]
    assert value(found, "trained_rows_frac") == 1
    bars = [event for event in events if isinstance(event, Progress) and event.task == "trials"]
    assert bars[-1].done == bars[-1].total == 9
    assert len([event for event in events if isinstance(event, Metrics)]) == 9


def test_a_trials_loss_is_that_of_a_training_with_its_values(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    """The oracle: `finetune` itself, as a stage of its own."""
    found = run(search, base, headlines, config=CONFIG_OF_SEARCH)
    for row in (trials(found)[1], trials(found)[-1]):
        train = with_point(TRAIN, row["values"])
        steps = PLAN.trial_rows // train.loop.rows_per_step
        train = replace(train, loop=replace(train.loop, num_steps=steps))
        tuned = run(finetune, base, headlines, config=train)
        assert tuned.measurement("validation_loss_nats").value == row["loss_nats"]


def test_the_best_values_are_a_recipe(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    config = replace(CONFIG_OF_SEARCH, recipe={"seed": 3, "base": {"source": "asset_model"}})
    found = run(search, base, headlines, config=config)
    recipe = yaml.safe_load((found.payload / "best.yaml").read_text(encoding="utf-8"))
    assert list(recipe) == ["seed", "base", "train"]
    assert recipe["train"].pop("kind") == "finetune"
    best = fill(FinetuneConfig, recipe["train"])
    values = found.read_json("search.json")["best"]["values"]
    assert own_point(best, CONFIG_OF_SEARCH.stages) == values
    assert best.loop.num_steps * best.loop.rows_per_step == TRAIN.loop.num_steps * TRAIN.loop.rows_per_step
    kept = replace(with_point(best, own_point(TRAIN, CONFIG_OF_SEARCH.stages)), loop=TRAIN.loop)
    assert kept == TRAIN


def test_one_worker_gives_the_same_trials_and_another_seed_others(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    config = replace(CONFIG_OF_SEARCH, plan=replace(PLAN, shape={}, regularisation=None))
    first = run(search, base, headlines, config=config)
    assert first.manifest.payload_digest  # read now: its folder is made anew
    run.store.set_aside(first.digest)
    again = run(search, base, headlines, config=config)
    assert again.manifest.payload_digest == first.manifest.payload_digest
    other = run(search, base, headlines, config=replace(config, plan=replace(config.plan, seed=1)))
    assert trials(other)[0]["values"] == trials(first)[0]["values"]
    assert trials(other)[1]["values"] != trials(first)[1]["values"]


@pytest.mark.parametrize("pruning", [Median(num_startup_trials=1, warmup_frac=0.0), Halving(2, 0.25)])
def test_a_bad_trial_is_pruned(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, pruning: Median | Halving
) -> None:
    """The first value is good; the others hardly learn, and need not go to their ends to show it."""
    rates = Rates(num_trials=4, learning_rate=LogRange(1e-9, 1e-8), rows_per_step=(1,))
    plan = replace(PLAN, rates=replace(rates, learning_rate=LogRange(1e-9, 0.02)), shape={}, regularisation=None)
    config = SearchConfig(TRAIN, replace(plan, pruning=pruning, seed=5))
    found = run(search, base, headlines, config=config)
    pruned = [row for row in trials(found) if row["state"] == "pruned"]
    assert pruned
    assert value(found, "pruned_trials") == len(pruned)
    assert value(found, "trained_rows_frac") < 1
    for row in pruned:
        assert row["losses"][-1][0] < 100
        assert row["loss_nats"] > value(found, "best_validation_loss_nats")
        assert "worse than others at 50 %" in row["reason"]


def test_a_diverged_trial_is_recorded_and_stops_nothing(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TokenTask.backward
    seen: list[int] = []

    def breaks_in_the_second_trial(self: TokenTask, model: Any, batch: Any, scale: float) -> dict[str, float]:
        seen.append(1)
        measured = step(self, model, batch, scale)
        return measured | {"loss_nats": math.nan} if len(seen) == 6 else measured

    monkeypatch.setattr(TokenTask, "backward", breaks_in_the_second_trial)
    plan = replace(PLAN, rates=replace(RATES, rows_per_step=(1,)), shape={}, regularisation=None)
    found = run(search, base, headlines, config=SearchConfig(TRAIN, plan))
    assert [row["state"] for row in trials(found)] == ["complete", "failed", "complete", "complete"]
    assert "training broke at step 2" in trials(found)[1]["reason"]
    assert value(found, "failed_trials") == 1


def test_where_nothing_finishes_the_error_says_why(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenTask, "validate", lambda *_: {"validation_loss_nats": math.nan})
    with pytest.raises(
        BurnishError, match=r"no trial finished: 9 began, 9 failed, the last because: the validation loss"
    ):
        run(search, base, headlines, config=replace(CONFIG_OF_SEARCH, plan=replace(PLAN, shape={"rank": (2, 4, 8)})))


def test_a_fault_of_the_recipe_is_no_failed_trial(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    task = replace(TRAIN.task, labels=("yes", "no"))
    with pytest.raises(BurnishError, match="the task allows yes, no"):
        run(search, base, headlines, config=replace(CONFIG_OF_SEARCH, train=replace(TRAIN, task=task)))


def test_a_killed_search_goes_on_to_the_same_bytes(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:

    def make() -> ReportArtifact:
        return run(search, base, headlines, config=CONFIG_OF_SEARCH)

    digest = seal_then_kill(run, monkeypatch, TokenTask, make, 10, 20)
    assert make().manifest.payload_digest == digest
    warned = [event.message for event in events if isinstance(event, Warned)]
    assert sum("1 trials of stage" in message for message in warned) == 2


def test_a_torn_journal_is_cut_and_searched_on(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:

    def make() -> ReportArtifact:
        return run(search, base, headlines, config=CONFIG_OF_SEARCH)

    digest = seal_then_kill(run, monkeypatch, TokenTask, make, 10)
    [journal] = run.store.root.rglob("trials.journal")
    os.truncate(journal, journal.stat().st_size - 7)
    assert make().manifest.payload_digest == digest
    assert any(isinstance(e, Warned) and "ended in the middle of a line" in e.message for e in events)


@pytest.mark.parametrize("tail", [b'{"op_code":4,"wor', b"\0" * 70_000, b"", b"{"])
def test_only_the_torn_end_is_cut(tmp_path: Path, tail: bytes) -> None:
    import optuna

    path = tmp_path / "trials.journal"
    study = optuna.create_study(storage=open_journal(path), study_name="s")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    said: list[str] = []
    storage = open_journal(path, warn=said.append)
    assert path.read_bytes() == whole
    assert len(said) == bool(tail)
    again = optuna.load_study(study_name="s", storage=storage)
    again.add_trial(optuna.trial.create_trial(value=2.0))  # Optuna alone would fail here
    assert [trial.value for trial in again.trials] == [1.0, 2.0]


def test_the_end_is_mended_before_the_next_line_too(tmp_path: Path) -> None:
    """A worker that dies while writing must not spoil the others' next line."""
    import optuna

    path = tmp_path / "trials.journal"
    study = optuna.create_study(storage=open_journal(path, warn=lambda _: None), study_name="s")
    with path.open("ab") as file:
        file.write(b'{"op_code":')
    study.add_trial(optuna.trial.create_trial(value=1.0))
    assert [json.loads(line)["op_code"] for line in path.read_bytes().splitlines()]
    assert len(optuna.load_study(study_name="s", storage=open_journal(path)).trials) == 1
    path.write_bytes(b"")
    assert cut_torn_end(path) == 0


def test_an_altered_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.journal"
    path.write_bytes(b'{"op_code":0}\nnonsense\n{}\n')
    with pytest.raises(BurnishError, match=r"line 2: no JSON .* Delete it"):
        open_journal(path)


@pytest.mark.slow
def test_workers_share_the_trials(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    plan = replace(PLAN, regularisation=None, workers=2)
    found = run(search, base, headlines, config=SearchConfig(TRAIN, plan))
    rows = trials(found)
    assert [row["stage"] for row in rows] == ["rates"] * 4 + ["shape"] * 3
    assert {row["state"] for row in rows} == {"complete"}
    assert len({json.dumps(row["values"]) for row in rows}) == 7


@pytest.mark.slow
def test_a_worker_says_what_is_wrong(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    train = replace(TRAIN, loop=replace(TRAIN.loop, row_tokens=8))  # too short for a record
    with pytest.raises(BurnishError, match="row_tokens"):
        run(search, base, headlines, config=SearchConfig(train, replace(PLAN, workers=2)))


SCRIPT = """
import os
import sys
import time
from pathlib import Path
from burnish.artifacts import Store
from burnish.learn.task import TokenTask
from burnish.runtime import Run
from burnish.runtime.events import EventLog, Warned
from burnish.train.pretrain import PretrainConfig
from burnish.train.search import search
import test_search

step = TokenTask.backward

def slow(*arguments):
    time.sleep(3)
    return step(*arguments)

if "SLOW" in os.environ:  # here and in workers, which import this file
    TokenTask.backward = slow

def say(event):
    if isinstance(event, Warned):
        print(event.message, flush=True)

if __name__ == "__main__":
    store = Store(Path(sys.argv[1]))
    base, data = store.open(sys.argv[2]), store.open(sys.argv[3])
    run = Run(store, EventLog(Path(sys.argv[1]) / "events.jsonl", (say,)))
    run(search, base, data, config=test_search.LONG)
"""
LONG = SearchConfig(
    TRAIN,
    replace(PLAN, rates=replace(RATES, num_trials=3, rows_per_step=(1,)), shape={}, regularisation=None, workers=2),
)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_a_killed_search_goes_on(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, tmp_path: Path
) -> None:
    """kill -9: first a worker in the middle of a trial, then the whole search; no trial is lost or counted twice."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    search_path = f"{Path(__file__).parent}:{Path(__file__).parents[1]}"
    environment = {**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{search_path}"}
    command = [sys.executable, str(script), str(run.store.root), base.digest, headlines.digest]
    slow = {**environment, "SLOW": "1"}
    main = subprocess.Popen(command, env=slow, stdout=subprocess.PIPE, text=True)
    try:
        worker = _working(run.store.root)
        os.kill(worker, signal.SIGKILL)
        assert main.stdout is not None
        assert "died (signal 9); 1 of its trials queued again" in main.stdout.readline()
        left = _working(run.store.root, but=worker)
    finally:
        main.kill()
        main.communicate()
    _wait(lambda: not Path(f"/proc/{left}").exists())  # a worker does not outlive its search
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "cut off by a kill; they are tried again" in done.stdout
    found = run(search, base, headlines, config=LONG)
    assert {row["state"] for row in trials(found)} == {"complete"}
    assert len(trials(found)) == 3
    assert not list(run.store.root.rglob("rates_*"))


def _working(store: Path, but: int = 0) -> int:
    """Wait for a trial under way; give the process that has it."""
    found: list[int] = []

    def is_found() -> bool:
        for journal in store.rglob("trials.journal"):
            for line in journal.read_bytes().split(b"\n")[:-1]:
                row = json.loads(line)
                process = row.get("user_attr", {}).get("process", but)
                if process != but and list(store.rglob("rates_*/events.jsonl")):
                    found.append(process)
        return bool(found)

    _wait(is_found)
    return found[-1]


def _wait(is_so: Any, limit_s: float = 200.0) -> None:
    end_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_the_time_is_kept(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    plan = replace(PLAN, rates=replace(RATES, num_trials=500), max_seconds=6.0, shape={}, regularisation=None)
    begun_s = time.monotonic()
    found = run(search, base, headlines, config=SearchConfig(TRAIN, plan))
    assert time.monotonic() - begun_s < 10
    assert 1 <= len(trials(found)) < 500
    with pytest.raises(BurnishError, match=r"no trial finished within 0\.001 s.*raise search\.max_seconds"):
        run(search, base, headlines, config=SearchConfig(TRAIN, replace(plan, max_seconds=0.001)))


def test_importance_finds_what_matters(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    rates = Rates(num_trials=8, learning_rate=LogRange(1e-6, 0.03), rows_per_step=(1, 2))
    plan = replace(PLAN, rates=rates, shape={}, regularisation=None, trial_rows=4)
    found = run(search, base, headlines, config=SearchConfig(TRAIN, plan))
    rate, rows = value(found, "importance_learning_rate_frac"), value(found, "importance_rows_per_step_frac")
    assert rate + rows == pytest.approx(1)
    assert rate > rows


def test_what_cannot_be_tried_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"search\.shape names width, .* may name: rank, alpha, dropout"):
        SearchConfig(TRAIN, replace(PLAN, shape={"width": (1,)}))
    with pytest.raises(RecipeError, match="rank is 0"):
        SearchConfig(TRAIN, replace(PLAN, shape={"rank": (0, 4)}))
    with pytest.raises(RecipeError, match="low must be below high"):
        Range(0.2, 0.1)
    with pytest.raises(RecipeError, match="it must be above 0, for its logarithm"):
        LogRange(0.0, 0.1)
    with pytest.raises(RecipeError, match="trial_rows is 1"):
        replace(PLAN, trial_rows=1)
    with pytest.raises(RecipeError, match="nothing to try"):
        SearchConfig(replace(TRAIN, method=Full()), SearchPlan(rates=None, regularisation=None))
    assert [stage.name for stage in stages_of(replace(TRAIN, method=Full()), Rates(), None, None)] == ["rates"]


def test_what_differs_from_the_defaults_is_a_whole_recipe() -> None:
    from burnish.cli.recipes import compose_recipe
    from burnish.loop.search_chain import SearchRecipe
    from burnish.loop.train_chain import TrainRecipe

    path = Path(__file__).parents[2] / "recipes/train/search.yaml"
    recipe = fill(SearchRecipe, compose_recipe(path, ()).values)
    config = recipe.search_config()
    assert not {"search", "page", "train", "track"} & config.recipe.keys()
    training = fill(TrainRecipe, {**config.recipe, "train": {"kind": "finetune", **given(recipe.train)}})
    for name in TrainRecipe.__dataclass_fields__:
        assert getattr(training, name) == getattr(recipe, name), name
    assert fill(SearchRecipe, resolved(recipe)) == recipe
    assert "template" not in json.dumps(config.recipe)


def test_any_training_can_be_searched(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    train = PretrainConfig(method=TRAIN.method, loop=TRAIN.loop, precision="fp32")
    plan = replace(PLAN, rates=replace(RATES, num_trials=1), shape={}, regularisation=Regularisation(num_trials=1))
    found = run(search, base, headlines, config=SearchConfig(train, plan))
    assert list(trials(found)[-1]["values"]) == ["learning_rate", "rows_per_step", "weight_decay"]
    assert found.measurement("best_validation_loss_nats").n == 6
    assert yaml.safe_load((found.payload / "best.yaml").read_text())["train"]["kind"] == "pretrain"


def test_a_plan_is_filled_and_written() -> None:
    values = {
        "rates": {"learning_rate": {"low": 1e-4, "high": 1e-2}},
        "shape": {"rank": [4, 8]},
        "regularisation": None,
    }
    plan = fill(SearchPlan, {**values, "pruning": {"kind": "halving", "reduction_factor": 4}})
    assert plan.rates is not None
    assert plan.rates.learning_rate == LogRange(1e-4, 1e-2)
    assert plan.pruning == Halving(4)
    assert fill(SearchPlan, resolved(plan)) == plan
    assert fill(SearchPlan, resolved(SearchPlan())) == SearchPlan()
