"""Token ids beside the tokenizer: what configs and the chat template name, and the same with new ids."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.compress.bpe import Bpe
from burnish.errors import BurnishError
from burnish.runtime import need

_OTHER_IDS = ("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "forced_decoder_ids", "sequence_bias")


def ids_in_configs(folder: Path, bpe: Bpe) -> set[int]:
    """Give the ids that the model's configs name.

    Raises:
        BurnishError: one that the tokenizer has not, or a list of tokens that trimming does not know.
    """
    found: set[int] = set()
    known = set(bpe.ids.values())
    for name in ("config.json", "generation_config.json"):
        values = json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).exists() else {}
        if unknown := [key for key in _OTHER_IDS if values.get(key)]:
            raise BurnishError(f"{folder / name} names tokens in {unknown[0]}, which trimming does not know; remove it")
        for key, value in values.items():
            ids = as_ids(key, value)
            if strange := set(ids) - known:
                raise BurnishError(f"{folder / name}: {key} is {min(strange)}, which is no token; correct it")
            found.update(ids)
    return found


def as_ids(key: str, value: Any) -> list[int]:
    """Give the ids under a key of a config; [] where it holds none."""
    if not key.endswith("_token_id") or value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def ids_of_chat(tokenizer: Any) -> set[int]:
    """Give the tokens that the chat template puts around messages."""
    if not tokenizer.chat_template:
        return set()
    jinja = need("jinja2", extra="compress")
    turns = [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]
    for messages in ([{"role": "system", "content": ""}, *turns], turns, turns[:1]):
        try:
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except jinja.TemplateError:  # the template forbids this order of roles
            continue
        return set(tokenizer(text, add_special_tokens=False)["input_ids"])
    return set()


def renumbered(values: dict[str, Any], new_ids: Mapping[int, int]) -> dict[str, Any]:
    """Give a config with new ids; all else in it stays."""
    changed = dict(values)
    for key, value in values.items():
        if key == "added_tokens_decoder":
            changed[key] = {str(new_ids[int(old)]): each for old, each in value.items()}
        elif ids := as_ids(key, value):
            new = [new_ids[number] for number in ids]
            changed[key] = new if isinstance(value, list) else new[0]
    return changed
