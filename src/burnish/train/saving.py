"""Saving: how what training made is kept."""

import json
from pathlib import Path
from typing import Any

from burnish.artifacts import ModelArtifact
from burnish.nn.weights import quiet_transformers, save_model
from burnish.train.methods import Method, is_adapter


def save_tuned(model: Any, method: Method, folder: Path, base: ModelArtifact) -> None:
    """Write an adapter, or the whole model where the method changed it."""
    if is_adapter(method):
        _save_adapter(model, folder, base)
    else:
        save_model(model, folder)


def _save_adapter(model: Any, folder: Path, base: ModelArtifact) -> None:
    """Write the adapter so that equal training gives equal bytes: no paths, no order of sets.

    Where a soft prompt began is left out too: PEFT would ask for the tokenizer's path to open it.
    """
    model.peft_config["default"].base_model_name_or_path = f"burnish:{base.digest}"
    with quiet_transformers():
        model.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in ("tokenizer_name_or_path", "prompt_tuning_init", "prompt_tuning_init_text"):
        config.pop(key, None)
    for key, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[key] = sorted(value)
    path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
