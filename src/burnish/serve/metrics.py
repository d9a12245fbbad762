"""Prometheus metrics of a server, by the project's names: base units, bounded labels, never a user or a prompt."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from burnish.serve.engine.process import EngineProcess
from burnish.serve.memory import resident_bytes

# One list from 1 ms to 640 s for every duration, so that dashboards can compare them.
BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.25, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
CLIENT_GONE = 499  # nginx's code for a client that closed the connection; it is counted, never sent


class Metrics:
    """Count and time what one server does.

    Args:
        model_version: the label by which a canary is told from the champion.
    """

    def __init__(self, model_version: str, engine: EngineProcess) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped upstream
        self._registry = CollectorRegistry()
        self._engine, self._version = engine, model_version
        version = ("model_version",)
        self._inference = Histogram(
            "burnish_inference_seconds",
            "From the whole request received to the last token sent.",
            version,
            buckets=BUCKETS_S,
            registry=self._registry,
        ).labels(model_version)
        self._first_token = Histogram(
            "burnish_time_to_first_token_seconds",
            "From the whole request received to the first token of the answer.",
            version,
            buckets=BUCKETS_S,
            registry=self._registry,
        ).labels(model_version)
        self._requests = Counter(
            "burnish_requests",
            f"Requests ended, by status; {CLIENT_GONE} where the client left.",
            (*version, "code"),
            registry=self._registry,
        )
        self._waiting = Gauge(
            "burnish_requests_waiting", "Requests queued in the engine.", version, registry=self._registry
        ).labels(model_version)
        self._memory = Gauge(
            "burnish_memory_bytes",
            "Resident memory of the server and its engine, and the size that the KV cache may take.",
            ("kind",),
            registry=self._registry,
        )

    def watch(self) -> "Watch":
        """Begin to time a request."""
        return Watch(self)

    def ended(self, code: int) -> None:
        """Count a request."""
        self._requests.labels(self._version, str(code)).inc()

    def observe(self, *, first_token_s: float | None, total_s: float) -> None:
        """Record the times of a request that was answered."""
        if first_token_s is not None:
            self._first_token.observe(first_token_s)
        self._inference.observe(total_s)

    def text(self) -> bytes:
        """Give Prometheus's exposition text."""
        stats = self._engine.stats
        self._waiting.set(stats.num_waiting if self._engine.num_in_flight else 0)
        self._memory.labels("server").set(resident_bytes())
        self._memory.labels("engine").set(stats.memory_bytes)
        self._memory.labels("kv_cache").set(stats.cache_bytes)
        return generate_latest(self._registry)


class Watch:
    """Time one request."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._start_s = time.perf_counter()
        self._first_token_s: float | None = None

    def token(self) -> None:
        """Note that tokens came; the first time counts."""
        if self._first_token_s is None:
            self._first_token_s = time.perf_counter() - self._start_s

    def end(self, code: int) -> None:
        """Count the request, and its times where it was answered."""
        self._metrics.ended(code)
        if code < 400:
            self._metrics.observe(first_token_s=self._first_token_s, total_s=time.perf_counter() - self._start_s)
