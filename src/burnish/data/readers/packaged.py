"""Packaged data: real rows that the packages of `runtime.assets` carry, sampled by the recipe's seed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from burnish.data.records import Record
from burnish.data.sources import GeneralText, SarcasmHeadlines, by_chance
from burnish.errors import RecipeError
from burnish.runtime.assets import fetch

_GENERAL = {"Abirate/english_quotes": "quotes", **{name: name for name in ("wikipedia", "c4", "openwebtext", "oscar")}}
_RANDOM = ("RandomCharAndNumberDataset", "RandomWordsDataset")


def read_headlines(source: SarcasmHeadlines, name: str, seed: int, say: Callable[[str], None]) -> list[Record]:
    """Read the sampled headlines, in a fixed random order."""
    rows = [
        Record(f"{name}:{row}", line["input"][-1]["content"], source.labels[int(line["ideal"])], name)
        for row, line in _json_lines(fetch("sarcasm-headlines", say=say))
    ]
    return _sample(rows, source.num_records, seed, name)


def read_random(name: str, say: Callable[[str], None]) -> list[Record]:
    """Read the rows of random characters and random words, marked as planted."""
    lines = _json_lines(fetch("text-compression", say=say))
    return [
        Record(f"{name}:{row}", line["text"], None, name, "random") for row, line in lines if line["type"] in _RANDOM
    ]


def read_general(source: GeneralText, name: str, seed: int, say: Callable[[str], None]) -> list[Record]:
    """Read the sampled general texts, in a fixed random order."""
    rows = [
        Record(f"{name}:{row}", line["text"], None, f"{name}/{_GENERAL[line['type']]}")
        for row, line in _json_lines(fetch("text-compression", say=say))
        if line["type"] in _GENERAL
    ]
    return _sample(rows, source.num_records, seed, name)


def _sample(rows: list[Record], num_records: int, seed: int, name: str) -> list[Record]:
    if num_records > len(rows):
        raise RecipeError(f"{name}: num_records is {num_records}; this source has {len(rows)}")
    return by_chance(rows, seed, "sample")[:num_records]


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for row, line in enumerate(file):
            yield row, json.loads(line)
