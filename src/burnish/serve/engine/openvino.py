"""The OpenVINO GenAI engine: continuous batching and a paged KV cache on CPU, behind our protocol."""

import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime import need
from burnish.serve.engine.protocol import Delta, FinishReason, Request, RequestRefused, Stats
from burnish.serve.engine.settings import CACHE_BLOCK_TOKENS, EngineSettings
from burnish.serve.folder import ServableFolder
from burnish.serve.memory import resident_bytes

_MEMORY_EVERY_S = 1.0


@dataclass(frozen=True)
class _InFlight:
    request: Request
    handle: Any


class OpenvinoEngine:
    """Serve a folder with OpenVINO GenAI.

    A step holds Python's global lock throughout, so this runs in a process of its own (`engine.process`).

    Raises:
        BurnishError: the model cannot be loaded.
    """

    def __init__(self, folder: ServableFolder, settings: EngineSettings) -> None:
        self._genai, self._openvino = import_genai()
        self._folder, self._settings = folder, settings
        scheduler = self._genai.SchedulerConfig()
        scheduler.num_kv_blocks = settings.cache_tokens // CACHE_BLOCK_TOKENS
        scheduler.max_num_batched_tokens = settings.max_batched_tokens
        scheduler.max_num_seqs = settings.max_running
        scheduler.enable_prefix_caching = settings.has_prefix_cache
        properties: dict[str, str | int] = {}
        if settings.num_threads is not None:
            properties["INFERENCE_NUM_THREADS"] = settings.num_threads
        if settings.precision == "f32":
            properties |= {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        if settings.precision == "f32" or settings.activations == "float":
            properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        try:
            self._pipeline = self._genai.ContinuousBatchingPipeline(str(folder.path), scheduler, "CPU", properties)
        except RuntimeError as error:
            raise BurnishError(f"{folder.path} cannot be loaded: {_reason(error)}") from error
        self._in_flight: dict[int, _InFlight] = {}
        self._memory_read_s, self._memory_read_bytes = float("-inf"), 0

    def add(self, request: Request) -> None:
        """Queue a request.

        Raises:
            RequestRefused: no token, a token outside the vocabulary, more tokens than the cache holds, or settings
                that the engine does not take together.
        """
        self._check(request)
        numpy = need("numpy", extra="serve")
        prompt = self._openvino.Tensor(numpy.asarray([request.prompt_tokens], dtype=numpy.int64))
        try:
            handle = self._pipeline.add_request(request.id, prompt, self._generation_config(request))
        except RuntimeError as error:
            raise RequestRefused(_reason(error)) from error
        self._in_flight[request.id] = _InFlight(request, handle)

    def step(self) -> list[Delta]:
        """Advance every running request, and give what they gained."""
        self._pipeline.step()
        deltas = [delta for running in self._in_flight.values() if (delta := self._read(running)) is not None]
        for delta in deltas:
            if delta.finish_reason is not None:
                del self._in_flight[delta.id]
        return deltas

    def abort(self, request_id: int) -> None:
        """Drop a request; the pipeline frees its blocks in the next step."""
        running = self._in_flight.pop(request_id, None)
        if running is not None:
            running.handle.cancel()

    def stats(self) -> Stats:
        """Describe the engine after the last step."""
        metrics = self._pipeline.get_metrics()
        total = len(self._in_flight)
        num_running = min(total, metrics.scheduled_requests)
        return Stats(
            num_running=num_running,
            num_waiting=total - num_running,
            cache_used_frac=metrics.cache_usage / 100 if total else 0.0,
            cache_bytes=metrics.kv_cache_size_in_bytes,
            memory_bytes=self._memory_bytes(),
        )

    def close(self) -> None:
        """Free the model; requests in flight are dropped first, or the pipeline reports their blocks as leaked."""
        for request_id in list(self._in_flight):
            self.abort(request_id)
        self._pipeline.step()
        del self._pipeline

    def _memory_bytes(self) -> int:
        """Read the memory now and then: each reading costs a hundredth of a step."""
        if time.monotonic() - self._memory_read_s > _MEMORY_EVERY_S:
            self._memory_read_s, self._memory_read_bytes = time.monotonic(), resident_bytes()
        return self._memory_read_bytes

    def _check(self, request: Request) -> None:
        size, sampling = self._folder.vocab_size, request.sampling
        # The engine reads past its embedding table on such a token.
        outside = [token for token in request.prompt_tokens if not 0 <= token < size]
        if outside:
            raise RequestRefused(f"token {outside[0]} is not in the vocabulary; tokens are 0 to {size - 1}")
        # The engine drops every request when one of them cannot fit.
        total = len(request.prompt_tokens) + max(1, sampling.max_tokens)
        if total > self._settings.cache_tokens:
            raise RequestRefused(
                f"prompt and completion have {total} tokens; the KV cache holds {self._settings.cache_tokens}"
            )
        # The engine gives no log-probabilities for what it finds in the cache.
        if sampling.echo and sampling.logprobs and self._settings.has_prefix_cache:
            raise RequestRefused("echo with logprobs cannot be had while the prefix cache is on; serve without it")

    def _read(self, running: _InFlight) -> Delta | None:
        tokens: list[int] = []
        logprobs: list[float | None] = []
        handle, sampling = running.handle, running.request.sampling
        reason = None
        while handle.can_read():
            for output in handle.read().values():  # one sequence: n is 1
                tokens += output.generated_ids
                logprobs += output.generated_log_probs
                reason = output.finish_reason
        status = handle.get_status()
        finish: FinishReason | None = None
        if status == self._genai.GenerationStatus.FINISHED:
            finish = "stop" if reason == self._genai.GenerationFinishReason.STOP else "length"
        elif status == self._genai.GenerationStatus.IGNORED:
            finish = "no_room"
        if not tokens and finish is None:
            return None
        if sampling.echo and logprobs and len(tokens) >= len(running.request.prompt_tokens):
            logprobs[0] = None  # nothing comes before the first token
        if sampling.max_tokens == 0:
            del tokens[len(running.request.prompt_tokens) :], logprobs[len(running.request.prompt_tokens) :]
        return Delta(running.request.id, tuple(tokens), tuple(logprobs) if sampling.logprobs else (), finish)

    def _generation_config(self, request: Request) -> Any:
        sampling = request.sampling
        config = self._genai.GenerationConfig()
        # With none, an echo ends after the first chunk of a long prompt; `_read` takes the one token off again.
        config.max_new_tokens = max(1, sampling.max_tokens)
        own = self._folder.eos_token_ids
        stops = (*sampling.stop_token_ids, *(() if sampling.ignore_eos else own))
        # The engine's own ignore_eos ignores every stop token, and its eos_token_id must be one of them.
        config.ignore_eos = not stops
        config.eos_token_id, config.stop_token_ids = (stops or own)[0], {*(stops or own)}
        config.echo = sampling.echo
        config.logprobs = int(sampling.logprobs)
        if sampling.temperature > 0:
            config.do_sample = True
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.rng_seed = sampling.seed
        return config


def import_genai() -> tuple[ModuleType, ModuleType]:
    """Import `openvino_genai` and `openvino`; `need` keeps them from sending anything anywhere."""
    return need("openvino_genai", extra="serve"), need("openvino", extra="serve")


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
