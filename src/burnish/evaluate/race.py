"""A race: two forms of a model served in turn under the same load, so that whatever else the machine does meets both."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.errors import RecipeError
from burnish.evaluate.closed_loop import Loaded, load_model
from burnish.evaluate.latency import LoadConfig, load_prompts
from burnish.runtime import Workdir


@dataclass(frozen=True)
class RaceConfig:
    """Say how the two are loaded.

    Attributes:
        first: load of the first, which the second is set beside.
        second: of the second; threads may differ, what is asked may not. null is the first's.
        num_rounds: each loads both, one after the other.
    """

    first: LoadConfig = field(default_factory=LoadConfig)
    second: LoadConfig | None = None
    num_rounds: int = 3

    def __post_init__(self) -> None:
        if self.num_rounds < 1:
            raise RecipeError(f"num_rounds is {self.num_rounds}; it must be at least 1")
        for name in ("concurrency", "num_requests", "max_tokens", "max_prompt_characters", "seed"):
            mine, other = (getattr(load, name) for load in (self.first, self.second or self.first))
            if mine != other:
                raise RecipeError(f"{name} is {mine} for the first and {other} for the second; ask both the same")


def race(
    out: Workdir, first: ModelArtifact, second: ModelArtifact, data: DatasetArtifact, *, config: RaceConfig
) -> Draft[ReportArtifact]:
    """Serve two forms in turn, and give how the second does beside the first.

    Raises:
        BurnishError: a server does not start, or answers no request.
    """
    conversations = load_prompts(data, config.first)
    sides = ((first, config.first), (second, config.second or config.first))
    rounds: list[tuple[Loaded, ...]] = []
    with out.progress("loads in turn", total=2 * config.num_rounds, unit="loads") as bar:
        for _ in range(config.num_rounds):
            pair = []
            for model, load in sides:
                pair.append(load_model(model, conversations, **load.ways(), each=lambda: None))
                bar.advance(1, model.digest[:12])
            rounds.append(tuple(pair))
    (out / "loads.json").write_text(json.dumps([[asdict(each) for each in pair] for pair in rounds]) + "\n", "ascii")
    evidence = (
        *_evidence(
            [[_rate(each) for each in pair] for pair in rounds],
            [[_p50_s(each) for each in pair] for pair in rounds],
            config,
        ),
        *_sizes(first.measurement("size_bytes").value, second.measurement("size_bytes").value),
    )
    return Draft(ReportArtifact, evidence, f"{second.label} in turn with {first.label}, {config.num_rounds} rounds.")


def _rate(loaded: Loaded) -> float:
    return sum(timing.num_tokens for timing in loaded.timings) / loaded.seconds


def _p50_s(loaded: Loaded) -> float:
    return median(timing.total_s for timing in loaded.timings)


def _evidence(
    rates: Sequence[Sequence[float]], latencies_s: Sequence[Sequence[float]], config: RaceConfig
) -> tuple[Measurement, ...]:
    load = config.first
    how = (
        f"served in turn, {config.num_rounds} rounds of {load.num_requests} requests of {load.max_tokens} tokens, "
        f"{load.concurrency} at once; median, least and greatest as the interval"
    )

    def spread(name: str, values: Sequence[float], unit: str = "1", what: str = "") -> Measurement:
        return Measurement(name, median(values), unit, len(values), min(values), max(values), what + how)

    return (
        spread("speed_ratio", [b / a for a, b in rates], what="tokens a second of the second over the first's; "),
        spread("latency_saved_frac", [1 - b / a for a, b in latencies_s], what="of the first's median; "),
        spread("cost_saved_frac", [1 - a / b for a, b in rates], what="time of the machine a token; "),
        spread("first_throughput_tokens_per_s", [a for a, _ in rates], "tokens/s"),
        spread("throughput_tokens_per_s", [b for _, b in rates], "tokens/s"),
    )


def _sizes(first: float, second: float) -> tuple[Measurement, ...]:
    return (
        Measurement("size_ratio", first / second, "1", 1, how="bytes of the first's weights over the second's"),
        Measurement("size_saved_frac", 1 - second / first, "1", 1, how="of the bytes of the first's weights"),
    )
