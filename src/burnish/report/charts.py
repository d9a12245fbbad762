"""Charts: the loss curve, and the pair of bars that stands in every row of the table."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from burnish.report.figures import significant
from burnish.report.svg import Drawing, polyline

_MAX_POINTS = 240  # more points than pixels only make the page heavy
_SMOOTH_FRAC = 0.06  # width of the moving mean, as a share of the points
_LEFT, _RIGHT, _TOP = 46.0, 14.0, 12.0
_PLOT_HEIGHT, _RATE_TOP, _RATE_HEIGHT = 230.0, 268.0, 34.0
_HEIGHT = 340.0
_FLAT = 1e-6  # differences below this share are drawn as a flat line

Place = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Point:
    """Hold one step of the training log."""

    step: float
    loss_nats: float
    learning_rate: float | None = None


@dataclass(frozen=True)
class Curve:
    """Hold a training log: the loss on training batches and the loss on the validation set."""

    training: tuple[Point, ...]
    validation: tuple[Point, ...]

    @property
    def words(self) -> str:
        """Describe the curve for those who do not see it."""
        parts = []
        for name, points in (("training", self.training), ("validation", self.validation)):
            if points:
                first, last = points[0], points[-1]
                parts.append(
                    f"{name} loss from {significant(first.loss_nats)} at step {first.step:g} "
                    f"to {significant(last.loss_nats)} nats at step {last.step:g}"
                )
        return "; ".join(parts)


def thin(points: tuple[Point, ...], limit: int = _MAX_POINTS) -> tuple[tuple[Point, ...], int]:
    """Average neighbouring points until at most `limit` are left; give them and the number averaged."""
    size = math.ceil(len(points) / limit) if points else 1
    buckets = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple(_mean(bucket) for bucket in buckets), size


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Give round numbers (1, 2 or 5 times a power of ten apart) that span from `low` to `high`."""
    span = high - low
    if span < _FLAT * max(1.0, abs(low), abs(high)):
        span = abs(high) if abs(high) > _FLAT else 1.0
    raw = span / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def loss_chart(curve: Curve, width: float) -> str:
    """Draw the loss over the steps, with the learning rate as a strip below where the log holds it."""
    training, size = thin(curve.training)
    validation, _ = thin(curve.validation)
    every = (*training, *validation)
    rates = [point.learning_rate for point in training if point.learning_rate is not None]
    height = _HEIGHT if rates else _HEIGHT - _RATE_HEIGHT - 16
    drawing = Drawing(width, height, f"Loss curve: {curve.words}.", "chart")
    x_max = max(point.step for point in curve.training + curve.validation) or 1.0
    levels = ticks(min(point.loss_nats for point in every), max(point.loss_nats for point in every))

    def place(step: float, loss: float) -> tuple[float, float]:
        share = (loss - levels[0]) / (levels[-1] - levels[0])
        return _LEFT + (width - _LEFT - _RIGHT) * step / x_max, _TOP + _PLOT_HEIGHT * (1 - share)

    _axes(drawing, levels, x_max, place)
    if training:
        smooth = _smooth([point.loss_nats for point in training])
        drawing.path(polyline([place(p.step, p.loss_nats) for p in training]), "loss-raw")
        drawing.path(polyline([place(p.step, y) for p, y in zip(training, smooth, strict=True)]), "loss-mean")
    if rates:
        _rate_strip(drawing, training, x_max, max(rates))
    _pointers(drawing, training, place, size)
    if validation:
        drawing.path(polyline([place(p.step, p.loss_nats) for p in validation]), "loss-validation")
    for point in validation:
        x, y = place(point.step, point.loss_nats)
        drawing.circle(x, y, 4, "dot", f"validation at step {point.step:g}: {significant(point.loss_nats)} nats")
    return drawing.markup()


def bar_pair(before: float | None, after: float | None, intervals: tuple[tuple[float, float] | None, ...]) -> str:
    """Draw the two values of a row as bars from zero, with whiskers where an interval is known.

    Args:
        before: drawn above, muted; None leaves it out.
        after: drawn below, in the accent colour.
        intervals: of before and after.
    """
    ends = [value for pair in intervals if pair for value in pair]
    top = max([value for value in (before, after) if value is not None] + ends + [0.0])
    drawing = Drawing(112, 20, "", "bars")
    drawing.root.attrib.pop("aria-label")
    drawing.root.set("role", "presentation")
    scale = 108 / top if top > 0 else 0.0
    for value, interval, y, css in (
        (before, intervals[0], 2.0, "bar-before"),
        (after, intervals[1], 12.0, "bar-after"),
    ):
        if value is None:
            continue
        drawing.rect(0, y, max(1.0, max(0.0, value) * scale), 6, css)
        if interval is not None:
            low, high = (max(0.0, end) * scale for end in interval)
            drawing.line(low, y + 3, high, y + 3, "whisker")
            drawing.line(low, y, low, y + 6, "whisker")
            drawing.line(high, y, high, y + 6, "whisker")
    return drawing.markup()


def _axes(drawing: Drawing, levels: list[float], x_max: float, place: Place) -> None:
    right = drawing.width - _RIGHT
    decimals = max(0, -math.floor(math.log10(levels[1] - levels[0])))
    for level in levels:
        y = place(0, level)[1]
        drawing.line(_LEFT, y, right, y, "grid")
        drawing.text(_LEFT - 8, y + 4, f"{level:.{decimals}f}", "tick", "end")
    for step in ticks(0, x_max, 6 if drawing.width > 500 else 4):
        if step <= x_max and step == round(step):
            x = place(step, levels[0])[0]
            drawing.line(x, _TOP + _PLOT_HEIGHT, x, _TOP + _PLOT_HEIGHT + 4, "axis")
            drawing.text(x, drawing.height - 22, f"{step:,.6g}", "tick", "middle")
    drawing.text((_LEFT + right) / 2, drawing.height - 4, "step", "tick", "middle")


def _rate_strip(drawing: Drawing, training: tuple[Point, ...], x_max: float, top: float) -> None:
    base = _RATE_TOP + _RATE_HEIGHT
    points = [
        (
            _LEFT + (drawing.width - _LEFT - _RIGHT) * point.step / x_max,
            base - _RATE_HEIGHT * (point.learning_rate or 0.0) / (top or 1.0),
        )
        for point in training
    ]
    drawing.path(polyline([(points[0][0], base), *points, (points[-1][0], base)]) + "Z", "rate")
    drawing.line(_LEFT, base, drawing.width - _RIGHT, base, "grid")
    drawing.text(drawing.width - _RIGHT, _RATE_TOP - 6, f"learning rate, peak {significant(top, 2)}", "tick", "end")


def _pointers(drawing: Drawing, training: tuple[Point, ...], place: Place, size: int) -> None:
    """Lay one invisible strip over each point, which shows its numbers under the pointer."""
    near = f", mean of {size} steps" if size > 1 else ""
    xs = [place(point.step, point.loss_nats)[0] for point in training]
    for index, point in enumerate(training):
        left = (xs[index - 1] + xs[index]) / 2 if index else xs[index] - 2
        right = (xs[index + 1] + xs[index]) / 2 if index + 1 < len(xs) else xs[index] + 2
        rate = "" if point.learning_rate is None else f", learning rate {point.learning_rate:.3g}"
        hover = f"step {point.step:g}{near}: {significant(point.loss_nats)} nats{rate}"
        drawing.rect(left, _TOP, max(0.5, right - left), _PLOT_HEIGHT, "pointer", hover)


def _smooth(values: list[float]) -> list[float]:
    half = round(len(values) * _SMOOTH_FRAC / 2)
    windows = (values[max(0, index - half) : index + half + 1] for index in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _mean(points: tuple[Point, ...]) -> Point:
    rates = [point.learning_rate for point in points if point.learning_rate is not None]
    return Point(
        points[len(points) // 2].step,
        sum(point.loss_nats for point in points) / len(points),
        sum(rates) / len(rates) if rates else None,
    )
