"""Candidate models: their configurations written out, so that a plan needs no network and no weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from burnish.errors import RecipeError
from burnish.nn.model_size import size_of
from burnish.nn.products import Kind

Task = Literal["generate", "classify", "embed", "image"]

TASKS_OF: dict[Kind, tuple[Task, ...]] = {
    "decoder": ("generate", "classify"),  # a label is an answer
    "encoder": ("classify", "embed"),
    "image": ("image",),
}


@dataclass(frozen=True)
class Candidate:
    """Name a model that a plan may choose.

    Attributes:
        config: the fields of its config.json that decide its size and speed.
        source: repository whose config.json holds them; for a model of the user's, its path.
        published_parameters: as its paper or card counts them; None for a model of the user's.
        published_active: of these, what a token passes.
    """

    name: str
    config: Mapping[str, Any]
    source: str
    published_parameters: float | None = None
    published_active: float | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Give the tasks it is for."""
        return TASKS_OF[size_of(self.config).kind]


def _gated(kind: str, *shape: int, is_tied: bool, head_dim: int | None = None) -> dict[str, Any]:
    """Write a decoder: width, FFN, layers, heads, heads of keys and values, vocabulary."""
    names = (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
    )
    head = {} if head_dim is None else {"head_dim": head_dim}
    return {"model_type": kind, **dict(zip(names, shape, strict=True)), "tie_word_embeddings": is_tied, **head}


_LATENT = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
_DEEPSEEK_V2_LITE = {
    **_gated("deepseek_v2", 2048, 10944, 27, 16, 16, 102400, is_tied=False),
    **_LATENT,
    "q_lora_rank": None,
    "moe_intermediate_size": 1408,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
}
_DEEPSEEK_V3 = {
    **_gated("deepseek_v3", 7168, 18432, 61, 128, 128, 129280, is_tied=False),
    **_LATENT,
    "q_lora_rank": 1536,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "n_group": 8,
    "topk_group": 4,
    "first_k_dense_replace": 3,
}


def _bert(d: int, f: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "hidden_size": d,
        "intermediate_size": f,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    }


_MODERNBERT = {
    "model_type": "modernbert",
    "hidden_size": 768,
    "intermediate_size": 1152,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "vocab_size": 50368,
    "local_attention": 128,
    "global_attn_every_n_layers": 3,
}
_VIT_B_16 = {
    "model_type": "vit",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
    "num_labels": 1000,
}
_CLIP_B_32 = {
    "model_type": "clip",
    "projection_dim": 512,
    "text_config": {
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "vocab_size": 49408,
        "max_position_embeddings": 77,
    },
    "vision_config": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 224,
        "patch_size": 32,
    },
}
_MOBILENET_V2 = {"model_type": "mobilenet_v2", "image_size": 224, "depth_multiplier": 1.0, "num_labels": 1001}
_EFFICIENTNET_B0 = {
    "model_type": "efficientnet",
    "image_size": 224,
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
    "hidden_dim": 1280,
    "num_labels": 1000,
}
_QWEN_7B = _gated("qwen2", 3584, 18944, 28, 28, 4, 152064, is_tied=False)

CATALOGUE: tuple[Candidate, ...] = (
    Candidate(
        "SmolLM2-135M",
        _gated("llama", 576, 1536, 30, 9, 3, 49152, is_tied=True),
        "HuggingFaceTB/SmolLM2-135M",
        135e6,
    ),
    Candidate("Qwen2.5-0.5B", _gated("qwen2", 896, 4864, 24, 14, 2, 151936, is_tied=True), "Qwen/Qwen2.5-0.5B", 0.49e9),
    Candidate(
        "Qwen3-0.6B",
        _gated("qwen3", 1024, 3072, 28, 16, 8, 151936, is_tied=True, head_dim=128),
        "Qwen/Qwen3-0.6B",
        0.6e9,
    ),
    Candidate(
        "Llama-3.2-1B",
        _gated("llama", 2048, 8192, 16, 32, 8, 128256, is_tied=True, head_dim=64),
        "meta-llama/Llama-3.2-1B",
        1.23e9,
    ),
    Candidate(
        "Qwen2.5-1.5B", _gated("qwen2", 1536, 8960, 28, 12, 2, 151936, is_tied=True), "Qwen/Qwen2.5-1.5B", 1.54e9
    ),
    Candidate(
        "DeepSeek-R1-Distill-Qwen-1.5B",
        _gated("qwen2", 1536, 8960, 28, 12, 2, 151936, is_tied=False),
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
        1.78e9,
    ),
    Candidate(
        "Qwen3-1.7B",
        _gated("qwen3", 2048, 6144, 28, 16, 8, 151936, is_tied=True, head_dim=128),
        "Qwen/Qwen3-1.7B",
        1.7e9,
    ),
    Candidate(
        "Llama-3.2-3B",
        _gated("llama", 3072, 8192, 28, 24, 8, 128256, is_tied=True, head_dim=128),
        "meta-llama/Llama-3.2-3B",
        3.21e9,
    ),
    Candidate("Qwen2.5-7B", _QWEN_7B, "Qwen/Qwen2.5-7B", 7.61e9),
    Candidate("DeepSeek-R1-Distill-Qwen-7B", _QWEN_7B, "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", 7.62e9),
    Candidate(
        "Llama-3.1-8B",
        _gated("llama", 4096, 14336, 32, 32, 8, 128256, is_tied=False),
        "meta-llama/Llama-3.1-8B",
        8.03e9,
    ),
    Candidate(
        "Qwen3-8B",
        _gated("qwen3", 4096, 12288, 36, 32, 8, 151936, is_tied=False, head_dim=128),
        "Qwen/Qwen3-8B",
        8.2e9,
    ),
    Candidate("DeepSeek-V2-Lite", _DEEPSEEK_V2_LITE, "deepseek-ai/DeepSeek-V2-Lite", 15.7e9, 2.4e9),
    Candidate("DeepSeek-V3", _DEEPSEEK_V3, "deepseek-ai/DeepSeek-V3", 671e9, 37e9),
    Candidate("BERT-tiny", _bert(128, 512, 2, 2), "google/bert_uncased_L-2_H-128_A-2", 4.4e6),
    Candidate("MiniLM-L6", _bert(384, 1536, 6, 12), "sentence-transformers/all-MiniLM-L6-v2", 22.7e6),
    Candidate("BERT-base", _bert(768, 3072, 12, 12), "google-bert/bert-base-uncased", 110e6),
    Candidate("ModernBERT-base", _MODERNBERT, "answerdotai/ModernBERT-base", 149e6),
    Candidate("MobileNetV2", _MOBILENET_V2, "google/mobilenet_v2_1.0_224", 3.5e6),
    Candidate("EfficientNet-B0", _EFFICIENTNET_B0, "google/efficientnet-b0", 5.3e6),
    Candidate("ViT-B/16", _VIT_B_16, "google/vit-base-patch16-224", 86.6e6),
    Candidate("CLIP ViT-B/32", _CLIP_B_32, "openai/clip-vit-base-patch32", 151e6),
)


def own_candidate(path: Path) -> Candidate:
    """Read a model of the user's: a folder in the Hugging Face layout, or its config.json.

    Raises:
        RecipeError: there is no config, or it is no JSON object.
        BurnishError: its architecture is not known.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"--model {path}: {file} cannot be read ({error.strerror}); give a model's folder or its config.json"
        ) from error
    except ValueError as error:
        raise RecipeError(f"--model {path}: {file} is no JSON ({error}); give a model's config.json") from error
    if not isinstance(config, dict):
        raise RecipeError(f"--model {path}: {file} holds no JSON object; give a model's config.json")
    size_of(config)
    whole = file.resolve()
    return Candidate(whole.parent.name if whole.name == "config.json" else whole.stem, config, str(file))
