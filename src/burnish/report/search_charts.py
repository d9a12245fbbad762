"""Charts of a search: every trial's loss with the best so far, and which values mattered."""

import math
import statistics

from burnish.report.charts import ticks
from burnish.report.figures import significant
from burnish.report.search_view import SearchView, Trial, importance_words, name_words, stage_words
from burnish.report.svg import Drawing, polyline

_LEFT, _RIGHT, _TOP, _HEIGHT = 52.0, 14.0, 30.0, 230.0
_ROW, _HEAD, _NAME = 26.0, 30.0, 150.0


def trials_chart(view: SearchView, width: float) -> str:
    """Draw a mark for each trial in its order, and the best loss so far as a line.

    A loss far above the others, and a trial that failed without one, stand at the upper edge: they would flatten what
    is to be compared.
    """
    words = (
        f"Validation loss of {len(view.trials)} trials; the best, {significant(view.best_nats)} nats, is trial "
        f"{view.best_number}."
    )
    drawing = Drawing(width, _TOP + _HEIGHT + 46, words, "chart")
    top = _ceiling(view)
    levels = ticks(min(view.best_nats, top), top)
    step = (width - _LEFT - _RIGHT) / len(view.trials)

    def place(trial: Trial, loss: float | None) -> tuple[float, float]:
        shown = levels[-1] if loss is None else min(loss, levels[-1])
        share = (shown - levels[0]) / (levels[-1] - levels[0])
        return _LEFT + (trial.number - 0.5) * step, _TOP + _HEIGHT * (1 - share)

    _frame(drawing, view, levels, step)
    best = [place(trial, trial.best_nats) for trial in view.trials if trial.best_nats is not None]
    corners = [point for at, (x, y) in enumerate(best) for point in ([(x, best[at - 1][1])] if at else []) + [(x, y)]]
    drawing.path(polyline(corners), "best-line")
    for trial in view.trials:
        x, y = place(trial, trial.loss_nats)
        hover = f"{trial.words}{'; ' if trial.reason else ''}{trial.reason}"
        if trial.loss_nats is None or trial.state == "failed":
            drawing.path(
                polyline([(x - 4, y - 4), (x + 4, y + 4)]) + polyline([(x - 4, y + 4), (x + 4, y - 4)]), "lost"
            )
            drawing.rect(x - 6, y - 6, 12, 12, "pointer", hover)
        else:
            drawing.circle(x, y, 6 if trial.number == view.best_number else 4, f"trial-{trial.state}", hover)
    return drawing.markup()


def importance_chart(view: SearchView, width: float) -> str:
    """Draw for each stage the share of its losses' variance that each value explains."""
    known = [each for each in view.tried if each.importance_frac is not None]
    stages = [stage for stage in view.stages if any(each.stage == stage for each in known)]
    words = "; ".join(f"{name_words(each.name)} {importance_words(each.importance_frac)}" for each in known)
    height = _HEAD * len(stages) + _ROW * len(known) + 6
    drawing = Drawing(width, height, f"Share of the variance of the loss, stage by stage: {words}.", "chart")
    y = 0.0
    for stage in stages:
        drawing.text(0, y + 20, stage_words(stage), "stage-name")
        y += _HEAD
        for each in known:
            if each.stage != stage:
                continue
            frac = each.importance_frac or 0.0
            room = width - _NAME - 60
            drawing.text(_NAME - 10, y + 15, name_words(each.name), "tick", "end")
            drawing.rect(_NAME, y + 3, room, 16, "bar-room")
            drawing.rect(_NAME, y + 3, max(1.0, room * frac), 16, "bar-after", f"{importance_words(frac)} of {stage}")
            drawing.text(_NAME + room + 8, y + 15, importance_words(frac), "tick")
            y += _ROW
    return drawing.markup()


def _ceiling(view: SearchView) -> float:
    losses = [trial.loss_nats for trial in view.trials if trial.loss_nats is not None and trial.state != "failed"]
    usual = statistics.median(losses) + 2 * (statistics.median(losses) - min(losses))
    high = max(view.own_nats or view.best_nats, min(max(losses), usual))
    return high if high > view.best_nats else view.best_nats * 1.1


def _frame(drawing: Drawing, view: SearchView, levels: list[float], step: float) -> None:
    right, base = drawing.width - _RIGHT, _TOP + _HEIGHT
    decimals = max(0, -math.floor(math.log10(levels[1] - levels[0])))
    for at, level in enumerate(levels):
        y = base - _HEIGHT * at / (len(levels) - 1)
        drawing.line(_LEFT, y, right, y, "grid")
        drawing.text(_LEFT - 8, y + 4, f"{level:.{decimals}f}", "tick", "end")
    for stage in view.stages:
        numbers = [trial.number for trial in view.trials if trial.stage == stage]
        if not numbers:
            continue
        x = _LEFT + (min(numbers) - 1) * step
        drawing.line(x, _TOP - 20, x, base + 4, "axis")
        drawing.text(x + 5, _TOP - 10, stage_words(stage), "stage-name")
        drawing.text(x + 2, base + 18, str(min(numbers)), "tick")
    drawing.text((_LEFT + right) / 2, drawing.height - 6, "trial", "tick", "middle")
