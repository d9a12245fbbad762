"""How large a model is, from its Hugging Face config alone: no weights, no torch."""

from collections.abc import Callable, Mapping
from typing import Any

from burnish.errors import BurnishError
from burnish.nn.config_fields import Fields
from burnish.nn.image_sizes import clip, efficientnet, mobilenet_v2, vit
from burnish.nn.products import ModelSize
from burnish.nn.text_sizes import bert, deepseek, gated_decoder, modernbert

SIZES: dict[str, Callable[[Fields], ModelSize]] = {
    "llama": gated_decoder,
    "mistral": gated_decoder,
    "qwen2": gated_decoder,
    "qwen3": gated_decoder,
    "deepseek_v2": deepseek,
    "deepseek_v3": deepseek,
    "bert": bert,
    "roberta": bert,
    "modernbert": modernbert,
    "vit": vit,
    "clip": clip,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet": efficientnet,
}


def size_of(config: Mapping[str, Any]) -> ModelSize:
    """Size a model.

    Args:
        config: as config.json holds it, `model_type` included.

    Raises:
        BurnishError: the architecture is not known, or a field is missing.
    """
    fields = Fields(config)
    if fields.model_type not in SIZES:
        raise BurnishError(f"model_type is {fields.model_type!r}; sizes are known of {', '.join(SIZES)}")
    return SIZES[fields.model_type](fields)
