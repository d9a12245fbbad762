"""Byte-level BPE: which tokens a vocabulary cannot do without, and the same tokenizer with fewer tokens.

A word's encoding applies merges in the order of their rank. All merges of a kept token's derivation are kept, and a
merge that is gone was not used in it, so a text whose tokens are all kept is encoded as before. Any other text still
has an encoding, since every byte keeps its token.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Bpe:
    """A tokenizer.json whose model is byte-level BPE.

    Attributes:
        file: its content.
        ids: of every token, added ones among them.
        merges: pairs of tokens, first ones first.
        parts: of each token that merges make, all tokens that such a merge takes.
    """

    file: Mapping[str, Any]
    ids: Mapping[str, int]
    merges: Sequence[tuple[str, str]]
    parts: Mapping[int, frozenset[int]]

    @staticmethod
    def of(folder: Path) -> "Bpe":
        """Read the tokenizer of a model's folder.

        Raises:
            BurnishError: it is of another kind.
        """
        path = folder / TOKENIZER
        if not path.exists():
            raise BurnishError(f"{folder} holds no {TOKENIZER}; trimming rewrites that file, so convert to it first")
        file = json.loads(path.read_text(encoding="utf-8"))
        _check(file, path)
        model = file["model"]
        ids = dict(model["vocab"]) | {each["content"]: each["id"] for each in file["added_tokens"]}
        merges = [tuple(each) if isinstance(each, list) else _pair(each) for each in model["merges"]]
        parts: dict[int, set[int]] = {}
        for left, right in merges:
            parts.setdefault(ids[left + right], set()).update((ids[left], ids[right]))
        return Bpe(file, ids, merges, {token: frozenset(found) for token, found in parts.items()})

    def must_keep(self) -> set[int]:
        """Give the tokens of bytes, the added ones, and those that the file itself puts into texts."""
        single = {number for token, number in self.ids.items() if len(token) == 1}
        added = {each["id"] for each in self.file["added_tokens"]}
        unknown = self.file["model"].get("unk_token")
        named = set() if unknown is None else {self.ids[unknown]}
        return single | added | named | set(_put_by(self.file.get("post_processor")))

    def with_parts(self, tokens: Iterable[int], kept: frozenset[int] | set[int] = frozenset()) -> set[int]:
        """Give tokens and all that they are made of, those in `kept` left out."""
        found: set[int] = set()
        todo = [token for token in tokens if token not in kept]
        while todo:
            token = todo.pop()
            if token not in found and token not in kept:
                found.add(token)
                todo += self.parts.get(token, ())
        return found

    def trimmed(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """Give the file with these tokens alone.

        Args:
            new_ids: of each kept token by its old one; closed under parts.
        """
        model = dict(self.file["model"])
        model["vocab"] = {token: new_ids[old] for token, old in model["vocab"].items() if old in new_ids}
        model["merges"] = [
            each
            for each, (left, right) in zip(model["merges"], self.merges, strict=True)
            if all(self.ids[token] in new_ids for token in (left, right, left + right))
        ]
        added = [{**each, "id": new_ids[each["id"]]} for each in self.file["added_tokens"]]
        processor = _renumbered(self.file.get("post_processor"), new_ids)
        return {**self.file, "added_tokens": added, "post_processor": processor, "model": model}


def _check(file: Mapping[str, Any], path: Path) -> None:
    model = file["model"]
    steps = json.dumps([file.get("pre_tokenizer"), file.get("normalizer")])
    if model.get("type") != "BPE" or model.get("byte_fallback") or '"ByteLevel"' not in steps:
        kind = "BPE with byte fallback (as Llama 2's)" if model.get("byte_fallback") else model.get("type")
        raise BurnishError(
            f"{path} is of kind {kind}; only byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM) can be trimmed here"
        )
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise BurnishError(f"{path} marks the insides or ends of words, which trimming does not know")


def _pair(merge: str) -> tuple[str, str]:
    left, right = merge.split(" ")
    return left, right


def _put_by(processor: Mapping[str, Any] | None) -> list[int]:
    """Give the tokens that a post-processor puts into texts."""
    match (processor or {}).get("type"):
        case "TemplateProcessing":
            return [number for each in (processor or {})["special_tokens"].values() for number in each["ids"]]
        case "BertProcessing" | "RobertaProcessing":
            return [(processor or {})["sep"][1], (processor or {})["cls"][1]]
        case "Sequence":
            return [number for each in (processor or {})["processors"] for number in _put_by(each)]
        case "ByteLevel" | None:
            return []
        case other:
            raise BurnishError(f"the tokenizer's post-processor {other} is not known to trimming")


def _renumbered(processor: Mapping[str, Any] | None, new_ids: Mapping[int, int]) -> dict[str, Any] | None:
    if processor is None:
        return None
    match processor["type"]:
        case "TemplateProcessing":
            special = {
                name: {**each, "ids": [new_ids[number] for number in each["ids"]]}
                for name, each in processor["special_tokens"].items()
            }
            return {**processor, "special_tokens": special}
        case "BertProcessing" | "RobertaProcessing":
            pairs = {name: [processor[name][0], new_ids[processor[name][1]]] for name in ("sep", "cls")}
            return {**processor, **pairs}
        case "Sequence":
            return {**processor, "processors": [_renumbered(each, new_ids) for each in processor["processors"]]}
        case _:
            return dict(processor)
