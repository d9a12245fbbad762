"""Pruning in steps: score, cut, refit, tune, measure; each step is kept, so that a killed run goes on after it.

In `out.snapshots` lie `steps.json`, with a row a finished step, and the newest good model; beside them the cut model of
a step that is being tuned, and the training loop's own snapshots of that.
"""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from burnish.compress.held_out import HeldOut
from burnish.compress.pruning.cut import cut_layers
from burnish.compress.pruning.depth import LayerCriterion, layers_to_keep, loss_without
from burnish.compress.pruning.layout import Shape
from burnish.compress.pruning.narrow import narrow
from burnish.compress.pruning.refit import LeastSquares
from burnish.compress.sensitivity import Criterion, score_units
from burnish.nn.frozen import num_weights
from burnish.nn.weights import open_model, save_model
from burnish.runtime import Workdir

RECORD = "step.json"  # in the folder of a step's model


@dataclass(frozen=True)
class Step:
    """One step of pruning, as `pruning.json` keeps it.

    Attributes:
        shape: after the step.
        kept_layers: numbers of the whole model's layers that are left.
        loss_nats_before: on calibration text, a token, before the step.
        loss_nats_cut: after cut and refit.
        refit_error_frac: error of the refitted outputs over that of a plain cut; None where nothing was refitted.
        loss_nats: on calibration text, a token, after tuning too; equal to `loss_nats_cut` where there was none.
        held_out_losses: of each held-out document, in nats.
        is_good: the loss budget holds.
        num_skipped: steps of tuning that were left out, since loss or gradient was not finite; None where there was none.
    """

    shape: Shape
    kept_layers: list[int]
    num_parameters: int
    loss_nats_before: float
    loss_nats_cut: float
    refit_error_frac: float | None
    loss_nats: float = math.nan
    held_out_losses: list[float] | None = None
    is_good: bool = True
    num_skipped: int | None = None

    @staticmethod
    def of(fields: dict[str, Any]) -> "Step":
        """Read what `asdict` made."""
        return Step(**{**fields, "shape": Shape(**fields["shape"])})


@dataclass(frozen=True)
class Way:
    """How a step is made.

    Attributes:
        tune: trains the model of one folder and writes it to another, told the step's number; it gives how many of its
            steps were left out. None is no tuning.
        is_good: judges held-out losses.
    """

    criterion: Criterion
    layer_criterion: LayerCriterion
    reconstruction: LeastSquares | None
    rows: Sequence[Sequence[int]]
    held_out: HeldOut
    tune: Callable[[Path, Path, int], int] | None
    is_good: Callable[[Sequence[float]], bool]


class Steps:
    """The steps of one run, those of an attempt that was killed among them.

    Args:
        whole: folder of the model before pruning.
    """

    def __init__(self, out: Workdir, whole: Path, way: Way) -> None:
        self.out, self.whole, self.way = out, whole, way
        self.done = [Step.of(fields) for fields in _read(out.snapshots / "steps.json", [])]

    @property
    def folder(self) -> Path:
        """Give the folder of the newest good model."""
        number = max((number for number, step in enumerate(self.done, 1) if step.is_good), default=0)
        return self._of(number) if number else self.whole

    def take(self, shape: Shape) -> Step:
        """Go to these sizes, from the newest good model; what a killed attempt has done of it is not done again."""
        number = len(self.done) + 1
        folder, before = self._of(number), self.folder
        if not folder.exists():
            self._make(number, shape).rename(folder)
        step = Step.of(_read(folder / RECORD, None))
        model = open_model(folder, precision="fp32")
        with self.out.progress("measuring what is left", total=None, unit="rows"):
            losses = self.way.held_out.losses(model)
            after = step.loss_nats_cut if self.way.tune is None else loss_without(model, self.way.rows, [])
        step = replace(step, loss_nats=after, held_out_losses=losses, is_good=self.way.is_good(losses))
        self.done.append(step)
        _write(self.out.snapshots / "steps.json", [asdict(each) for each in self.done])
        made = [
            self.out.snapshots / name for name in (f"cut-{number}", f"tuning-{number}", f"tuning-{number}.snapshots")
        ]
        for gone in {before, folder, *made} - {self.folder, self.whole}:
            shutil.rmtree(gone, ignore_errors=True)
        return step

    def _make(self, number: int, shape: Shape) -> Path:
        """Cut, and tune where that is asked for; give the folder, which holds the step's record."""
        cut = self._cut(number, shape)
        if self.way.tune is None:
            return cut
        tuned = self.out.snapshots / f"step-{number}.partial"
        shutil.rmtree(tuned, ignore_errors=True)
        num_skipped = self.way.tune(cut, tuned, number)
        _write(tuned / RECORD, _read(cut / RECORD, None) | {"num_skipped": num_skipped})
        return tuned

    def _cut(self, number: int, shape: Shape) -> Path:
        """Score, cut and refit, or take what a killed attempt made; the record is written last."""
        folder = self.out.snapshots / f"cut-{number}"
        if not (folder / RECORD).exists():
            shutil.rmtree(folder, ignore_errors=True)
            model = open_model(self.folder, precision="fp32")
            step = self._narrowed(model, shape)
            save_model(model, folder)
            _write(folder / RECORD, asdict(step))
        return folder

    def _narrowed(self, model: Any, shape: Shape) -> Step:
        way, now = self.way, Shape.of(model.config)
        before = loss_without(model, way.rows, [])
        good = [step.kept_layers for step in self.done if step.is_good]
        kept = good[-1] if good else list(range(now.layers))
        if shape.layers < now.layers:
            with self.out.progress("measuring layers", total=None, unit="rows") as bar:
                chosen = layers_to_keep(
                    model, way.rows, way.layer_criterion, now.layers - shape.layers, seen=bar.advance
                )
            cut_layers(model, chosen)
            kept = [kept[index] for index in chosen]
        refitted = None
        if (shape.ffn_channels, shape.kv_groups) != (now.ffn_channels, now.kv_groups):
            with self.out.progress("scoring channels and heads", total=len(way.rows), unit="rows") as bar:
                scores = score_units(model, way.rows, way.criterion, seen=bar.advance)
            with self.out.progress("cutting", total=shape.layers, unit="layers") as bar:
                refitted = narrow(model, scores, shape, way.rows, way.reconstruction, seen=bar.advance)
        return Step(
            shape=shape,
            kept_layers=kept,
            num_parameters=num_weights(model),
            loss_nats_before=before,
            loss_nats_cut=loss_without(model, way.rows, []),
            refit_error_frac=None if refitted is None else refitted.error / refitted.plain,
        )

    def _of(self, number: int) -> Path:
        return self.out.snapshots / f"step-{number}"


def _read(path: Path, missing: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else missing


def _write(path: Path, value: Any) -> None:
    """Write at one stroke: a killed process leaves the file whole or not there."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
