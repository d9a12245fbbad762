"""Load a model in plain transformers `generate`, the baseline that a served model is compared with."""

import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact, ReportArtifact
from burnish.evaluate.closed_loop import Timing
from burnish.evaluate.latency import LoadConfig, load_evidence, load_prompts
from burnish.nn.chat import ChatFormat
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import device, open_model, open_tokenizer, quiet_transformers
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

    This is kind to the baseline: no HTTP, no queue, batches always full. It runs in a process of its own, so
    that its memory is its own. All requests of a batch start and end together, as `generate` does it.
    """
    precision = resolve(config.precision)
    chat = ChatFormat(open_tokenizer(model.payload))
    prompts = [list(chat.prompt(messages).ids) for messages in load_prompts(data, config.load)]
    size = config.load.concurrency
    batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
    timings: list[Timing] = []
    spawn = multiprocessing.get_context("spawn")
    opening = (model.payload, precision, config.load.threads, chat.end_of_turn)
    with (
        out.progress("transformers generate", total=len(prompts), unit="requests") as bar,
        ProcessPoolExecutor(1, mp_context=spawn, initializer=_Baseline.open, initargs=opening) as process,
    ):
        process.submit(_Baseline.generate, batches[0], 2).result()  # warm-up
        start_s = time.perf_counter()
        for batch in batches:
            timings += process.submit(_Baseline.generate, batch, config.load.max_tokens).result()
            bar.advance(len(batch))
        seconds = time.perf_counter() - start_s
        peak_bytes = process.submit(_peak_bytes).result()
    lines = "".join(json.dumps(timing.row()) + "\n" for timing in timings)
    (out / "requests.jsonl").write_text(lines, encoding="utf-8")
    how = f"transformers generate, {precision}, static batches of {size}, greedy, {config.load.max_tokens} tokens each"
    evidence = load_evidence(timings, seconds, peak_bytes, config.load, how)
    return Draft(ReportArtifact, evidence, f"{model.label} under load: {how}.")


class _Baseline:
    """The model in the baseline's own process."""

    network: ClassVar[Any]
    pad: ClassVar[int]

    @classmethod
    def open(cls, folder: Path, precision: str, threads: int | None, pad: int) -> None:
        """Open the model, once a process."""
        if threads is not None:
            need("torch", extra="train").set_num_threads(threads)
        cls.network, cls.pad = open_model(folder, precision=precision), pad

    @classmethod
    def generate(cls, batch: list[list[int]], max_tokens: int) -> list[Timing]:
        """Generate for one batch; every request of it sees each token at the same time."""
        torch = need("torch", extra="train")
        longest = max(len(ids) for ids in batch)
        ids = torch.tensor([[cls.pad] * (longest - len(row)) + row for row in batch])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in batch])
        moments: list[float] = []

        def look_at_the_clock(input_ids: Any, scores: Any, **_: Any) -> Any:
            del scores
            moments.append(time.perf_counter())
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)  # stop nothing

        ids, mask = ids.to(device()), mask.to(device())
        start_s = time.perf_counter()
        with quiet_transformers(), torch.inference_mode():
            cls.network.generate(
                ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=max_tokens,
                min_new_tokens=max_tokens,
                pad_token_id=cls.pad,
                stopping_criteria=[look_at_the_clock],
            )
        gaps = [after - before for before, after in pairwise(moments)]
        return [Timing(moments[0] - start_s, gaps, moments[-1] - start_s, max_tokens) for _ in batch]


def _peak_bytes() -> int:
    return PeakMemory().peak_bytes
