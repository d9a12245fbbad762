"""What an engine is started with."""

from dataclasses import dataclass
from typing import Literal

from burnish.errors import RecipeError

Precision = Literal["auto", "f32"]
Activations = Literal["auto", "float"]
CACHE_BLOCK_TOKENS = 32  # OpenVINO GenAI's block on CPU


@dataclass(frozen=True)
class EngineSettings:
    """Size an engine.

    Attributes:
        num_threads: compute threads; None takes every core.
        cache_tokens: tokens that the KV cache holds, over all requests; memory is taken as it fills.
        max_running: requests that advance together.
        max_batched_tokens: tokens of one step, prompt chunks included; a smaller number bounds the pause that
            a long prompt puts between the tokens of running requests.
        has_prefix_cache: keep the cache of finished prompts for later ones that begin alike.
        precision: "auto" computes in bfloat16 where the processor has it and keeps the KV cache in 8 bits, which
            moved single log-probabilities of SmolLM2-135M by up to 0.8 nats and their mean by 0.004; "f32" computes
            and keeps in float32, activations too, slower, for comparisons.
        activations: "auto" rounds what a quantised matrix is multiplied with to 8 bits as it comes, in groups of 32
            (dynamic quantisation), where the processor has products of such integers; "float" does not.
    """

    num_threads: int | None = None
    cache_tokens: int = 65_536
    max_running: int = 64
    max_batched_tokens: int = 256
    has_prefix_cache: bool = False
    precision: Precision = "auto"
    activations: Activations = "auto"

    def __post_init__(self) -> None:
        if self.num_threads is not None and self.num_threads < 1:
            raise RecipeError(f"num_threads is {self.num_threads}; it must be at least 1, or none for every core")
        if self.cache_tokens < CACHE_BLOCK_TOKENS:
            raise RecipeError(f"cache_tokens is {self.cache_tokens}; it must be at least {CACHE_BLOCK_TOKENS}")
        for name in ("max_running", "max_batched_tokens"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
