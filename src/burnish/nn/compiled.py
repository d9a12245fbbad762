"""Compiled layers: a decoder's layers share one piece of compiled code, made at their first call."""

from typing import Any

from burnish.nn.forward import decoder_of
from burnish.nn.lora import fuse_lora
from burnish.runtime import need

# Above it torch runs the layer uncompiled and says so in its log alone. Its own 8 is soon met: training and validation,
# with gradients and without, times the sizes of packed rows.
_MIN_RECOMPILE_LIMIT = 64


def compile_layers(model: Any) -> None:
    """Compile each decoder layer and the last norm in place; names and weights stay as they are."""
    dynamo = need("torch._dynamo", extra="train").config
    dynamo.recompile_limit = max(_MIN_RECOMPILE_LIMIT, dynamo.recompile_limit)
    fuse_lora(model)
    decoder = decoder_of(model)
    for layer in decoder.layers:
        layer.compile(dynamic=False)
    decoder.norm.compile(dynamic=False)
