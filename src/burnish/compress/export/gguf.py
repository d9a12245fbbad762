"""Write a decoder as one GGUF file, the form of llama.cpp, Ollama and LM Studio.

Values on a grid go into ggml's blocks as they are, so that llama.cpp multiplies exactly the numbers that were measured
(Q4_1's offset apart). llama.cpp's own converter would quantise again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from burnish.compress.export.gguf_blocks import BLOCK, block_type, pack
from burnish.compress.export.gguf_tokens import read_tokens
from burnish.compress.export.source import EMBEDDING, HEAD, Source, Written
from burnish.compress.grids import Placed
from burnish.errors import BurnishError
from burnish.runtime import need

if TYPE_CHECKING:
    import numpy as np

FILE = "model.gguf"
FloatType = Literal["f16", "f32"]

_ARCHITECTURES: Mapping[str, str] = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
_TOP = {EMBEDDING: "token_embd", "model.norm.weight": "output_norm", HEAD: "output"}
_IN_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def save_gguf(source: Source, out: Path, *, float_type: FloatType, pre_tokenizer: str | None) -> Written:
    """Write `model.gguf` into the folder `out`.

    Args:
        float_type: of the matrices on no grid; norms and biases are float32 always.
        pre_tokenizer: llama.cpp's name of the cut before BPE; None finds it.

    Raises:
        BurnishError: a weight, a grid or a tokenizer that GGUF has no place for.
    """
    gguf = need("gguf", extra="export")
    writer = gguf.GGUFWriter(None, _ARCHITECTURES[source.shape.architecture])
    _add_shape(writer, source, gguf, float_type)
    _add_tokens(writer, source, gguf, pre_tokenizer)
    written = Written()
    for name in sorted(source.files):
        _add_weight(writer, source, name, float_type, written)
    try:
        writer.write_header_to_file(out / FILE)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return written


def _add_shape(writer: Any, source: Source, gguf: Any, float_type: FloatType) -> None:
    shape, config = source.shape, source.config
    writer.add_type("model")
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(shape.d_model)
    writer.add_block_count(shape.num_layers)
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(shape.num_heads)
    writer.add_head_count_kv(shape.num_kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_file_type(_file_type(source, gguf, float_type))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _file_type(source: Source, gguf: Any, float_type: FloatType) -> int:
    """Name the commonest form, which is what tools show."""
    kinds = [block_type(name, weight) for name, weight in source.placed.items()]
    common = max(sorted(set(kinds)), key=kinds.count) if kinds else float_type.upper()
    known = gguf.LlamaFileType
    names = {"F32": known.ALL_F32, "F16": known.MOSTLY_F16, "Q8_0": known.MOSTLY_Q8_0}
    names |= {"Q4_0": known.MOSTLY_Q4_0, "Q4_1": known.MOSTLY_Q4_1}
    return int(names[common])


def _add_tokens(writer: Any, source: Source, gguf: Any, pre_tokenizer: str | None) -> None:
    tokens = read_tokens(source.folder, vocab_size=source.shape.vocab_size, pre=pre_tokenizer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokens.pre)
    writer.add_token_list(tokens.texts)
    writer.add_token_types(tokens.kinds)
    special = gguf.SpecialVocab(source.folder, load_merges=True, n_vocab=source.shape.vocab_size)
    special.add_special_token["bos"] = tokens.adds_first
    special.add_to_gguf(writer, quiet=True)


def _add_weight(writer: Any, source: Source, name: str, float_type: FloatType, written: Written) -> None:
    gguf = need("gguf", extra="export")
    target, weight = _target(name, source), source.weight(name)
    if isinstance(weight, Placed):
        kind = block_type(name, weight)
        if _is_permuted(name, source):
            order = _row_order(name, source)
            zero_OG = None if weight.zero_OG is None else weight.zero_OG[order]
            weight = Placed(weight.grid, weight.values_OI[order], weight.scale_OG[order], zero_OG)
        packed = pack(weight, kind)
        qtype = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(target, packed, raw_dtype=qtype)
        written.note_rounding(name, gguf.dequantize(packed, qtype), weight.dequantize().numpy())
        blocks = weight.values_OI.numel() // BLOCK
        written.repeated_bytes += (blocks - weight.scale_OG.numel()) * (4 if kind == "Q4_1" else 2)
        written.forms[name] = kind
        return
    if _is_permuted(name, source):
        weight = weight[_row_order(name, source)]
    if weight.ndim == 1 or float_type == "f32":
        writer.add_tensor(target, weight)
        written.forms[name] = "F32"
        return
    stored = _as_half(name, weight)
    writer.add_tensor(target, stored)
    written.note_rounding(name, stored.astype("float32"), weight)
    written.forms[name] = "F16"


def _target(name: str, source: Source) -> str:
    if name in _TOP:
        return f"{_TOP[name]}.weight"
    parts = name.split(".")
    module, kind = ".".join(parts[3:-1]), parts[-1]
    if name.startswith("model.layers.") and module in _IN_LAYER and kind in ("weight", "bias"):
        return f"blk.{parts[2]}.{_IN_LAYER[module]}.{kind}"
    raise BurnishError(
        f"GGUF's {_ARCHITECTURES[source.shape.architecture]} has no place for {name}; export to another target"
    )


def _is_permuted(name: str, source: Source) -> bool:
    """Tell the weights whose rows llama.cpp wants in another order: it rotates neighbours in this architecture."""
    return _ARCHITECTURES[source.shape.architecture] == "llama" and (".q_proj." in name or ".k_proj." in name)


def _row_order(name: str, source: Source) -> "np.ndarray":
    """Give the rows' new order: first and second half of each head's rows in turn."""
    import numpy as np

    heads = source.shape.num_heads if ".q_proj." in name else source.shape.num_kv_heads
    rows = np.arange(heads * source.shape.head_dim)
    order: np.ndarray = rows.reshape(heads, 2, source.shape.head_dim // 2).swapaxes(1, 2).reshape(-1)
    return order


def _as_half(name: str, weight: "np.ndarray") -> "np.ndarray":
    import numpy as np

    most = float(np.abs(weight).max(initial=0.0))
    if most > float(np.finfo(np.float16).max):
        raise BurnishError(f"{name} holds {most:g}, which float16 (at most 65504) cannot: take float_type f32")
    return weight.astype(np.float16)
