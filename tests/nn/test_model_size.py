"""Sizes against transformers' own models on the meta device, and torch's own count of arithmetic."""

from dataclasses import replace
from typing import Any

import pytest

from burnish.errors import BurnishError
from burnish.nn.model_size import SIZES, size_of
from burnish.nn.products import Format, ModelSize, Product
from burnish.nn.weights import quiet_transformers
from burnish.plan.model_catalogue import CATALOGUE, Candidate

NAMES = [candidate.name for candidate in CATALOGUE]
SMALL = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
LATENT = {
    **SMALL,
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 24,
    "moe_intermediate_size": 32,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "a Llama with biases": {"model_type": "llama", **SMALL, "attention_bias": True, "mlp_bias": True},
    "a Mistral": {"model_type": "mistral", **SMALL, "head_dim": 32},
    "a tied Qwen3": {"model_type": "qwen3", **SMALL, "head_dim": 32, "tie_word_embeddings": True},
    "a RoBERTa": {"model_type": "roberta", **SMALL, "max_position_embeddings": 130, "type_vocab_size": 1},
    "a ViT": {"model_type": "vit", **SMALL, "image_size": 32, "patch_size": 8, "num_labels": 7, "qkv_bias": False},
    "a narrow MobileNet": {
        "model_type": "mobilenet_v2", "image_size": 96, "depth_multiplier": 0.35, "num_labels": 3, "output_stride": 16,
        "first_layer_is_expansion": False,
    },
    "EfficientNet-B2": {
        "model_type": "efficientnet", "image_size": 260, "width_coefficient": 1.1, "depth_coefficient": 1.2,
        "hidden_dim": 1408, "num_labels": 1000, "depthwise_padding": [5, 8, 16],
    },
    "a DeepSeek-V2": {"model_type": "deepseek_v2", **LATENT, "q_lora_rank": None},
    "a DeepSeek-V3": {"model_type": "deepseek_v3", **LATENT, "q_lora_rank": 24, "n_group": 1, "topk_group": 1},
}  # fmt: skip


def on_meta(config: dict[str, Any], device: str = "meta") -> Any:
    import torch
    import transformers

    kind = size_of(config).kind
    fields = {name: value for name, value in config.items() if name != "model_type"}
    made = transformers.AutoConfig.for_model(config["model_type"], **fields)
    auto = transformers.AutoModel if config["model_type"] == "clip" or kind == "encoder" else (
        transformers.AutoModelForCausalLM if kind == "decoder" else transformers.AutoModelForImageClassification
    )  # fmt: skip
    with torch.device(device):
        return auto.from_config(made, attn_implementation="eager").eval()


def every_config() -> list[Any]:
    given = [pytest.param(dict(candidate.config), id=candidate.name) for candidate in CATALOGUE]
    return [*given, *(pytest.param(config, id=name) for name, config in VARIANTS.items())]


def without_mask(size: ModelSize) -> ModelSize:
    """Attention as the plain implementation computes it: every pair, and masked afterwards."""
    return replace(size, attention=tuple(replace(part, is_causal=False) for part in size.attention))


@pytest.mark.parametrize("config", every_config())
def test_parameters_are_transformers_own(config: dict[str, Any]) -> None:
    assert size_of(config).parameters == sum(p.numel() for p in on_meta(config).parameters())


@pytest.mark.parametrize("config", [param for param in every_config() if "DeepSeek-V" not in str(param.id)])
def test_arithmetic_is_what_torch_counts(config: dict[str, Any]) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    size, model = without_mask(size_of(config)), on_meta(config)
    with FlopCounterMode(display=False) as counter, torch.device("meta"), torch.no_grad():
        if size.kind != "image":
            model(input_ids=torch.zeros(1, 48, dtype=torch.long))
        else:
            side = config.get("vision_config", config)["image_size"]
            pixels = torch.empty(1, 3, side, side)
            model.get_image_features(pixel_values=pixels) if "vision_config" in config else model(pixel_values=pixels)
    assert size.forward_flops(48) == counter.get_total_flops()


@pytest.mark.parametrize("name", ["a DeepSeek-V2", "a DeepSeek-V3"])
def test_arithmetic_of_experts_is_that_of_the_used(name: str) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = on_meta(VARIANTS[name], "cpu")
    model.set_experts_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.arange(48)[None])
    assert without_mask(size_of(VARIANTS[name])).forward_flops(48) == counter.get_total_flops()


def test_a_causal_token_sees_half_the_others() -> None:
    size = size_of(VARIANTS["a Mistral"])
    pairs = 48 * 49 / 2
    full = without_mask(size).forward_flops(48) - size.forward_flops(48)
    assert full == pytest.approx((48**2 - pairs) * 2 * 2 * 4 * 32 * 3)


@pytest.mark.parametrize("candidate", CATALOGUE, ids=NAMES)
def test_parameters_are_the_published_ones(candidate: Candidate) -> None:
    size = size_of(candidate.config)
    assert candidate.published_parameters is not None
    assert size.parameters == pytest.approx(candidate.published_parameters, rel=0.0125)
    if candidate.published_active is not None:  # DeepSeek leaves the input embeddings out of what a token passes
        embeddings = candidate.config["vocab_size"] * candidate.config["hidden_size"]
        assert size.active_parameters - embeddings == pytest.approx(candidate.published_active, rel=0.025)
    else:
        assert size.active_parameters == size.parameters


def test_weights_take_what_their_format_says() -> None:
    """One quantised matrix of 300 x 10, one of 5 x 4 in 16 bits, 7 other numbers."""
    products = (Product(300, 10), Product(5, 4, is_quantised=False))
    size = ModelSize("x", "decoder", 1, products, (), other_parameters=7, saved_numbers=0)
    taken: dict[Format, int] = {
        "fp32": 4 * 3027,
        "bf16": 2 * 3027,
        "int8": 3000 + 2 * 10 + 2 * 27,
        "int4": 1500 + 2 * 10 * 3 + 2 * 27,  # 300 inputs are three groups of 128
    }
    assert {held: size.weight_bytes(held) for held in taken} == taken


def test_the_cache_is_what_transformers_keeps() -> None:
    import torch

    config = VARIANTS["a Mistral"]
    kept = on_meta(config)(input_ids=torch.zeros(1, 5, dtype=torch.long, device="meta")).past_key_values
    numbers = sum(layer.keys.numel() + layer.values.numel() for layer in kept.layers)
    assert size_of(config).cache_bytes(5, number_bytes=4) == 4 * numbers


def test_latents_are_a_small_part_of_keys_and_values() -> None:
    """DeepSeek-V2, section 2.1: 576 numbers a layer for V3's 128 heads."""
    size = size_of(next(c.config for c in CATALOGUE if c.name == "DeepSeek-V3"))
    assert size.cached_numbers == 61 * 576


def test_lora_parameters_are_pefts() -> None:
    import peft

    config = VARIANTS["a Llama with biases"]
    with quiet_transformers():
        model = peft.get_peft_model(on_meta(config, "cpu"), peft.LoraConfig(r=4, target_modules="all-linear"))
    assert size_of(config).lora_parameters(4) == sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "bert", "modernbert", "vit", "efficientnet"])
def test_what_the_backward_pass_needs_is_within_a_sixth(kind: str) -> None:
    import torch
    import transformers

    special = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = {"model_type": kind, **SMALL, **special, "max_position_embeddings": 300, "image_size": 64, "patch_size": 8}
    if kind == "efficientnet":
        config = {"model_type": kind, "image_size": 64, "width_coefficient": 1.0, "depth_coefficient": 1.0,
                  "hidden_dim": 1280}  # fmt: skip
    fields = {name: value for name, value in (config | dropout).items() if name != "model_type"}
    size = size_of(config)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **fields)).train()
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    given = (
        {"pixel_values": torch.randn(2, 3, 64, 64)}
        if size.kind == "image"
        else {"input_ids": torch.ones(2, 128).long()}
    )
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(**given)
    num_bytes = sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in weights)
    tokens = 2 * size.image_tokens if size.image_tokens else 256
    assert 4 * size.saved_numbers * tokens == pytest.approx(num_bytes, rel=1 / 6)


def test_training_memory_is_state_and_what_is_saved() -> None:
    size = size_of(VARIANTS["a Mistral"])
    assert size.training_bytes(0) == 16 * size.parameters
    assert size.training_bytes(10) - size.training_bytes(9) == 2 * size.saved_numbers
    assert size.training_bytes(0, rank=2) == 2 * size.parameters + 16 * size.lora_parameters(2)


def test_an_unknown_architecture_is_refused_by_name() -> None:
    with pytest.raises(BurnishError, match=r"model_type is 'mamba'; sizes are known of llama"):
        size_of({"model_type": "mamba"})


@pytest.mark.parametrize("kind", [kind for kind in SIZES if kind not in ("mobilenet_v2", "clip")])
def test_a_missing_field_is_named(kind: str) -> None:
    with pytest.raises(BurnishError, match=rf"\w+ is None in the config of {kind}; a number is needed"):
        size_of({"model_type": kind})


def test_a_clip_without_its_towers_is_refused() -> None:
    with pytest.raises(BurnishError, match="text_config is None in the config of clip"):
        size_of({"model_type": "clip"})
