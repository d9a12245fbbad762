"""Take a base model into the store: from an asset, a folder, a GGUF file or a hub name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, assert_never

from burnish.artifacts import Draft, Measurement, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.nn.encoders import read_encoder
from burnish.nn.weights import quiet_transformers, read_gguf, save_model
from burnish.runtime import Workdir, need
from burnish.runtime.assets import fetch


@dataclass(frozen=True)
class AssetModel:
    """A model that a package carries; `burnish assets` lists them."""

    name: str = "smollm2-135m-instruct"


@dataclass(frozen=True)
class LocalModel:
    """A model on this machine: a Hugging Face folder with safetensors, or a .gguf file."""

    path: Path


@dataclass(frozen=True)
class HubModel:
    """A model on the Hugging Face hub, by name and revision; needs a network on first use."""

    name: str
    revision: str = "main"


Source = AssetModel | LocalModel | HubModel


@dataclass(frozen=True)
class BaseConfig:
    """Say where the base model comes from.

    Attributes:
        architecture: a decoder writes text; an encoder (BERT and its kin) reads it both ways, for heads that
            classify.
    """

    source: Source = field(default_factory=AssetModel)
    architecture: Literal["decoder", "encoder"] = "decoder"


def take_base(out: Workdir, *, config: BaseConfig) -> Draft[ModelArtifact]:
    """Bring a base model into the Hugging Face layout, float32 safetensors.

    A GGUF file is dequantised: the float32 numbers it stands for are the baseline that everything later is
    compared with, and they lie on the file's own grid.

    Raises:
        BurnishError: the source cannot be read as a model of that architecture with a fast tokenizer.
    """
    with out.progress("reading the base model", total=None, unit="files"):
        model, tokenizer = _read(config, out)
    save_model(model, out.payload)
    with quiet_transformers():
        tokenizer.save_pretrained(out.payload)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    size = folder_bytes(out.payload)
    evidence = (
        Measurement("num_parameters", num_parameters, "1", 1, how="distinct weights; a tied head counts once"),
        Measurement("size_bytes", size, "bytes", 1, how="all files of the model, float32 safetensors"),
    )
    summary = f"{_name(config.source)}: {num_parameters / 1e6:.1f} M parameters in the Hugging Face layout, float32."
    return Draft(ModelArtifact, evidence, summary)


def folder_bytes(folder: Path) -> int:
    """Add up the sizes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _read(config: BaseConfig, out: Workdir) -> tuple[Any, Any]:
    is_decoder = config.architecture == "decoder"
    match config.source:
        case AssetModel(name=name):
            return _read_local(fetch(name, say=out.warn), is_decoder)
        case LocalModel(path=path):
            return _read_local(path, is_decoder)
        case HubModel(name=name, revision=revision):
            return _from_pretrained(name, revision, is_decoder)
        case _:
            assert_never(config.source)


def _read_local(path: Path, is_decoder: bool) -> tuple[Any, Any]:
    if path.suffix == ".gguf":
        if not is_decoder:
            raise RecipeError(f"{path.name} is a GGUF file, which is read as a decoder; take an encoder from a folder")
        return read_gguf(path)
    if not (path / "config.json").exists():
        raise RecipeError(f"base.source.path is {path}; it must be a folder with config.json, or a .gguf file")
    return _from_pretrained(str(path), None, is_decoder)


def _from_pretrained(name: str, revision: str | None, is_decoder: bool) -> tuple[Any, Any]:
    transformers = need("transformers", extra="train")
    torch = need("torch", extra="train")
    options = {} if revision is None else {"revision": revision}
    try:
        with quiet_transformers():
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
            if not is_decoder:
                return read_encoder(name, **options), tokenizer
            model = transformers.AutoModelForCausalLM.from_pretrained(
                name, dtype=torch.float32, use_safetensors=True, **options
            )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        kind = "a causal language model" if is_decoder else "an encoder"
        raise BurnishError(f"{name} cannot be opened as {kind} ({reason})") from error
    return model, tokenizer


def _name(source: Source) -> str:
    match source:
        case AssetModel(name=name) | HubModel(name=name):
            return name
        case LocalModel(path=path):
            return path.name
        case _:
            assert_never(source)
