"""Write a model in the compressed-tensors layout: the safetensors that vLLM, SGLang and transformers open.

Only linear layers lie on grids there. The embedding and the output head stay in float, as the engines expect.
Layouts: the `compressed-tensors` package, compressors/pack_quantized and compressors/naive_quantized.

Legend: O output rows, I input columns, G groups of a row, W 32-bit words.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from burnish.compress.export.source import EMBEDDING, HEAD, Source, Written
from burnish.compress.grids import Fp8Grid, Grid, Placed
from burnish.errors import BurnishError
from burnish.runtime import need

FloatType = Literal["f16", "f32"]

_DTYPES = {"f16": "float16", "f32": "float32"}
_FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # layers that engines multiply in one


def save_compressed_tensors(source: Source, out: Path, *, float_type: FloatType, has_int8_activations: bool) -> Written:
    """Write `model.safetensors` and `config.json` into the folder `out`.

    Args:
        float_type: of scales and of what lies on no grid.
        has_int8_activations: let engines round activations to 8 bits, a scale a token, where weights are 8-bit with a
            scale a row; else activations stay in float.

    Raises:
        BurnishError: there is nothing on a grid, or a number that the float type cannot hold.
    """
    files = need("safetensors.torch", extra="compress")
    if not set(source.placed) - {EMBEDDING, HEAD}:
        raise BurnishError(
            f"{source.folder} has no linear layer on a grid, so compressed-tensors would change nothing: quantise it "
            "first, or serve the folder as it is, which vLLM and transformers open"
        )
    written = Written()
    tensors: dict[str, Any] = {}
    schemes: dict[str, dict[str, Any]] = {}
    for name in sorted(source.files):
        weight = source.weight(name)
        if isinstance(weight, Placed) and name not in (EMBEDDING, HEAD):
            module = name.removesuffix(".weight")
            schemes[module] = _scheme(weight.grid, has_int8_activations=has_int8_activations)
            tensors |= {f"{module}.{part}": one for part, one in _parts(weight, schemes[module], float_type).items()}
            written.forms[name] = f"{weight.grid}, {schemes[module]['format']}"
        else:
            if isinstance(weight, Placed):
                written.float_kept.append(name)
            tensors[name] = _float(name, weight, float_type, written)
            written.forms[name] = _DTYPES[float_type]
    written.warnings = _engine_warnings(source, schemes)
    config = {**source.config, "dtype": _DTYPES[float_type], "quantization_config": _config(schemes, source)}
    files.save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return written


def _engine_warnings(source: Source, schemes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say what engines refuse although the format holds it."""
    found = []
    for name in sorted(source.files):
        for group in _FUSED:
            if name.endswith(f".{group[0]}.weight"):
                block = name.rsplit(".", 2)[0]
                kinds = [schemes.get(f"{block}.{part}") for part in group]
                if any(kind != kinds[0] for kind in kinds):
                    found.append(f"{block}.{{{','.join(group)}}}")
    warnings = []
    if found:
        warnings.append(
            f"{len(found)} groups of layers that vLLM multiplies in one lie on different grids, such as {found[0]}: "
            "transformers opens this model, vLLM does not"
        )
    has_zero = [scheme for scheme in schemes.values() if not scheme["weights"]["symmetric"]]
    if has_zero and any(scheme != has_zero[0] for scheme in schemes.values()):
        warnings.append(
            "grids with zero points beside other grids: transformers opens zero points only by dequantising, and that "
            "only where all layers lie on one grid (compressed-tensors 0.20)"
        )
    return warnings


def _scheme(grid: Grid, *, has_int8_activations: bool) -> dict[str, Any]:
    """Describe a grid in compressed-tensors' words: one of its config groups without the targets."""
    if isinstance(grid, Fp8Grid):
        kind, num_bits, group_size, is_symmetric = "float", 8, None, True
    else:
        kind, num_bits, group_size, is_symmetric = "int", grid.num_bits, grid.group_size, grid.is_symmetric
    weights = {
        "num_bits": num_bits, "type": kind, "symmetric": is_symmetric, "dynamic": False,
        "strategy": "channel" if group_size is None else "group", "group_size": group_size,
    }  # fmt: skip
    inputs = None
    if has_int8_activations and num_bits == 8 and group_size is None and is_symmetric:
        inputs = {"num_bits": 8, "type": kind, "symmetric": True, "dynamic": True, "strategy": "token"}
    # vLLM opens int8 weights with float activations in the packed form alone
    how = "float-quantized" if kind == "float" else "pack-quantized" if inputs is None else "int-quantized"
    return {"weights": weights, "input_activations": inputs, "output_activations": None, "format": how}


def _parts(weight: Placed, scheme: Mapping[str, Any], float_type: FloatType) -> dict[str, Any]:
    torch = need("torch", extra="compress")
    # fp8 scales were float32 from the start; float16 would move the numbers
    scale_dtype = weight.scale_OG.dtype if isinstance(weight.grid, Fp8Grid) else getattr(torch, _DTYPES[float_type])
    scale = {"weight_scale": weight.scale_OG.to(scale_dtype).contiguous()}
    if scheme["format"] != "pack-quantized":
        return {"weight": weight.values_OI.contiguous(), **scale}
    num_bits = weight.num_bits
    middle = 1 << (num_bits - 1)
    offset = 0 if weight.zero_OG is not None else middle  # the packed form is unsigned
    parts = {"weight_packed": _packed(weight.values_OI.int() + offset, num_bits), **scale}
    parts["weight_shape"] = torch.tensor(list(weight.values_OI.shape))
    if weight.zero_OG is not None:
        parts["weight_zero_point"] = _packed(weight.zero_OG.int().T, num_bits).T.contiguous()
    return parts


def _packed(values_OI: Any, num_bits: int) -> Any:
    """Put a row's unsigned values bit after bit into 32-bit words, lowest first, (O, W)."""
    torch = need("torch", extra="compress")
    num_words = -(-values_OI.shape[1] * num_bits // 32)
    start = torch.arange(values_OI.shape[1]) * num_bits
    word, shift = start // 32, start % 32
    wide = torch.zeros(values_OI.shape[0], num_words + 1, dtype=torch.int64)
    shifted = values_OI.long() << shift
    wide.index_add_(1, word, shifted & 0xFFFFFFFF)
    wide.index_add_(1, word + 1, shifted >> 32)
    words = wide[:, :num_words]
    return torch.where(words >= 1 << 31, words - (1 << 32), words).to(torch.int32).contiguous()


def _float(name: str, weight: Any, float_type: FloatType, written: Written) -> Any:
    torch = need("torch", extra="compress")
    exact = weight.dequantize() if isinstance(weight, Placed) else torch.from_numpy(weight)
    stored = exact.to(getattr(torch, _DTYPES[float_type]))
    if not bool(torch.isfinite(stored).all()):
        raise BurnishError(
            f"{name} holds {float(exact.abs().max()):g}, which float16 (at most 65504) cannot: take float_type f32"
        )
    written.note_rounding(name, stored.float().numpy(), exact.numpy())
    return stored.contiguous()


def _config(schemes: Mapping[str, Mapping[str, Any]], source: Source) -> dict[str, Any]:
    """Give `quantization_config`: one group a grid."""
    groups: list[tuple[Mapping[str, Any], list[str]]] = []
    for module, scheme in schemes.items():
        for known, modules in groups:
            if known == scheme:
                modules.append(module)
                break
        else:
            groups.append((scheme, [module]))
    formats = {scheme["format"] for scheme, _ in groups}
    linear = {name.removesuffix(".weight") for name in source.files if name.endswith("_proj.weight")}
    is_one = len(groups) == 1
    return {
        "quant_method": "compressed-tensors",
        "format": next(iter(formats)) if len(formats) == 1 else "mixed-precision",
        "quantization_status": "compressed",
        "config_groups": {
            f"group_{number}": {"targets": ["Linear"] if is_one else modules, **scheme}
            for number, (scheme, modules) in enumerate(groups)
        },
        "ignore": ["lm_head", *sorted(linear - set(schemes))],
        "kv_cache_scheme": None,
    }
