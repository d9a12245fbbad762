"""Encoders: models that read text both ways and have no output head.

Legend: E examples, T tokens of the longest, D width.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.nn.weights import device, quiet_transformers, torch_dtype
from burnish.runtime import need


def is_encoder(folder: Path) -> bool:
    """Tell whether a model folder holds an encoder: transformers names the class that wrote it, and heads end it."""
    names = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or []
    return any(name.endswith("Model") and not name.endswith("LMHeadModel") for name in names)


def open_encoder(folder: Path, *, precision: str) -> Any:
    """Open an encoder on the GPU where there is one; `precision` is of the weights in memory."""
    with quiet_transformers():
        model = _without_pooler(folder, dtype=torch_dtype(precision), local_files_only=True)
    return model.to(device()).eval()


def read_encoder(name: str, **options: Any) -> Any:
    """Read an encoder in float32 from a folder or hub name.

    Raises:
        BurnishError: its tokens do not see what comes after them.
    """
    torch = need("torch", extra="train")
    model = _without_pooler(name, dtype=torch.float32, **options).eval()
    if not _sees_both_ways(model):
        raise BurnishError(f"{name} is no encoder: a token sees only what comes before it; leave architecture: decoder")
    return model


def encoded(model: Any, sequences: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Encode examples side by side, so that none sees another.

    Architectures number their positions each in its own way, so they are left to do it: examples are padded, not laid
    end to end.

    Returns:
        hidden: (E, T, D) in the model's precision.
        is_token: (E, T) bool, False at padding.
    """
    torch = need("torch", extra="train")
    longest = max(map(len, sequences))
    padding = model.config.pad_token_id or 0
    ids = torch.tensor([[*sequence, *[padding] * (longest - len(sequence))] for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    is_token = (torch.arange(longest)[None] < lengths[:, None]).to(model.device)
    hidden_ETD = model(input_ids=ids.to(model.device), attention_mask=is_token.long()).last_hidden_state
    return hidden_ETD, is_token


def _without_pooler(name: Any, **options: Any) -> Any:
    """Open a model without BERT's pooler, which no head here reads and which not every checkpoint has."""
    transformers = need("transformers", extra="train")
    model = transformers.AutoModel.from_pretrained(name, use_safetensors=True, **options)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def _sees_both_ways(model: Any) -> bool:
    """Tell whether the first token's vector changes with the last token."""
    torch = need("torch", extra="train")
    ids = torch.tensor([[5, 6, 7], [5, 6, 8]])
    with torch.inference_mode():
        first, second = model(input_ids=ids).last_hidden_state[:, 0]
    return not torch.allclose(first, second, atol=1e-5)
