"""The prunable parts of a dense decoder: FFN channels, groups of heads, layers, and where a model keeps them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.compress.placed import GRIDS
from burnish.errors import BurnishError
from burnish.nn.decoder import ARCHITECTURES
from burnish.runtime import need


@dataclass(frozen=True)
class Shape:
    """The sizes that pruning changes.

    Attributes:
        ffn_channels: of every layer's feed-forward network.
        kv_groups: key/value heads of every layer, each with the query heads that read it.
    """

    ffn_channels: int
    kv_groups: int
    layers: int

    @staticmethod
    def of(config: Any) -> "Shape":
        """Read the sizes of a transformers config."""
        return Shape(config.intermediate_size, config.num_key_value_heads, config.num_hidden_layers)

    def __str__(self) -> str:
        return f"{self.ffn_channels:,} FFN channels, {self.kv_groups} KV groups, {self.layers} layers"


def check_whole(folder: Path) -> None:
    """Refuse a model whose numbers must not be moved.

    Raises:
        BurnishError: an adapter, or numbers that already lie on a grid.
    """
    if (folder / GRIDS).exists():
        raise BurnishError("the model's numbers lie on a quantisation grid, which this would undo; quantise last")
    if not (folder / "config.json").exists() or not any(folder.glob("*.safetensors")):
        raise BurnishError(f"{folder} holds no whole model in safetensors; merge an adapter into its base first")
    if _config_of(folder).get("quantization_config") is not None:
        raise BurnishError(f"{folder} is quantised already, as its config.json says; give the float model")


def check_prunable(folder: Path) -> None:
    """Refuse a model that would lose something silently.

    Raises:
        BurnishError: no dense decoder of a known family, an adapter, or numbers that already lie on a grid.
    """
    check_whole(folder)
    architecture = _config_of(folder).get("model_type")
    if architecture not in ARCHITECTURES:
        raise BurnishError(
            f"model_type is {architecture!r}; what can be cut here are the dense decoders {', '.join(ARCHITECTURES)}"
        )


def _config_of(folder: Path) -> Mapping[str, Any]:
    config: Mapping[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def head_dim_of(config: Any) -> int:
    """Give the width of a head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def heads_a_group(config: Any) -> int:
    """Count the query heads that share a key/value head."""
    return int(config.num_attention_heads // config.num_key_value_heads)


def columns_of_groups(config: Any, groups: Any) -> Any:
    """Give the columns of o_proj (rows of q_proj) that belong to key/value groups, as indices."""
    torch = need("torch", extra="compress")
    width = heads_a_group(config) * head_dim_of(config)
    return (groups[:, None] * width + torch.arange(width, device=groups.device)).flatten()


def rows_of_heads(config: Any, groups: Any) -> Any:
    """Give the rows of k_proj and v_proj that belong to key/value groups, as indices."""
    torch = need("torch", extra="compress")
    width = head_dim_of(config)
    return (groups[:, None] * width + torch.arange(width, device=groups.device)).flatten()
