"""A byte-level BPE tokenizer in the fields that llama.cpp reads, from a tokenizer.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime import need

# the regular expressions by which tokenizers cut text before BPE -> what llama.cpp calls them (src/llama-vocab.cpp)
_WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PRE_TOKENIZERS: dict[tuple[str, ...], str] = {
    ("gpt2",): "gpt-2",
    ("digits", "gpt2"): "smollm",
    (rf"{_WORD}|\p{{N}}|{_REST}",): "qwen2",
    (rf"{_WORD}|\p{{N}}{{1,3}}|{_REST}",): "llama-bpe",
}
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5  # llama.cpp's llama_token_type


@dataclass(frozen=True)
class Tokens:
    """A vocabulary in llama.cpp's terms.

    Attributes:
        pre: name of the cut before BPE.
        texts: token texts by id, in the byte-level alphabet.
        kinds: llama.cpp's type of each.
        adds_first: the tokenizer puts its first token before any text.
    """

    pre: str
    texts: list[str]
    kinds: list[int]
    adds_first: bool


def read_tokens(folder: Path, *, vocab_size: int, pre: str | None) -> Tokens:
    """Read the vocabulary, filled up to the embedding's rows.

    Args:
        pre: llama.cpp's name of the cut before BPE; None finds it.

    Raises:
        BurnishError: llama.cpp has no such tokenizer, or the cut is not known.
    """
    path = folder / "tokenizer.json"
    if not path.exists():
        raise BurnishError(
            f"{folder} has no tokenizer.json; GGUF carries the tokenizer, so save a fast one beside the model"
        )
    body = json.loads(path.read_text(encoding="utf-8"))
    model = body["model"]
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback") or "merges" not in model:
        raise BurnishError(
            f"{path} is a {model.get('type')} tokenizer{' with byte fallback' if model.get('byte_fallback') else ''}; the "
            "GGUF export knows byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM): export to another target"
        )
    added = {entry["id"]: entry for entry in body.get("added_tokens") or ()}
    by_id = {number: text for text, number in model["vocab"].items()} | {i: e["content"] for i, e in added.items()}
    if max(by_id) >= vocab_size:
        raise BurnishError(
            f"the tokenizer's last token is {max(by_id)}, but the embedding has {vocab_size} rows; llama.cpp needs a row "
            "for each token: grow the embedding or cut the tokenizer"
        )
    texts = [by_id.get(number, f"[PAD{number}]") for number in range(vocab_size)]
    kinds = [_kind(number in by_id, added.get(number)) for number in range(vocab_size)]
    return Tokens(pre or _pre_tokenizer(body, path), texts, kinds, _adds_first(path))


def _kind(is_known: bool, added: Mapping[str, Any] | None) -> int:
    if not is_known:
        return _UNUSED
    if added is None:
        return _NORMAL
    return _CONTROL if added.get("special") else _USER_DEFINED


def _pre_tokenizer(body: Mapping[str, Any], path: Path) -> str:
    node = body.get("pre_tokenizer") or {}
    cuts = []
    for part in node.get("pretokenizers") or [node]:
        cut = _cut(part)
        if cut is not None:
            cuts.append(cut)
    known = _PRE_TOKENIZERS.get(tuple(cuts))
    if known is None:
        raise BurnishError(
            f"{path} cuts text by {cuts}, which llama.cpp knows under no name that this export has; if it knows it, "
            "give the name: pre_tokenizer, such as 'qwen2' (llama.cpp, src/llama-vocab.cpp)"
        )
    return known


def _cut(part: Mapping[str, Any]) -> str | None:
    """Name one step of the cut; None where it cuts nothing."""
    kind = part.get("type")
    if kind == "ByteLevel" and not part.get("add_prefix_space"):
        return "gpt2" if part.get("use_regex", True) else None
    if kind == "Digits" and part.get("individual_digits"):
        return "digits"
    if kind == "Split" and "Regex" in part.get("pattern", {}):
        return str(part["pattern"]["Regex"])
    return str(kind)


def _adds_first(path: Path) -> bool:
    return bool(need("tokenizers", extra="export").Tokenizer.from_file(str(path)).encode("").ids)
