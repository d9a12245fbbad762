"""Memory: activations computed again in the backward pass, or kept in the CPU's memory meanwhile."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from burnish.errors import BurnishError, RecipeError
from burnish.learn.offload import offloaded
from burnish.nn.forward import decoder_of
from burnish.runtime import need


@dataclass(frozen=True)
class Memory:
    """Say what is given up for memory; the numbers that come out are the same.

    Attributes:
        recompute_every: every so many-th layer keeps its input alone and computes the rest again in the backward
            pass: 1 is each layer (about a third more arithmetic), 2 every other; 0 is none. Source: Chen et al.
            2016, arXiv 1604.06174, section 4.
        is_offloaded: what the backward pass needs is kept in the CPU's memory, moved beside the computing. Only as
            fast as a device's bus: on one H100 (12 layers of width 1536, 8,192 tokens, bf16) a step took 3.9 times as
            long, where recompute_every 1 saved as much and took 1.2 times as long. On a CPU it is there anyway.
    """

    recompute_every: int = 0
    is_offloaded: bool = False

    def __post_init__(self) -> None:
        if self.recompute_every < 0:
            raise RecipeError(f"recompute_every is {self.recompute_every}; 0 is off, 1 each layer, 2 every other")

    @contextmanager
    def saving(self, model: Any) -> Iterator[None]:
        """Save memory in all forward passes in training, inside.

        Raises:
            BurnishError: the model's layers are not where decoders have them.
        """
        with ExitStack() as stack:
            if self.recompute_every:
                stack.enter_context(_recomputed(model, self.recompute_every))
            if self.is_offloaded:
                stack.enter_context(offloaded(model))
            yield


@contextmanager
def _recomputed(model: Any, every: int) -> Iterator[None]:
    torch = need("torch", extra="train")
    checkpoint = partial(need("torch.utils.checkpoint", extra="train").checkpoint, use_reentrant=False)
    decoder = decoder_of(model)
    if not hasattr(decoder, "layers"):
        raise BurnishError(
            f"{decoder.config.model_type} keeps no list `layers`, so none can be computed again; set recompute_every to 0"
        )
    layers = list(decoder.layers)[::every]

    def wrapped(forward: Any) -> Any:
        def again(*args: Any, **kwargs: Any) -> Any:
            return checkpoint(forward, *args, **kwargs) if torch.is_grad_enabled() else forward(*args, **kwargs)

        return again

    for layer in layers:
        layer.forward = wrapped(layer.forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own shows again
