"""Compress the float OpenVINO model's weights with NNCF. Runs in NNCF's own environment.

python with_nncf.py SPEC.json OUT_FOLDER
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["NNCF_CI"] = "1"  # without it, NNCF reports its use to its makers

import nncf
import numpy as np
import openvino

FILE = "openvino_model.xml"


def main() -> int:
    spec, out = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    model = openvino.Core().read_model(Path(spec["prepared"]["float_openvino"]) / FILE)
    options = dict(spec["settings"])
    mode = nncf.CompressWeightsMode(options.pop("mode"))
    if options.pop("calibrates", False):
        rows = spec["prepared"]["calibration_rows"]
        options |= {"dataset": nncf.Dataset(rows, inputs), "subset_size": len(rows)}
    openvino.save_model(nncf.compress_weights(model, mode=mode, **options), out / FILE, compress_to_fp16=False)
    return 0


def inputs(ids: list[int]) -> dict[str, Any]:
    row = np.array([ids], dtype=np.int64)
    return {
        "input_ids": row,
        "attention_mask": np.ones_like(row),
        "position_ids": np.arange(len(ids), dtype=np.int64)[None],
        "beam_idx": np.zeros(1, dtype=np.int32),
    }


if __name__ == "__main__":
    sys.exit(main())
