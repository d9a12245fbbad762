"""Quantise a merged model to INT8 and write it in the form that the CPU engine serves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.artifacts import Draft, Measurement, ModelArtifact
from burnish.compress.export.openvino_ir import save_model
from burnish.compress.grid import Quantized, quantize_rows
from burnish.errors import BurnishError, RecipeError
from burnish.nn.weights import copy_tokenizer
from burnish.runtime import Workdir, need

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class QuantizeConfig:
    """Say which matrices become INT8.

    Attributes:
        keep_float: shell patterns of weight names that stay float32, such as "lm_head.*" or "*.down_proj.weight".
    """

    keep_float: tuple[str, ...] = ()


def quantize(out: Workdir, model: ModelArtifact, *, config: QuantizeConfig) -> Draft[ModelArtifact]:
    """Put every matrix on an INT8 grid of one scale a row, and write an OpenVINO model with its tokenizer.

    Raises:
        RecipeError: a pattern of `keep_float` matches nothing.
        BurnishError: the architecture has no export, or a weight is not finite.
    """
    weights = dict(_read_weights(model.payload))
    for pattern in config.keep_float:
        if not any(fnmatch(name, pattern) for name in weights):
            raise RecipeError(f"keep_float {pattern!r} matches no weight; names look like {next(iter(weights))!r}")
    formed: dict[str, np.ndarray | Quantized] = {}
    errors: list[float] = []
    with out.progress("quantising", total=len(weights), unit="weights") as bar:
        for name, weight in weights.items():
            formed[name] = _form(name, weight, config, errors)
            bar.advance()
    model_config = json.loads((model.payload / "config.json").read_text(encoding="utf-8"))
    save_model(formed, model_config, out.payload)
    (out / "config.json").write_bytes((model.payload / "config.json").read_bytes())
    copy_tokenizer(model.payload, out.payload)
    return Draft(ModelArtifact, _evidence(formed, errors, out.payload), _summary(formed, model))


def _form(name: str, weight: "np.ndarray", config: QuantizeConfig, errors: list[float]) -> "np.ndarray | Quantized":
    import numpy as np

    if weight.ndim != 2 or any(fnmatch(name, pattern) for pattern in config.keep_float):
        return weight
    try:
        quantized = quantize_rows(weight)
    except BurnishError as error:
        raise BurnishError(f"{name}: {error}") from error
    norm = float(np.linalg.norm(weight))
    errors.append(float(np.linalg.norm(quantized.dequantize() - weight)) / norm if norm else 0.0)
    return quantized


def _read_weights(folder: Path) -> Iterator[tuple[str, "np.ndarray"]]:
    """Read all safetensors shards as float32."""
    safetensors = need("safetensors", extra="compress")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise BurnishError(f"{folder} holds no safetensors; quantise a merged model, not an adapter")
    for file in files:
        with safetensors.safe_open(file, framework="pt") as shard:
            for name in shard.keys():  # noqa: SIM118  # safe_open is no mapping
                yield name, shard.get_tensor(name).float().numpy()


def _evidence(
    formed: "dict[str, np.ndarray | Quantized]", errors: list[float], folder: Path
) -> tuple[Measurement, ...]:
    stored_bytes = sum(w.num_bytes if isinstance(w, Quantized) else w.nbytes for w in formed.values())
    num_weights = sum(_size(weight) for weight in formed.values())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    evidence = [
        Measurement("size_bytes", size, "bytes", 1, how="all files of the OpenVINO model, tokenizer included"),
        Measurement("num_bits_mean", 8 * stored_bytes / num_weights, "bits", num_weights, how="weights and scales"),
    ]
    if errors:
        worst = max(errors)
        how = "Frobenius norm of the error over that of the weight, worst matrix"
        evidence.append(Measurement("relative_error_max", worst, "1", len(errors), how=how))
    return tuple(evidence)


def _summary(formed: "dict[str, np.ndarray | Quantized]", model: ModelArtifact) -> str:
    on_grid = sum(isinstance(weight, Quantized) for weight in formed.values())
    return (
        f"{model.digest[:12]} in OpenVINO form: {on_grid} matrices in INT8 with one float16 scale a row, "
        f"{len(formed) - on_grid} weights in float32."
    )


def _size(weight: Any) -> int:
    return int(weight.values_OI.size if isinstance(weight, Quantized) else weight.size)
