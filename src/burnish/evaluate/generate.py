"""Load a model in plain transformers `generate`, the baseline that a served model is compared with."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact, ReportArtifact
from burnish.evaluate.latency import LoadConfig, Timing, load_evidence, load_prompts
from burnish.nn.chat import ChatFormat
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import open_model, open_tokenizer, quiet_transformers
from burnish.runtime import Workdir, need
from burnish.runtime.hardware import PeakMemory


@dataclass(frozen=True)
class GenerateConfig:
    """Say how the baseline is run: the same load as the server's, in the precision that is faster here."""

    load: LoadConfig
    precision: Precision = "auto"


def load_generate(
    out: Workdir, model: ModelArtifact, data: DatasetArtifact, *, config: GenerateConfig
) -> Draft[ReportArtifact]:
    """Generate for the same prompts in batches of `concurrency`, and time each token.

    This is kind to the baseline: no HTTP, no queue, batches always full. All requests of a batch start
    together and end together, as `generate` does it.
    """
    precision = resolve(config.precision)
    tokenizer = open_tokenizer(model.payload)
    chat = ChatFormat(tokenizer)
    network = open_model(model.payload, precision=precision)
    prompts = [list(chat.prompt(messages).ids) for messages in load_prompts(data, config.load)]
    size = config.load.concurrency
    batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
    timings: list[Timing] = []
    with PeakMemory() as memory, out.progress("transformers generate", total=len(prompts), unit="requests") as bar:
        _generate(network, batches[0], 2, chat.end_of_turn)  # warm-up
        start_s = time.perf_counter()
        for batch in batches:
            timings += _generate(network, batch, config.load.max_tokens, chat.end_of_turn)
            bar.advance(len(batch))
        seconds = time.perf_counter() - start_s
        peak_bytes = memory.peak_bytes
    lines = "".join(json.dumps(timing.row()) + "\n" for timing in timings)
    (out / "requests.jsonl").write_text(lines, encoding="utf-8")
    how = f"transformers generate, {precision}, static batches of {size}, greedy, {config.load.max_tokens} tokens each"
    evidence = load_evidence(timings, seconds, peak_bytes, config.load, how)
    return Draft(ReportArtifact, evidence, f"{model.label} under load: {how}.")


def _generate(network: Any, batch: list[list[int]], max_tokens: int, pad: int) -> list[Timing]:
    """Generate for one batch; every request of it sees each token at the same time."""
    torch = need("torch", extra="train")
    transformers = need("transformers", extra="train")
    longest = max(len(ids) for ids in batch)
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in batch])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in batch])
    moments: list[float] = []

    class Clock:
        """A stopping criterion that only looks at the clock."""

        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            """Note the moment and stop nothing."""
            del scores
            moments.append(time.perf_counter())
            return torch.zeros(input_ids.shape[0], dtype=torch.bool)

    start_s = time.perf_counter()
    with quiet_transformers(), torch.inference_mode():
        network.generate(
            ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=max_tokens,
            min_new_tokens=max_tokens,
            pad_token_id=pad,
            stopping_criteria=transformers.StoppingCriteriaList([Clock()]),
        )
    gaps = list(_gaps(moments))
    return [Timing(moments[0] - start_s, gaps, moments[-1] - start_s, max_tokens) for _ in batch]


def _gaps(moments: list[float]) -> Iterator[float]:
    for before, after in pairwise(moments):
        yield after - before
