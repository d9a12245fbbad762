"""The file by which onnxruntime-genai runs our ONNX decoder: names of inputs and outputs, shape, end of text."""

import json
from typing import Any

from burnish.compress.export.source import Source


def genai_config(source: Source) -> dict[str, Any]:
    """Give the contents of `genai_config.json`.

    Source: onnxruntime-genai, https://onnxruntime.ai/docs/genai/reference/config.html.
    """
    shape, config = source.shape, source.config
    path = source.folder / "generation_config.json"
    ends = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    eos = ends.get("eos_token_id", config.get("eos_token_id"))
    first = eos[0] if isinstance(eos, list) else eos
    tokens = {
        "bos_token_id": ends.get("bos_token_id", config.get("bos_token_id")),
        "eos_token_id": eos,
        "pad_token_id": first if config.get("pad_token_id") is None else config["pad_token_id"],
    }
    decoder = {
        "session_options": {"provider_options": []},
        "filename": "model.onnx",
        "head_size": shape.head_dim,
        "hidden_size": shape.d_model,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "num_hidden_layers": shape.num_layers,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "position_ids": "position_ids",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }
    max_tokens = int(config["max_position_embeddings"])
    model = {"type": shape.architecture, "vocab_size": shape.vocab_size, "context_length": max_tokens}
    model |= {name: value for name, value in tokens.items() if value is not None}
    return {
        "model": {**model, "decoder": decoder},
        "search": {"do_sample": False, "max_length": max_tokens, "past_present_share_buffer": False},
    }
