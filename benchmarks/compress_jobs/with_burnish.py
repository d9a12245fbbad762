"""Quantise with burnish and export: a folder a form, of one quantised model.

    python with_burnish.py SPEC.json OUT_FOLDER

The quantised float32 numbers (half a gigabyte) are dropped; the exports hold them.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from burnish.artifacts import Store
from burnish.compress.bits import Uniform
from burnish.compress.calibration import CalibrationConfig
from burnish.compress.export.gguf import save_gguf
from burnish.compress.export.onnx import save_onnx
from burnish.compress.export.openvino_ir import save_openvino
from burnish.compress.export.source import Source
from burnish.compress.gptq import Gptq
from burnish.compress.grids import IntGrid
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.runtime import Workdir
from burnish.runtime.events import EventLog

INT4 = Uniform(IntGrid(4, 32), head=IntGrid(8, 32))  # as recipes/compress/int4.yaml


def main() -> int:
    spec, out = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=out) as folder:
        if "folder" in spec["settings"]:
            source = Source.read(Path(spec["settings"]["folder"]))
        else:
            source = Source.read(quantized(spec, Path(folder)))
        for form in spec["settings"]["forms"]:
            (out / form).mkdir()
            match form:
                case "openvino":
                    save_openvino(source, out / form)
                case "gguf":
                    save_gguf(source, out / form, float_type="f32", pre_tokenizer=None)
                case "onnx":
                    save_onnx(source, out / form, has_int8_activations=True)
    return 0


def quantized(spec: dict[str, Any], work: Path) -> Path:
    """Run the stage that users run, on the calibration rows that all have."""
    calibration = CalibrationConfig(**spec["calibration"])
    config = {
        "int8": QuantizeConfig(),
        "int4_nearest": QuantizeConfig(INT4),
        "int4_gptq": QuantizeConfig(INT4, Gptq(), calibration=calibration),
    }[spec["settings"]["scheme"]]
    prepared = spec["prepared"]
    store = Store(work / "store")
    (work / "out" / "payload").mkdir(parents=True)
    out = Workdir(work / "out", "quantize", EventLog(work / "events.jsonl"))
    data: Any = [store.open(prepared["data"])] if config.needs_text else []
    base: Any = store.open(prepared["base"])
    quantize(out, base, *data, config=config)
    return out.payload


if __name__ == "__main__":
    sys.exit(main())
