"""A chain of four real stages, small enough for tests: text, a noisy fit of a line through it, a gate, a report."""

import json
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact, counted
from burnish.cli.main import exit_code
from burnish.cli.run import Order, run_recipe
from burnish.errors import RecipeError
from burnish.runtime import Run, Workdir

DELAY = "SMALL_CHAIN_DELAY_S"  # outside the lineage: how long each step of `fit` takes


@dataclass(frozen=True)
class Collect:
    num_points: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_points < 2:
            raise RecipeError(f"num_points is {self.num_points}; it must be at least 2")


@dataclass(frozen=True)
class Gradient:
    lr: float = 0.1


@dataclass(frozen=True)
class Normal:
    ridge: float = 0.0


@dataclass(frozen=True)
class Fit:
    num_steps: int = 20
    method: Gradient | Normal = Gradient()


@dataclass(frozen=True)
class Page:
    title: str = "A line"


@dataclass(frozen=True)
class SmallRecipe:
    collect: Collect = Collect()
    fit: Fit = Fit()
    page: Page = Page()
    min_kept_frac: float = 0.1
    extra: Path | None = None
    track: tuple[Literal["mlflow", "wandb"], ...] = ()


def collect(out: Workdir, *, config: Collect) -> Draft[DatasetArtifact]:
    rng = random.Random(config.seed)
    points = [(x / config.num_points, 3 * x / config.num_points + rng.gauss(0, 0.1)) for x in range(config.num_points)]
    kept = [point for point in points if abs(point[1]) > 0.05]
    (out / "data/points.json").write_text(json.dumps(kept))
    out.warn(f"{len(points) - len(kept)} points were near zero and are set aside")
    return Draft(DatasetArtifact, (counted("kept_frac", len(kept), of=len(points)),), f"{len(kept)} points.")


def fit(out: Workdir, data: DatasetArtifact, *, config: Fit) -> Draft[ModelArtifact]:
    points = data.read_json("data/points.json")
    delay_s = float(os.environ.get(DELAY, "0"))
    snapshot = out.snapshots / "state.json"
    slope, start = json.loads(snapshot.read_text()) if snapshot.exists() else (0.0, 0)
    lr = config.method.lr if isinstance(config.method, Gradient) else 1.0 / (1.0 + config.method.ridge)
    with out.progress("steps", total=config.num_steps, unit="steps") as bar:
        bar.advance(start)
        for step in range(start, config.num_steps):
            gradient = sum((slope * x - y) * x for x, y in points) / len(points)
            slope -= lr * gradient
            time.sleep(delay_s)
            _replace(snapshot, json.dumps([slope, step + 1]))
            out.metrics(step, loss=gradient**2)
            bar.advance(1, note=f"slope {slope:.3f}")
    (out / "slope.json").write_text(json.dumps(slope))
    return Draft(ModelArtifact, (Measurement("slope", slope, "1", len(points), slope - 0.1, slope + 0.1),), "A slope.")


def page(out: Workdir, data: DatasetArtifact, model: ModelArtifact, *, config: Page) -> Draft[ReportArtifact]:
    slope = model.measurement("slope")
    row = {"metric": "slope [fit]", "unit": "1", "before": 0.0, "after": slope.value, "change": slope.value}
    intervals = {"before_interval": None, "after_interval": [slope.low, slope.high], "verdict": "better"}
    (out / "report.json").write_text(json.dumps({"title": config.title, "table": [{**row, **intervals}]}))
    (out / "index.html").write_text(f"<!doctype html><title>{config.title}</title>{slope}")
    return Draft(ReportArtifact, (data.measurement("kept_frac"), slope), "The line.")


def small_chain(run: Run, recipe: SmallRecipe) -> ReportArtifact:
    data = run(collect, config=recipe.collect)
    run.require(data, "kept_frac", at_least=recipe.min_kept_frac)
    model = run(fit, data, config=recipe.fit, label="tuned")
    return run(page, data, model, config=recipe.page, label="report")


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(text)
    partial.replace(path)


def main(arguments: list[str]) -> int:
    """Run `RECIPE STORE [key=value…] [--dry-run]` as `burnish run` does."""
    flags = {argument for argument in arguments if argument.startswith("--")}
    recipe, store, *overrides = [argument for argument in arguments if argument not in flags]
    order = Order(Path(recipe), tuple(overrides), Path(store), "--dry-run" in flags, "--plain" in flags)
    return exit_code(lambda: run_recipe(order, SmallRecipe, small_chain))


if __name__ == "__main__":
    import small_chain as importable  # under its own name, so that its stages are the same as in tests

    sys.exit(importable.main(sys.argv[1:]))
