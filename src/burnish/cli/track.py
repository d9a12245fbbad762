"""`burnish track`: copy a run's events to a tracker."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.cli.store import find_run, open_store, store_option
from burnish.cli.teaching import Teaching
from burnish.errors import RecipeError
from burnish.runtime.events import read_events

if TYPE_CHECKING:
    from burnish.report.trackers.mlflow import MlflowReader
    from burnish.report.trackers.wandb import WandbReader


@click.command(
    cls=Teaching,
    examples=(
        ("burnish track latest --to mlflow", ""),
        ("burnish track 20260131-101500-3fa2 --to wandb", ""),
        ("mlflow ui --backend-store-uri sqlite:///.burnish/mlflow.db", "to look at it (needs the full mlflow)"),
    ),
)
@click.argument("run")
@click.option("--to", "tracker", type=click.Choice(["mlflow", "wandb"]), required=True, help="Where to copy it.")
@store_option
def track(run: str, tracker: str, store_path: Path) -> None:
    """Copy RUN, an id or `latest`, to MLflow or Weights & Biases. Copying again changes nothing.

    MLflow is the file mlflow.db in the store; W&B is offline, in wandb/ in the store, unless WANDB_MODE is set.
    """
    store = open_store(store_path)
    folder = find_run(store.root, run)
    reader = open_tracker(tracker, store.root)
    for time_unix_s, event in read_events(folder / "events.jsonl"):
        reader(event, time_unix_s)
    reader.close()
    click.echo(f"run {folder.name} is in {reader.place}")


def open_tracker(name: str, store: Path) -> "MlflowReader | WandbReader":
    """Open a tracker that keeps its files in the store.

    Raises:
        MissingExtra: the tracker's package is not installed.
    """
    match name:
        case "mlflow":
            from burnish.report.trackers.mlflow import MlflowReader

            return MlflowReader(f"sqlite:///{(store / 'mlflow.db').resolve()}", files=(store / "mlruns").resolve())
        case "wandb":
            from burnish.report.trackers.wandb import WandbReader

            return WandbReader(store.resolve())
        case _:
            raise RecipeError(f"track is {name!r}; allowed: mlflow, wandb")
