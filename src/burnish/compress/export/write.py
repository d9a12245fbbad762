"""Export: the model in the form that another runtime opens, its values on that runtime's own grid."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, assert_never

from burnish.artifacts import Draft, Measurement, ModelArtifact
from burnish.compress.export.compressed_tensors import save_compressed_tensors
from burnish.compress.export.executorch import save_executorch
from burnish.compress.export.gguf import save_gguf
from burnish.compress.export.onnx import save_onnx
from burnish.compress.export.onnx_genai import genai_config
from burnish.compress.export.openvino_ir import save_openvino
from burnish.compress.export.source import Source, Written
from burnish.nn.weights import copy_tokenizer
from burnish.runtime import Workdir
from burnish.runtime.recipes import choice_name

FORMS = "export.json"  # which form each weight has taken


@dataclass(frozen=True)
class Openvino:
    """OpenVINO IR: the form that burnish serves on CPUs, and what OpenVINO GenAI opens.

    Attributes:
        activations: "auto" lets the engine round them to 8 bits where that is faster (dynamic quantisation); "float" is
            written into the file, and every OpenVINO keeps to it.
    """

    activations: Literal["auto", "float"] = "auto"


@dataclass(frozen=True)
class Gguf:
    """One GGUF file with its tokenizer: llama.cpp, Ollama, LM Studio.

    Attributes:
        float_type: of matrices on no grid; norms and biases are float32 always. float16 halves them, and llama.cpp
            then rounds activations to float16 as well.
        pre_tokenizer: llama.cpp's name of the tokenizer's cut, such as "qwen2"; null finds it.
    """

    float_type: Literal["f16", "f32"] = "f32"
    pre_tokenizer: str | None = None


@dataclass(frozen=True)
class Onnx:
    """An ONNX decoder with a cache: onnxruntime and onnxruntime-genai. What lies on no grid is float32.

    Attributes:
        has_int8_activations: round activations to 8 bits before 4- and 8-bit products (accuracy_level 4): faster, and
            the logits move by more than rounding.
    """

    has_int8_activations: bool = False


@dataclass(frozen=True)
class CompressedTensors:
    """Safetensors in the compressed-tensors layout: vLLM, SGLang, transformers.

    Attributes:
        float_type: of scales and of what lies on no grid. vLLM opens a float32 model in bfloat16, which would round
            the scales; float16 holds them exactly and rounds the embedding.
        has_int8_activations: let engines round activations to 8 bits where weights have 8 (W8A8, for large batches).
    """

    float_type: Literal["f16", "f32"] = "f16"
    has_int8_activations: bool = False


@dataclass(frozen=True)
class Executorch:
    """An ExecuTorch program for XNNPACK, float32 and without a cache: models on no grid."""


Target = Openvino | Gguf | Onnx | CompressedTensors | Executorch


@dataclass(frozen=True)
class ExportConfig:
    """Say which runtime the model is for."""

    target: Target = field(default_factory=Openvino)


def targets() -> dict[str, type[Target]]:
    """Give the targets by the names that the command line takes."""
    kinds: tuple[type[Target], ...] = (Openvino, Gguf, Onnx, CompressedTensors, Executorch)
    return {choice_name(kind).replace("_", "-"): kind for kind in kinds}


def export(out: Workdir, model: ModelArtifact, *, config: ExportConfig) -> Draft[ModelArtifact]:
    """Write a model of the Hugging Face layout, with or without grids, in another runtime's form.

    Raises:
        BurnishError: the form has no place for the architecture, a weight, a grid or the tokenizer.
        ArtifactError: the weights no longer lie on their grids.
    """
    source = Source.read(model.payload)
    name = choice_name(type(config.target))
    with out.progress(f"writing {name}", total=None, unit="weights"):
        written = _write(source, config.target, out.payload)
    for warning in written.warnings:
        out.warn(warning)
    body = {"target": {"kind": name, **asdict(config.target)}, "forms": written.forms}
    (out / FORMS).write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    on_grid = len(source.placed) - len(written.float_kept)
    summary = (
        f"{model.digest[:12]} for {name}: {on_grid} weights on their grids, {len(written.forms) - on_grid} in float."
    )
    return Draft(ModelArtifact, _evidence(source, written, out.payload), summary)


def _write(source: Source, target: Target, out: Path) -> Written:
    match target:
        case Openvino(activations=activations):
            written = save_openvino(source, out, rounds_activations=activations == "auto")
            _copy_config(source, out)
        case Gguf(float_type=float_type, pre_tokenizer=pre_tokenizer):
            return save_gguf(source, out, float_type=float_type, pre_tokenizer=pre_tokenizer)
        case Onnx(has_int8_activations=has_int8):
            written = save_onnx(source, out, has_int8_activations=has_int8)
            body = json.dumps(genai_config(source), indent=1)
            (out / "genai_config.json").write_text(body + "\n", encoding="utf-8")
            _copy_config(source, out)
        case CompressedTensors(float_type=float_type, has_int8_activations=has_int8):
            written = save_compressed_tensors(source, out, float_type=float_type, has_int8_activations=has_int8)
        case Executorch():
            written = save_executorch(source, out)
            _copy_config(source, out)
        case _:
            assert_never(target)
    copy_tokenizer(source.folder, out)
    return written


def _copy_config(source: Source, out: Path) -> None:
    (out / "config.json").write_bytes((source.folder / "config.json").read_bytes())


def _evidence(source: Source, written: Written, folder: Path) -> tuple[Measurement, ...]:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    before = sum(path.stat().st_size for path in set(source.files.values()))
    kept, total = written.float_kept, len(written.forms)
    named = f": {', '.join(kept[:4])}" if kept else ""
    worst = max(written.rounding, key=written.rounding.__getitem__, default="")
    rounding = f"Frobenius norm of what the format rounded over that of the weight, worst of {total}: {worst or 'none'}"
    return (
        Measurement("size_bytes", size, "bytes", 1, how="all files of the export"),
        Measurement("size_frac", size / before, "1", 1, how="of the safetensors that it was made from"),
        Measurement("num_on_grid", len(source.placed) - len(kept), "1", total, how="weights whose grid the file holds"),
        Measurement("num_fell_back", len(kept), "1", total, how=f"weights on a grid, in float in the file{named}"),
        Measurement(
            "repeated_scale_bytes", written.repeated_bytes, "bytes", total, how="scales repeated in each block"
        ),
        Measurement("rounding_error_max", max(written.rounding.values(), default=0.0), "1", total, how=rounding),
    )
