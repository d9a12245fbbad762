"""`burnish run`: the boundary of a run, where a recipe becomes values, and errors become exit codes."""

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import click

from burnish.artifacts import ReportArtifact, Store
from burnish.artifacts.store import storage_error
from burnish.cli.doors import door
from burnish.cli.recipes import Composed, compose_recipe, refuse_strays
from burnish.cli.stopping import say_stopped, stops_cleanly
from burnish.cli.store import new_run, store_option
from burnish.cli.teaching import Teaching
from burnish.cli.telling import open_screen, plain_option, told
from burnish.cli.track import open_tracker
from burnish.errors import BurnishError
from burnish.runtime import Run
from burnish.runtime.events import Event, EventLog, Reader, RunStarted, Warned
from burnish.runtime.recipes import fill, resolved


class Tracked(Protocol):
    """What the run command reads of a recipe; the rest is the recipe's own."""

    @property
    def track(self) -> tuple[Literal["mlflow", "wandb"], ...]:
        """Name the trackers that follow the run."""


R = TypeVar("R", bound=Tracked)


@dataclass(frozen=True)
class Order:
    """What was typed.

    Attributes:
        store: folder of the store.
        is_dry: print the plan, make nothing.
        is_plain: lines in place of bars, on a terminal too.
    """

    recipe: Path
    overrides: tuple[str, ...]
    store: Path
    is_dry: bool = False
    is_plain: bool = False


def order_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add to a command what every run of a recipe takes; the command gets it as one `Order`, and its own options."""

    @click.argument("recipe", type=click.Path(path_type=Path))
    @click.argument("overrides", nargs=-1, metavar="[key=value …]")
    @click.option("--dry-run", "is_dry", is_flag=True, help="Print what is cached, what would be made, an estimate.")
    @plain_option
    @store_option
    @wraps(command)
    def ordered(
        recipe: Path, overrides: tuple[str, ...], store_path: Path, is_dry: bool, is_plain: bool, **own: Any
    ) -> int:
        return command(Order(recipe, overrides, store_path, is_dry, is_plain), **own)

    return ordered


@click.command(
    cls=Teaching,
    examples=(
        ("burnish run recipes/quickstart.yaml", ""),
        ("burnish run recipes/quickstart.yaml profile=tiny", "another profile"),
        ("burnish run recipes/quickstart.yaml train.method.rank=8 seed=1", "other values"),
        ("burnish run recipes/quickstart.yaml 'track=[mlflow]'", "followed in MLflow"),
        ("burnish run recipes/quickstart.yaml --dry-run", "the plan only"),
    ),
)
@order_options
def run(order: Order) -> int:
    """Make what RECIPE.yaml describes. What is sealed already is not made again.

    `profile=tiny` lays profile/tiny.yaml, beside the recipe, over it; any other key=value sets one key.
    Relative paths in a recipe start from the current folder. Ctrl-C stops; the same command again resumes.
    """
    with door("quickstart"):
        from burnish.loop.chain import ChainRecipe, chain

    return run_recipe(order, ChainRecipe, chain)


def run_recipe(
    order: Order,
    recipe_type: type[R],
    chain: Callable[[Run, R], ReportArtifact],
    *,
    others: Mapping[str, type] | None = None,
) -> int:
    """Run `chain` on the recipe that was ordered, or print its plan; give the exit code 0 or 130.

    Args:
        others: command -> type of the recipes that it takes, which are easily given to this one.

    Raises:
        BurnishError: a wrong recipe, a failed gate, or a stage that could not go on.
    """
    composed = compose_recipe(order.recipe, order.overrides)
    refuse_strays(order.recipe, composed.values, recipe_type, others or {})
    recipe = fill(recipe_type, composed.values)
    store = Store(order.store)
    if order.is_dry:
        _print_plan(order, composed, store, lambda run: chain(run, recipe))
        return 0
    screen = open_screen(is_plain=order.is_plain)
    if recipe.track:
        screen.say(f"opening {' and '.join(recipe.track)}; the first time takes some seconds")
    trackers = tuple(_Lenient(name, open_tracker(name, store.root), screen.say) for name in recipe.track)
    folder = new_run(store)
    values = resolved(recipe)
    _write_recipe(folder, order, composed, values)
    events = EventLog(folder / "events.jsonl", (screen, *trackers))
    with stops_cleanly(screen.say):
        try:
            with screen, told(events):
                events.emit(RunStarted(folder.name, str(order.recipe), values, shlex.join(["burnish", *sys.argv[1:]])))
                report = chain(Run(store, events), recipe)
        except KeyboardInterrupt:
            return say_stopped()
    _print_report(report)
    return 0


@dataclass
class _Lenient:
    """Follow a run with a tracker, and let the run go on without it when it fails."""

    name: str
    tracker: Reader
    warn: Callable[[str], None]
    is_lost: bool = False

    def __call__(self, event: Event) -> None:
        if self.is_lost:
            return
        try:
            self.tracker(event)
        except BurnishError as error:
            self.is_lost = True
            self.warn(f"! {error} `burnish track latest --to {self.name}` copies this run when it is back.")


def _write_recipe(folder: Path, order: Order, composed: Composed, values: dict[str, Any]) -> None:
    body = {
        "recipe": str(order.recipe),
        "overrides": list(order.overrides),
        "profile": composed.profile,
        "values": values,
    }
    try:
        (folder / "recipe.json").write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise storage_error(error, order.store) from error


def _print_plan(order: Order, composed: Composed, store: Store, chain: Callable[[Run], object]) -> None:
    from burnish.cli.plan import print_plan

    def warn(event: Event) -> None:
        if isinstance(event, Warned):
            click.echo(f"! {event.message}", err=True)

    planned = Run(store, EventLog(Path("/dev/null"), (warn,)), is_dry=True)
    chain(planned)
    print_plan(str(order.recipe), planned.steps, runs=store.root / "runs", profile=composed.profile)


def _print_report(report: ReportArtifact) -> None:
    from burnish.cli.report import print_report

    print_report(report)
