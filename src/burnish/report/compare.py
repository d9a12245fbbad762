"""Before and after: one row for each thing measured on the base model and on the served one."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from burnish.artifacts import Artifact, Measurement
from burnish.report.figures import show, show_change, show_interval


class Verdict(Enum):
    """What a row says; the value is the word people read."""

    BETTER = "better"
    WORSE = "worse"
    NOISE = "within noise"
    SAME = "same"
    ONE_SIDED = "one side only"

    @property
    def symbol(self) -> str:
        """Give the sign that stands beside the word, so that nothing hangs on colour."""
        return {"better": "✓", "worse": "✗", "within noise": "≈", "same": "=", "one side only": "–"}[self.value]


@dataclass(frozen=True)
class Metric:
    """Say what is compared: its evidence name, its words, its unit and which way is better."""

    name: str
    words: str
    group: str
    unit: str
    is_lower_better: bool


METRICS = (
    Metric("accuracy_frac", "Accuracy", "Quality", "1", is_lower_better=False),
    Metric("f1_frac", "F1", "Quality", "1", is_lower_better=False),
    Metric("domain_bits_per_byte", "Bits per byte, domain text", "Quality", "bits/byte", is_lower_better=True),
    Metric("general_bits_per_byte", "Bits per byte, general text", "Quality", "bits/byte", is_lower_better=True),
    Metric("size_bytes", "Size on disk", "Footprint", "bytes", is_lower_better=True),
    Metric("memory_bytes", "Memory while serving", "Footprint", "bytes", is_lower_better=True),
    Metric("ttft_p50_ms", "Time to first token, p50", "Speed", "ms", is_lower_better=True),
    Metric("ttft_p99_ms", "Time to first token, p99", "Speed", "ms", is_lower_better=True),
    Metric("itl_p50_ms", "Time between tokens, p50", "Speed", "ms", is_lower_better=True),
    Metric("itl_p99_ms", "Time between tokens, p99", "Speed", "ms", is_lower_better=True),
    Metric("latency_p50_ms", "Whole answer, p50", "Speed", "ms", is_lower_better=True),
    Metric("latency_p99_ms", "Whole answer, p99", "Speed", "ms", is_lower_better=True),
    Metric("throughput_tokens_per_s", "Throughput", "Speed", "tokens/s", is_lower_better=False),
)


@dataclass(frozen=True)
class Row:
    """Hold one comparison; a side that was not measured is None, and at least one side is there."""

    metric: Metric
    before: Measurement | None
    after: Measurement | None

    @property
    def verdict(self) -> Verdict:
        """Judge the row; intervals that overlap are within noise, which errs on the cautious side."""
        if self.before is None or self.after is None:
            return Verdict.ONE_SIDED
        before_low, before_high = _ends(self.before)
        after_low, after_high = _ends(self.after)
        if self.before.value == self.after.value and before_low == before_high and after_low == after_high:
            return Verdict.SAME
        if max(before_low, after_low) <= min(before_high, after_high):
            return Verdict.NOISE
        is_better = (self.after.value < self.before.value) == self.metric.is_lower_better
        return Verdict.BETTER if is_better else Verdict.WORSE

    @property
    def change(self) -> str:
        """Show the change in words; empty where a side is missing."""
        if self.before is None or self.after is None:
            return ""
        return show_change(self.before.value, self.after.value, self.metric.unit)

    def shown(self, side: Measurement | None) -> str:
        """Show one side's value, or a dash."""
        return "–" if side is None else show(side.value, self.metric.unit)

    def interval(self, side: Measurement | None) -> str:
        """Show one side's interval, its unit left to the value beside it; empty where exact or missing."""
        if side is None or side.low is None or side.high is None:
            return ""
        return show_interval(side.low, side.high, self.metric.unit, beside=side.value)

    def as_json(self) -> dict[str, Any]:
        """Give the row as report.json holds it: values in the row's unit, `change` = after - before."""
        verdict = self.verdict
        both = self.before is not None and self.after is not None
        return {
            "metric": self.metric.words,
            "name": self.metric.name,
            "group": self.metric.group,
            "unit": self.metric.unit,
            "before": self.before.value if self.before else None,
            "after": self.after.value if self.after else None,
            "before_interval": _json_interval(self.before),
            "after_interval": _json_interval(self.after),
            "change": self.after.value - self.before.value if both and self.after and self.before else None,
            "is_better": {Verdict.BETTER: True, Verdict.WORSE: False}.get(verdict),
            "verdict": verdict.value,
        }


def compare(
    earlier: tuple[Artifact | None, ...], later: tuple[Artifact | None, ...], *, price_per_hour: float, currency: str
) -> tuple[Row, ...]:
    """Pair what was measured before with what was measured after.

    Args:
        earlier: artifacts whose evidence describes the base model; None for one that the run did not make.
        later: the same for the compressed and served model.
        price_per_hour: what the machine costs; turns throughput into the cost of a million output tokens.
        currency: three letters.

    Returns:
        The rows that have at least one side, in the order of `METRICS`, cost last.
    """
    pairs = [(metric, _find(earlier, metric.name), _find(later, metric.name)) for metric in METRICS]
    throughput = next((pair for pair in pairs if pair[0].name == "throughput_tokens_per_s"), None)
    if throughput is not None:
        cost = Metric(
            "cost_per_million_tokens", "Cost of a million output tokens", "Cost", currency, is_lower_better=True
        )
        before, after = (_cost(side, price_per_hour, currency) for side in throughput[1:])
        pairs.append((cost, before, after))
    return tuple(Row(metric, before, after) for metric, before, after in pairs if before or after)


def _find(artifacts: tuple[Artifact | None, ...], name: str) -> Measurement | None:
    held = (m for artifact in artifacts if artifact is not None for m in artifact.evidence)
    return next((m for m in held if m.name == name), None)


def _cost(throughput: Measurement | None, price_per_hour: float, currency: str) -> Measurement | None:
    """Price a million tokens: price / (tokens/s * 3600) * 1e6; the interval's ends change places."""
    if throughput is None or throughput.value <= 0:
        return None
    price = price_per_hour / 3600 * 1e6
    low, high = throughput.low, throughput.high
    has_interval = low is not None and high is not None and low > 0
    return Measurement(
        "cost_per_million_tokens",
        price / throughput.value,
        currency,
        throughput.n,
        price / high if has_interval and high else None,
        price / low if has_interval and low else None,
        f"{price_per_hour:g} {currency} per hour / throughput; machine fully used",
    )


def _ends(side: Measurement) -> tuple[float, float]:
    if side.low is None or side.high is None:
        return side.value, side.value
    return side.low, side.high


def _json_interval(side: Measurement | None) -> list[float] | None:
    return None if side is None or side.low is None or side.high is None else [side.low, side.high]
