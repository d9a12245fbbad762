"""A closed loop of the stock OpenAI client against the real server: what each request sees."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from burnish.artifacts import ModelArtifact
from burnish.errors import BurnishError
from burnish.evaluate.served import Served, served
from burnish.runtime import need

_TIMEOUT_S = 300.0
Conversation = list[dict[str, str]]


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


@dataclass
class Loaded:
    """What a load was.

    Attributes:
        seconds: from the first request sent to the last token.
        peak_bytes: highest resident memory of the server's processes.
        ready_s: from the start of the server to its first answer.
    """

    timings: list[Timing]
    failures: list[str]
    seconds: float = 0.0
    peak_bytes: int = 0
    ready_s: float = 0.0


def load_model(
    model: ModelArtifact,
    conversations: Sequence[Conversation],
    *,
    concurrency: int,
    max_tokens: int,
    threads: int | None,
    each: Callable[[], None],
) -> Loaded:
    """Serve a model and ask it all conversations, so many at once; `each` is called after every answer.

    Raises:
        BurnishError: the server does not start, or answers no request.
    """
    with served(model, threads=threads) as server:
        load = asyncio.run(_load(server, conversations, concurrency, max_tokens, each))
        load.peak_bytes, load.ready_s = tree_peak_bytes(server.pid), server.ready_s
    if not load.timings:
        raise BurnishError(f"the server answered none of {len(conversations)} requests; the first: {load.failures[0]}")
    return load


async def _load(
    server: Served,
    conversations: Sequence[Conversation],
    concurrency: int,
    max_tokens: int,
    each: Callable[[], None],
) -> Loaded:
    openai = need("openai", extra="load")
    load = Loaded([], [])
    waiting = iter(conversations)
    loopback = openai.DefaultAsyncHttpxClient(trust_env=False)  # no proxy stands between this machine and itself
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=_TIMEOUT_S, http_client=loopback
    ) as client:

        async def work() -> None:
            for messages in waiting:
                try:
                    load.timings.append(await _timed(client, server.model, messages, max_tokens))
                except (openai.OpenAIError, BurnishError) as error:
                    load.failures.append(f"{type(error).__name__}: {error}")
                each()

        warm = [{"role": "user", "content": "warm-up"}]
        tasks = (_timed(client, server.model, warm, 4) for _ in range(concurrency))
        await asyncio.gather(*tasks, return_exceptions=True)  # what fails here fails below, where it is counted
        start_s = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(concurrency)))
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
