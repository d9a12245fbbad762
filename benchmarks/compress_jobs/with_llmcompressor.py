"""Put the float model's linear layers on 4 bits, groups of 32, with llm-compressor; the head stays as it is, its default.

    python with_llmcompressor.py SPEC.json OUT_FOLDER

Runs in llm-compressor's own environment.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier


def main() -> int:
    spec, out = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    model = transformers.AutoModelForCausalLM.from_pretrained(
        spec["prepared"]["float"], dtype=torch.float32, local_files_only=True
    )
    weights = QuantizationArgs(num_bits=4, group_size=32, strategy="group", symmetric=True)
    groups = {"linears": QuantizationScheme(targets=["Linear"], weights=weights)}
    calibration: dict[str, Any] = {}
    if spec["settings"]["scheme"] == "gptq":
        recipe: Any = GPTQModifier(config_groups=groups, ignore=["lm_head"])
        rows = spec["prepared"]["calibration_rows"]
        data = Dataset.from_list([{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows])
        calibration = {
            "dataset": data, "max_seq_length": len(rows[0]), "num_calibration_samples": len(rows), "shuffle_calibration_samples": False,
        }  # fmt: skip
    else:
        recipe = QuantizationModifier(config_groups=groups, ignore=["lm_head"])
    oneshot(model=model, tokenizer=spec["prepared"]["float"], recipe=recipe, **calibration)
    model.save_pretrained(out, save_compressed=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
