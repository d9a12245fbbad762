"""Latency under load: what each request sees, and a closed loop of the stock OpenAI client against the real server."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.evaluate.served import Served, served
from burnish.learn.running_text import records_with_text
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.measure.intervals import percentile
from burnish.runtime import Workdir, need

_TIMEOUT_S = 300.0


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


@dataclass(frozen=True)
class Timing:
    """What one request saw.

    Attributes:
        ttft_s: from sending to the first token.
        gaps_s: between what came and what came next; fewer than tokens where several came together.
        total_s: from sending to the last token.
    """

    ttft_s: float
    gaps_s: list[float]
    total_s: float
    num_tokens: int

    def row(self) -> dict[str, Any]:
        """Give the request as a row of requests.jsonl."""
        return asdict(self)


def load_prompts(data: DatasetArtifact, config: LoadConfig) -> list[list[dict[str, str]]]:
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
    with served(model, threads=config.threads) as server:
        with out.progress("served load", total=len(conversations), unit="requests") as bar:
            load = asyncio.run(_load(server, conversations, config, bar.advance))
        peak_bytes = tree_peak_bytes(server.pid)
    if not load.timings:
        raise BurnishError(f"the server answered none of {len(conversations)} requests; the first: {load.failures[0]}")
    rows = [timing.row() for timing in load.timings] + [{"error": failure} for failure in load.failures]
    (out / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    how = (
        f"served over loopback, openai client, streaming, closed loop of {config.concurrency}, greedy, "
        f"{config.max_tokens} tokens each"
    )
    evidence = (
        *load_evidence(load.timings, load.seconds, peak_bytes, config, how),
        Measurement("failed_requests", len(load.failures), "1", len(conversations), how=how),
        Measurement("ready_s", server.ready_s, "s", 1, how="from the start of the server's process to its ready line"),
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


def tree_peak_bytes(pid: int) -> int:
    """Add up the highest resident memory that a process and its descendants have had, from /proc.

    Raises:
        BurnishError: there is no such process, or no /proc.
    """
    status = {int(path.parent.name): _status(path) for path in Path("/proc").glob("[0-9]*/status")}
    tree, found = {pid}, 0
    while len(tree) > found:
        found = len(tree)
        tree |= {child for child, fields in status.items() if int(fields.get("PPid", 0)) in tree}
    peaks = [status[member]["VmHWM"] for member in tree if "VmHWM" in status.get(member, {})]
    if not peaks:
        raise BurnishError(f"process {pid} has no memory to read in /proc; it has ended, or this is not Linux")
    return sum(int(peak.split()[0]) * 1024 for peak in peaks)


def _status(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # it ended meanwhile
        return {}
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines if ":" in line)}


@dataclass
class _Load:
    timings: list[Timing]
    failures: list[str]
    seconds: float = 0.0


async def _load(
    server: Served, conversations: list[list[dict[str, str]]], config: LoadConfig, each: Callable[[], None]
) -> _Load:
    openai = need("openai", extra="load")
    load = _Load([], [])
    waiting = iter(conversations)
    loopback = openai.DefaultAsyncHttpxClient(trust_env=False)  # no proxy stands between this machine and itself
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=_TIMEOUT_S, http_client=loopback
    ) as client:

        async def work() -> None:
            for messages in waiting:
                try:
                    load.timings.append(await _timed(client, server.model, messages, config.max_tokens))
                except (openai.OpenAIError, BurnishError) as error:
                    load.failures.append(f"{type(error).__name__}: {error}")
                each()

        warm = [{"role": "user", "content": "warm-up"}]
        tasks = (_timed(client, server.model, warm, 4) for _ in range(config.concurrency))
        await asyncio.gather(*tasks, return_exceptions=True)  # what fails here fails below, where it is counted
        start_s = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(config.concurrency)))
        load.seconds = time.perf_counter() - start_s
    return load


async def _timed(client: Any, model: str, messages: list[dict[str, str]], max_tokens: int) -> Timing:
    start_s = time.perf_counter()
    moments: list[float] = []
    num_tokens = 0
    stream = await client.chat.completions.create(
        model=model,
        messages=messages,
        max_tokens=max_tokens,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True, "return_token_ids": True},  # then every token is sent, seen or not
    )
    async for chunk in stream:
        if chunk.choices:
            moments.append(time.perf_counter())
        elif chunk.usage is not None:
            num_tokens = chunk.usage.completion_tokens
    if not moments:
        raise BurnishError(f"the stream of model {model} ended without a token; {max_tokens} were asked for")
    return Timing(moments[0] - start_s, [b - a for a, b in pairwise(moments)], moments[-1] - start_s, num_tokens)


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
