"""Compiled layers: a decoder's layers share one piece of compiled code, made at their first call."""

from typing import Any

from burnish.nn.forward import decoder_of
from burnish.nn.lora import fuse_lora


def compile_layers(model: Any) -> None:
    """Compile each decoder layer and the last norm in place; names and weights stay as they are."""
    fuse_lora(model)
    decoder = decoder_of(model)
    for layer in decoder.layers:
        layer.compile(dynamic=False)
    decoder.norm.compile(dynamic=False)
