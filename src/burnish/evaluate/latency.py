"""Latency under load: requests drawn from held-out text, and what a closed loop of them says of a server."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.errors import RecipeError
from burnish.evaluate.closed_loop import Conversation, Timing, load_model
from burnish.learn.running_text import records_with_text
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.measure.intervals import percentile
from burnish.runtime import Workdir


@dataclass(frozen=True)
class LoadConfig:
    """Say how much is asked, and how many ask at once.

    Attributes:
        concurrency: clients in a closed loop: each sends its next request when the last is answered.
        num_requests: requests that count; warm-up comes on top.
        max_tokens: new tokens of every request, no fewer: end of text is ignored, so that the work is equal.
        threads: compute threads of the engine; None takes every core.
        max_prompt_characters: of a record's text; None sends it whole, and a server refuses what its context cannot hold.
    """

    concurrency: int = 8
    num_requests: int = 48
    max_tokens: int = 64
    seed: int = 0
    threads: int | None = None
    max_prompt_characters: int | None = None

    def __post_init__(self) -> None:
        is_empty = self.max_prompt_characters is not None and self.max_prompt_characters < 1
        if is_empty or not 1 <= self.concurrency <= self.num_requests or self.max_tokens < 2:
            raise RecipeError(
                f"concurrency is {self.concurrency}, num_requests {self.num_requests}, max_tokens {self.max_tokens}, "
                f"max_prompt_characters {self.max_prompt_characters}; need 1 <= concurrency <= num_requests, 2 tokens (for "
                "the gap between them) and 1 character, or null for whole prompts"
            )

    def ways(self) -> dict[str, Any]:
        """Give what `load_model` is told of it."""
        names = ("concurrency", "max_tokens", "threads")
        return {name: getattr(self, name) for name in names}


def load_prompts(data: DatasetArtifact, config: LoadConfig) -> list[Conversation]:
    """Draw `num_requests` conversations from the test split, each a record's text as the user's turn.

    Records are drawn without putting back until all were drawn.
    """
    texts = [record.text[: config.max_prompt_characters] for record in records_with_text(data, "test")]
    rng = random.Random(config.seed)
    drawn: list[str] = []
    while len(drawn) < config.num_requests:
        drawn += rng.sample(texts, min(len(texts), config.num_requests - len(drawn)))
    return [[{"role": "user", "content": text}] for text in drawn]


def load_served(
    out: Workdir, model: ModelArtifact, prompts: DatasetArtifact, *, config: LoadConfig
) -> Draft[ReportArtifact]:
    """Serve the model as a user would, ask it in a closed loop, and time each token as the client sees it.

    The client runs on the same machine and takes its share of the cores.

    Raises:
        BurnishError: the server does not start, or answers no request.
    """
    conversations = load_prompts(prompts, config)
    with out.progress("served load", total=len(conversations), unit="requests") as bar:
        load = load_model(model, conversations, **config.ways(), each=bar.advance)
    rows = [timing.row() for timing in load.timings] + [{"error": failure} for failure in load.failures]
    (out / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    how = (
        f"served over loopback, openai client, streaming, closed loop of {config.concurrency}, greedy, "
        f"{config.max_tokens} tokens each"
    )
    evidence = (
        *load_evidence(load.timings, load.seconds, load.peak_bytes, config, how),
        Measurement("failed_requests", len(load.failures), "1", len(conversations), how=how),
        Measurement("ready_s", load.ready_s, "s", 1, how="from the start of the server's process to its ready line"),
    )
    return Draft(ReportArtifact, evidence, f"{model.label} under load: {how}.")


def load_evidence(
    timings: Sequence[Timing], seconds: float, peak_bytes: int, config: LoadConfig, how: str
) -> tuple[Measurement, ...]:
    """Sum up a load.

    Times of requests are independent enough for order statistics. Gaps of one request hang together, so their
    interval, and the throughput's, resamples requests.

    Args:
        timings: the requests that were answered, at least one.
        seconds: from the first request sent to the last token.
        peak_bytes: highest resident memory of what was loaded.
        how: the setting in words.
    """
    num_tokens = sum(timing.num_tokens for timing in timings)
    rate = num_tokens / seconds
    total_s = [timing.total_s for timing in timings]
    mean_s = sum(total_s) / len(total_s)
    # In a closed loop throughput is inverse to the mean latency.
    low, high = bootstrap(
        lambda drawn: rate * mean_s / (sum(total_s[i] for i in drawn) / len(drawn)), len(timings), seed=config.seed
    )
    resampled = f"{how}; bootstrap over requests, {DRAWS} draws, seed {config.seed}"
    return (
        *(_of_requests("ttft", [timing.ttft_s for timing in timings], share, how) for share in (0.5, 0.99)),
        *(_of_gaps(timings, share, config.seed, resampled) for share in (0.5, 0.99)),
        *(_of_requests("latency", total_s, share, how) for share in (0.5, 0.99)),
        Measurement("throughput_tokens_per_s", rate, "tokens/s", len(timings), low, high, resampled),
        Measurement("memory_bytes", peak_bytes, "bytes", 1, how="sum of the processes' highest resident memory"),
        Measurement("num_requests", len(timings), "1", len(timings), how=how),
        Measurement("concurrency", config.concurrency, "1", len(timings), how=how),
    )


def _of_requests(name: str, values_s: list[float], share: float, how: str) -> Measurement:
    found = percentile([1000 * value for value in values_s], share)
    method = f"{how}; order statistics, coverage {found.coverage_frac:.0%}"
    return Measurement(f"{name}_p{100 * share:.0f}_ms", found.value, "ms", len(values_s), found.low, found.high, method)


def _of_gaps(timings: Sequence[Timing], share: float, seed: int, how: str) -> Measurement:
    import numpy as np

    gaps_ms = [1000 * np.asarray(timing.gaps_s or [0.0]) for timing in timings]  # 0 where all came together

    def statistic(drawn: Sequence[int]) -> float:
        return float(np.quantile(np.concatenate([gaps_ms[i] for i in drawn]), share))

    low, high = bootstrap(statistic, len(gaps_ms), seed=seed)
    value, n = statistic(range(len(gaps_ms))), sum(map(len, gaps_ms))
    return Measurement(f"itl_p{100 * share:.0f}_ms", value, "ms", n, low, high, how)
