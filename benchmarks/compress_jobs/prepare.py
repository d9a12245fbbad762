"""Take the float model and the texts of benchmarks/compress_chain.py: what every row reads and calibrates on.

    python prepare.py SPEC.json OUT_FOLDER

Runs in burnish's own environment. Leaves the names of the float model's forms, the calibration rows and the documents.
"""

import hashlib
import importlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burnish.artifacts import Store
from burnish.compress.calibration import CalibrationConfig, calibration_rows
from burnish.compress.export.write import ExportConfig, Openvino, export
from burnish.data.clean import CleanConfig, clean
from burnish.data.collect import CollectConfig, collect
from burnish.data.sources import Asset
from burnish.data.split import ByCount, SplitConfig, split
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Run, Workdir
from burnish.runtime.assets import fetch
from burnish.runtime.events import EventLog
from burnish.train.base import BaseConfig, take_base

PROSE = ("wikipedia", "c4", "openwebtext")  # parts of the asset text-compression that are whole English documents
SEED = 17


def main() -> int:
    spec, out = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    events = EventLog(out / "events.jsonl")
    run = Run(Store(out / "store"), events)
    base = run(take_base, config=BaseConfig())
    whole = run(export, base, config=ExportConfig(Openvino()))
    raw = run(collect, config=CollectConfig((Asset(name="manpages"),), seed=SEED))
    data = run(split, run(clean, raw, config=CleanConfig(("en",))), config=SplitConfig(ByCount(1, 1), seed=SEED))
    rows = calibration_rows(
        Workdir(out, "calibrate", events), base.payload, data, CalibrationConfig(**spec["calibration"])
    )
    texts = {
        name: documents(base.payload, all_texts, spec["documents"], spec["tokens"])
        for name, all_texts in (("pydoc topics", topics()), ("prose", prose()))
    }
    body: dict[str, Any] = {
        "base": str(base.path),
        "data": str(data.path),
        "float": str(base.payload),
        "float_openvino": str(whole.payload),
        "shipped_gguf": str(fetch("smollm2-135m-instruct")),
        "calibration_rows": rows,
        "texts": texts,
    }
    told = json.dumps([rows, texts], sort_keys=True)
    body["tokens_sha256"] = hashlib.sha256(told.encode()).hexdigest()
    (out / "prepared.json").write_text(json.dumps(body), encoding="utf-8")
    return 0


def topics() -> Iterator[str]:
    """Give the topics of Python's help."""
    found = importlib.import_module("pydoc_data.topics").topics
    yield from (found[name] for name in sorted(found))


def prose() -> Iterator[str]:
    """Give articles and web pages."""
    for line in fetch("text-compression").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["type"] in PROSE:
            yield row["text"]


def documents(folder: Path, texts: Iterator[str], wanted: int, tokens: int) -> list[dict[str, Any]]:
    """Take the beginnings of documents that are long enough, in an order drawn from the seed.

    Raises:
        SystemExit: there are too few.
    """
    tokenizer = open_tokenizer(folder)
    found = []
    for text in texts:
        told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        if len(told["input_ids"]) >= tokens:
            end = told["offset_mapping"][tokens - 1][1]
            found.append({"text": text[:end], "ids": told["input_ids"][:tokens]})
    if len(found) < wanted:
        raise SystemExit(f"{len(found)} documents of at least {tokens} tokens; {wanted} were asked for")
    random.Random(SEED).shuffle(found)
    return found[:wanted]


if __name__ == "__main__":
    sys.exit(main())
