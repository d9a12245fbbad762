"""The shape of a decoder, read from a Hugging Face config.json; no torch needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burnish.errors import BurnishError
from burnish.nn.attention import CONFIG_KEY

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class Decoder:
    """Describe a dense pre-norm decoder with rotary positions and gated FFN (Llama, Mistral, Qwen2, Qwen3).

    Attributes:
        has_qk_norm: RMSNorm on each head's query and key before rotation (Qwen3).
        is_tied: the output head is the embedding.
        rope_theta: base of the rotary frequencies.
    """

    architecture: str
    num_layers: int
    d_model: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    norm_epsilon: float
    rope_theta: float
    has_qk_norm: bool
    is_tied: bool

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> "Decoder":
        """Read the shape.

        Raises:
            BurnishError: another architecture, or a feature (scaled rotary positions, a sliding window) that
                this description would lose silently.
        """
        architecture = str(config.get("model_type"))
        if architecture not in ARCHITECTURES:
            raise BurnishError(
                f"model_type is {architecture!r}; this export knows {', '.join(ARCHITECTURES)}. "
                "Serve the merged model uncompressed with another engine until its export exists."
            )
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        rope_type = rope.get("rope_type", rope.get("type", "default"))
        if rope_type != "default":
            raise BurnishError(f"rotary positions of type {rope_type!r} are not exported yet; only 'default' is")
        if config.get("use_sliding_window") or (architecture == "mistral" and config.get("sliding_window")):
            raise BurnishError("sliding-window attention is not exported yet; set sliding_window to null if unused")
        if (config.get(CONFIG_KEY) or {}).get("kind", "full_attention") != "full_attention":
            raise BurnishError(
                "attention with a window is not exported yet, and without it the model would be another; tune with "
                "attention full_attention to export it"
            )
        num_heads = int(config["num_attention_heads"])
        d_model = int(config["hidden_size"])
        return Decoder(
            architecture=architecture,
            num_layers=int(config["num_hidden_layers"]),
            d_model=d_model,
            num_heads=num_heads,
            num_kv_heads=int(config.get("num_key_value_heads") or num_heads),
            head_dim=int(config.get("head_dim") or d_model // num_heads),
            vocab_size=int(config["vocab_size"]),
            norm_epsilon=float(config["rms_norm_eps"]),
            rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            has_qk_norm=architecture == "qwen3",
            is_tied=bool(config.get("tie_word_embeddings", False)),
        )
