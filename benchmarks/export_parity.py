"""Export parity: how far each engine's logits are from those of the model that was written for it.

    python benchmarks/export_parity.py --out benchmarks/results/export_parity_HARDWARE_YYYYMM.json

SmolLM2-135M on each grid, written for each engine, the same prompts through the model in float32 and through the export in
its own runtime. A pair that cannot be measured here has the reason in place of figures.
"""

import argparse
import datetime
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, ModelArtifact, Store
from burnish.compress.bits import Uniform
from burnish.compress.export.write import CompressedTensors, ExportConfig, Gguf, Onnx, Openvino, Target, export
from burnish.compress.grids import IntGrid
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.data.collect import CollectConfig, collect
from burnish.data.sources import Asset
from burnish.data.split import ByCount, SplitConfig, split
from burnish.errors import BurnishError
from burnish.evaluate.exported import ExportParityConfig, check_export
from burnish.runtime import Run
from burnish.runtime.events import EventLog
from burnish.runtime.hardware import fingerprint
from burnish.train.base import BaseConfig, take_base

BLOCKS = IntGrid(4, 32), IntGrid(8, 32)
GRIDS: dict[str, QuantizeConfig | None] = {
    "float32": None,
    "int8": QuantizeConfig(),
    "int8 in blocks of 32": QuantizeConfig(Uniform(BLOCKS[1], BLOCKS[1])),
    "int4 in blocks of 32": QuantizeConfig(Uniform(*BLOCKS)),
}
TARGETS: dict[str, Target] = {
    "openvino": Openvino(),
    "onnx": Onnx(),
    "onnx, int8 activations": Onnx(has_int8_activations=True),
    "gguf": Gguf(),
    "compressed_tensors f32": CompressedTensors("f32"),
    "compressed_tensors f16": CompressedTensors("f16"),
}


def main() -> int:
    """Measure, print and write each pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--store", type=Path, default=Path(".burnish"), help="where artifacts are kept")
    parser.add_argument("--prompts", type=int, default=16)
    given = parser.parse_args()
    run = Run(Store(given.store), EventLog(given.store / "export_parity.jsonl"))
    config = ExportParityConfig(num_prompts=given.prompts)
    raw = run(collect, config=CollectConfig((Asset(name="manpages"),), seed=17))
    data = run(split, raw, config=SplitConfig(ByCount(20, 40), seed=17))
    base = run(take_base, config=BaseConfig())
    rows: list[dict[str, Any]] = []
    for grid, rounding in GRIDS.items():
        model = base if rounding is None else run(quantize, base, config=rounding)
        for name, target in TARGETS.items():
            rows.append({"grid": grid, "target": name, **measured(run, model, target, data, config)})
            print(json.dumps(rows[-1]))
            write(given.out, rows, config)
    return 0


def measured(
    run: Run, model: ModelArtifact, target: Target, data: DatasetArtifact, config: ExportParityConfig
) -> dict[str, Any]:
    """Write the model for an engine and compare; the reason where that cannot be."""
    try:
        written = run(export, model, config=ExportConfig(target))
        report = run(check_export, model, written, data, config=config)
    except BurnishError as error:
        return {"error": str(error)}
    held = {m.name: m for m in report.evidence}
    return {name: {"value": m.value, "n": m.n, "low": m.low, "high": m.high} for name, m in held.items()}


def write(out: Path, rows: list[dict[str, Any]], config: ExportParityConfig) -> None:
    """Write what is measured so far."""
    body = {
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "environment": fingerprint(),
        "prompts": config.num_prompts,
        "rows": rows,
    }
    out.write_text(json.dumps(body, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())
