"""A model folder's weights: what may be quantised, read shard by shard, and written on grids."""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from burnish.compress.grids import Placed
from burnish.compress.placed import GRIDS, write_placed
from burnish.errors import BurnishError
from burnish.nn.decoder import ARCHITECTURES
from burnish.nn.weights import copy_tokenizer
from burnish.runtime import need

_TIED = "lm_head.weight"  # a second name of the embedding


def config_of(folder: Path) -> dict[str, Any]:
    """Read a model's config.json.

    Raises:
        BurnishError: there is none.
    """
    path = folder / "config.json"
    if not path.exists():
        raise BurnishError(f"{folder} holds no config.json; give a model of the Hugging Face layout")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def refuse_unfit(folder: Path) -> None:
    """Refuse what cannot be quantised as a whole.

    Raises:
        BurnishError: the model is quantised already, is an adapter, or has weights that no grid is known for.
    """
    if (folder / "adapter_config.json").exists():
        raise BurnishError(f"{folder} is an adapter; merge it into its base and quantise the merged model")
    config = config_of(folder)
    marked = config.get("quantization_config")
    if marked is not None or (folder / GRIDS).exists():
        how = f"as {marked.get('quant_method', marked)}" if isinstance(marked, Mapping) else f"{GRIDS} is there"
        raise BurnishError(
            f"{folder} is quantised already ({how}); rounding twice adds errors, so give the float model"
        )
    architecture = config.get("model_type")
    if architecture not in ARCHITECTURES:
        raise BurnishError(
            f"model_type is {architecture!r}; quantisation knows {', '.join(ARCHITECTURES)}, not mixtures of experts "
            "or latent attention: their weights would stay in float unnoticed"
        )


def shapes_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """Give the shape of every weight, without reading the weights."""
    return {name: tuple(shard.get_slice(name).get_shape()) for shard, name in _stored(folder)}


def read_weights(folder: Path) -> Iterator[tuple[str, Any]]:
    """Read the weights one by one, as float32 tensors; a tied head is left out, being the embedding.

    Raises:
        BurnishError: the folder holds no safetensors.
    """
    for shard, name in _stored(folder):
        yield name, shard.get_tensor(name).float()


def stored_in(folder: Path) -> dict[str, Path]:
    """Say which file of a model's folder holds each weight; a tied head is left out, being the embedding.

    Raises:
        BurnishError: the folder holds no safetensors of a model.
    """
    safetensors = need("safetensors", extra="compress")
    shards = sorted(folder.glob("model*.safetensors"))
    if not shards:
        raise BurnishError(f"{folder} holds no safetensors of a model; give a merged model, not an adapter")
    is_tied = bool(config_of(folder).get("tie_word_embeddings", False))
    files: dict[str, Path] = {}
    for shard in shards:
        with safetensors.safe_open(shard, framework="pt") as opened:
            files |= dict.fromkeys(opened.keys(), shard)
    if is_tied:
        files.pop(_TIED, None)
    return files


def _stored(folder: Path) -> Iterator[tuple[Any, str]]:
    safetensors = need("safetensors", extra="compress")
    for file, weights in groupby(stored_in(folder).items(), key=lambda item: item[1]):
        with safetensors.safe_open(file, framework="pt") as shard:
            for name, _ in weights:
                yield shard, name


def write_weights(
    source: Path, target: Path, placed: Mapping[str, Placed], changed: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Write a model with these weights on their grids and all others as `source` has them, in float32.

    Args:
        changed: weights that stay floats, but are others than the source's.

    Returns:
        Name of a placed weight -> Frobenius norm of its error over that of the weight.
    """
    files = need("safetensors.torch", extra="compress")
    tensors: dict[str, Any] = {}
    errors: dict[str, float] = {}
    for name, weight in read_weights(source):
        tensors[name] = weight if changed is None or name not in changed else changed[name].float().cpu().contiguous()
        if name in placed:
            tensors[name] = placed[name].dequantize().cpu()
            norm = float(weight.norm())
            errors[name] = float((tensors[name] - weight).norm()) / norm if norm else 0.0
    files.save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    write_placed(target, placed)
    config = config_of(source) | {"dtype": "float32"}
    config.pop("torch_dtype", None)
    (target / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    copy_tokenizer(source, target)
    return errors
