"""Sizes of text models: decoders with gated FFN, DeepSeek's latent attention and experts, encoders.

Legend of short names: d width, f width inside the FFN, h heads.
"""

from burnish.nn.config_fields import Fields
from burnish.nn.products import Attention, ModelSize, Product

_RMS_NUMBERS = 3  # a norm leaves its input, the normalised input and the output for the backward pass
_GATED_NUMBERS = 4  # gate, its activation, up, their product


def gated_decoder(config: Fields) -> ModelSize:
    """Size Llama, Mistral, Qwen2 and Qwen3."""
    d, f, layers = config.count("hidden_size"), config.count("intermediate_size"), config.count("num_hidden_layers")
    h = config.count("num_attention_heads")
    kv_h = config.count("num_key_value_heads", h)
    has_qk_norm = config.model_type == "qwen3"
    head = config.count("head_dim", 128 if has_qk_norm else d // h)  # transformers' own defaults
    is_biased = config.flag("attention_bias")
    has_qkv_bias = is_biased or config.model_type == "qwen2"
    mlp_bias = config.flag("mlp_bias")
    products = (
        Product(d, h * head, layers, has_bias=has_qkv_bias),
        Product(d, kv_h * head, 2 * layers, has_bias=has_qkv_bias),
        Product(h * head, d, layers, has_bias=is_biased),
        Product(d, f, 2 * layers, has_bias=mlp_bias),
        Product(f, d, layers, has_bias=mlp_bias),
        _head(config),
    )
    saved = 2 * _RMS_NUMBERS * d + (2 + 2 * has_qk_norm) * (h + kv_h) * head + _GATED_NUMBERS * f
    return ModelSize(
        config.model_type,
        "decoder",
        layers,
        products,
        (Attention(2 * h * head, layers, is_causal=True),),
        other_parameters=config.count("vocab_size") * d + layers * (2 * d + 2 * head * has_qk_norm) + d,
        saved_numbers=layers * saved,
        cached_numbers=layers * 2 * kv_h * head,
    )


def deepseek(config: Fields) -> ModelSize:
    """Size DeepSeek-V2 and V3: latent attention, dense layers first, then layers of experts.

    The module that predicts further tokens in V3's training is left out, as it is when the model serves.

    Source: DeepSeek-AI 2024, arXiv 2405.04434 and 2412.19437, section 2.1.
    """
    d, layers, h = config.count("hidden_size"), config.count("num_hidden_layers"), config.count("num_attention_heads")
    query = config.count("qk_nope_head_dim") + config.count("qk_rope_head_dim")
    value, latent = config.count("v_head_dim"), config.count("kv_lora_rank")
    cached = latent + config.count("qk_rope_head_dim")
    query_latent = config.count("q_lora_rank", 0)
    is_biased = config.flag("attention_bias")
    dense = min(layers, config.count("first_k_dense_replace", 0))
    f, expert_f = config.count("intermediate_size"), config.count("moe_intermediate_size")
    experts, used = config.count("n_routed_experts"), config.count("num_experts_per_tok")
    shared_f, sparse = expert_f * config.count("n_shared_experts", 0), layers - dense
    queries = (
        (Product(d, query_latent, layers, has_bias=is_biased), Product(query_latent, h * query, layers))
        if query_latent
        else (Product(d, h * query, layers),)
    )
    products = (
        *queries,
        Product(d, cached, layers, has_bias=is_biased),
        Product(latent, h * (config.count("qk_nope_head_dim") + value), layers),
        Product(h * value, d, layers, has_bias=is_biased),
        *_gated(d, f, dense),
        *_gated(d, shared_f, sparse),
        Product(d, experts, sparse, takes_lora=False, is_quantised=False),
        Product(d, expert_f, 2 * sparse * experts, 2 * sparse * used, takes_lora=False),
        Product(expert_f, d, sparse * experts, sparse * used, takes_lora=False),
        _head(config),
    )
    attention = 2 * _RMS_NUMBERS * d + h * (2 * query + 2 * value) + 2 * (cached + query_latent)
    inner = dense * _GATED_NUMBERS * f + sparse * (_GATED_NUMBERS * (shared_f + used * expert_f) + 2 * used * d)
    return ModelSize(
        config.model_type,
        "decoder",
        layers,
        products,
        (Attention(h * (query + value), layers, is_causal=True),),
        other_parameters=config.count("vocab_size") * d + layers * (2 * d + latent + query_latent) + d,
        saved_numbers=layers * attention + inner,
        cached_numbers=layers * cached,
    )


def bert(config: Fields) -> ModelSize:
    """Size BERT and RoBERTa with their pooler, which reads the first token alone."""
    d, f, layers = config.count("hidden_size"), config.count("intermediate_size"), config.count("num_hidden_layers")
    rows = config.count("vocab_size") + config.count("max_position_embeddings") + config.count("type_vocab_size", 2)
    products = (*encoder_layers(d, f, layers), Product(d, d, times=1, has_bias=True))
    return ModelSize(
        config.model_type,
        "encoder",
        layers,
        products,
        (Attention(2 * d, layers),),
        other_parameters=rows * d + 2 * d + layers * 4 * d,
        saved_numbers=layers * encoder_saved(d, f),
    )


def modernbert(config: Fields) -> ModelSize:
    """Size ModernBERT: gated FFN, each third layer sees all, the others a window (Warner et al. 2024, 2412.13663)."""
    d, f, layers = config.count("hidden_size"), config.count("intermediate_size"), config.count("num_hidden_layers")
    is_biased, mlp_bias = config.flag("attention_bias"), config.flag("mlp_bias")
    norm = 2 * d if config.flag("norm_bias") else d
    see_all = -(-layers // config.count("global_attn_every_n_layers", 3))
    products = (
        Product(d, 3 * d, layers, has_bias=is_biased),
        Product(d, d, layers, has_bias=is_biased),
        Product(d, 2 * f, layers, has_bias=mlp_bias),
        Product(f, d, layers, has_bias=mlp_bias),
    )
    return ModelSize(
        config.model_type,
        "encoder",
        layers,
        products,
        (
            Attention(2 * d, see_all),
            Attention(2 * d, layers - see_all, window=config.count("local_attention", 128) + 1),
        ),
        other_parameters=config.count("vocab_size") * d + norm * (2 * layers + 1),
        saved_numbers=layers * (10 * d + _GATED_NUMBERS * f),
    )


def encoder_layers(
    d: int, f: int, count: int, *, times: int | None = None, qkv_bias: bool = True
) -> tuple[Product, ...]:
    """Give the products of `count` layers of Vaswani et al. 2017: four of attention, two of the FFN."""
    return (
        Product(d, d, 3 * count, times=times, has_bias=qkv_bias),
        Product(d, d, count, times=times, has_bias=True),
        Product(d, f, count, times=times, has_bias=True),
        Product(f, d, count, times=times, has_bias=True),
    )


def encoder_saved(d: int, f: int) -> int:
    """Count what a token leaves in such a layer: inputs and outputs of norms and attention, the FFN's two."""
    return 8 * d + 2 * f


def _gated(d: int, f: int, count: int) -> tuple[Product, ...]:
    return (Product(d, f, 2 * count), Product(f, d, count)) if f and count else ()


def _head(config: Fields) -> Product:
    is_tied = config.flag("tie_word_embeddings")
    count = 0 if is_tied else 1
    d, vocab_size = config.count("hidden_size"), config.count("vocab_size")
    return Product(d, vocab_size, count, used=1, takes_lora=False, is_quantised=False)
