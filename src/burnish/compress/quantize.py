"""Quantise a merged model: its matrices go onto grids, by bits, rounding and clipping of your choice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact
from burnish.compress.allocate import Allocated, Allocation, allocate
from burnish.compress.bits import Bits, Uniform, grid_for, kind_of
from burnish.compress.calibration import CalibrationConfig, calibration_rows, warn_if_unreadable
from burnish.compress.clip import is_weighted, unweighted
from burnish.compress.grids import Grid, IntGrid, Placed, num_groups
from burnish.compress.placed import GRIDS, read_placed
from burnish.compress.quantize_evidence import FLOAT_BITS, allocation_evidence, evidence_of
from burnish.compress.rounding import Nearest, Rounding, needs_text, place_alone, place_layers
from burnish.compress.weights import read_weights, refuse_unfit, shapes_of, write_weights
from burnish.errors import ArtifactError, BurnishError, RecipeError
from burnish.nn.weights import open_model
from burnish.runtime import Workdir, need
from burnish.runtime.recipes import choice_name

BITS = "bits.json"
ALLOCATION = "allocation.json"


@dataclass(frozen=True)
class QuantizeConfig:
    """Say which grid each matrix gets, and how it is rounded to it.

    Attributes:
        bits: one grid for all, one by kind of layer, or the bits that measured divergence allots.
        rounding: to the nearest value, or by GPTQ, which needs calibration text.
        keep_float: shell patterns of weight names that stay float32, such as "lm_head.*" or "*.down_proj.weight".
        calibration: the text that is read where bits or rounding are measured.
    """

    bits: Bits | Allocated = field(default_factory=lambda: Uniform(IntGrid(8), head=IntGrid(8)))
    rounding: Rounding = field(default_factory=Nearest)
    keep_float: tuple[str, ...] = ()
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)

    def __post_init__(self) -> None:
        if not isinstance(self.bits, Allocated):
            return
        row_tokens = self.calibration.row_tokens
        given_tokens = self.calibration.num_rows * row_tokens
        if not row_tokens <= self.bits.num_tokens <= given_tokens:
            raise RecipeError(
                f"bits.num_tokens is {self.bits.num_tokens}; trials read whole calibration rows, so it must be from "
                f"{row_tokens} (calibration.row_tokens) to {given_tokens} (num_rows times as many)"
            )

    @property
    def needs_text(self) -> bool:
        """Tell whether the stage needs a dataset."""
        return isinstance(self.bits, Allocated) or needs_text(self.rounding)


def quantize(
    out: Workdir, model: ModelArtifact, *data: DatasetArtifact, config: QuantizeConfig
) -> Draft[ModelArtifact]:
    """Put a model's matrices on grids, and write it as a model that any tool opens, with the grids beside it.

    Args:
        data: one dataset, for calibration, where `config.needs_text`; it is not read otherwise.

    Raises:
        RecipeError: calibration text is needed and not given or too short, a pattern of `keep_float` matches nothing,
            or no matrix would be on a grid, or allocated bits have no layer to choose for.
        BurnishError: the model is quantised already or of an unknown architecture, or a weight does not fit its grid.
    """
    source = model.payload
    refuse_unfit(source)
    names = _quantized_names(source, config)
    opened, rows = _opened(out, source, data, config) if config.needs_text else (None, [])
    clip = unweighted(config.rounding.clip)
    allocation = None
    if isinstance(config.bits, Allocated):
        allocation = allocate(out, opened, rows, names, config.bits, clip)
        (out / ALLOCATION).write_text(json.dumps(allocation.as_json(), indent=1) + "\n", encoding="utf-8")
    grids = _grids(names, config.bits, allocation)
    placed: dict[str, Placed] = {}
    with out.progress("quantising", total=len(grids), unit="weights") as bar:
        if needs_text(config.rounding):
            placed |= place_layers(out, opened, rows, grids, config.rounding, bar.advance)
        opened = None  # its memory is wanted for what is written
        for name, weight in read_weights(source):
            if name in grids and name not in placed:
                placed[name] = place_alone(name, weight, grids[name], clip)
                bar.advance()
    errors = write_weights(source, out.payload, placed)
    bits = bits_of(out.payload)
    (out / BITS).write_text(json.dumps(bits, indent=1) + "\n", encoding="utf-8")
    floats = [name for name in names if name not in grids]
    if floats:
        out.warn(f"{len(floats)} matrices stay in float32 because bits gives them no grid, the first is {floats[0]}")
    evidence = evidence_of(shapes_of(source), bits, errors)
    return Draft(ModelArtifact, (*evidence, *allocation_evidence(allocation)), _summary(model, config, bits, placed))


def bits_of(folder: Path) -> dict[str, float]:
    """List the bits a number of each weight, scales and zero points counted, as the grids in the folder have them.

    Raises:
        ArtifactError: a weight's numbers are not those of its grid.
    """
    torch = need("torch", extra="compress")
    placed = read_placed(folder)
    bits = {}
    for name, weight in read_weights(folder):
        found = placed.pop(name, None)
        if found is not None and not torch.equal(found.dequantize(), weight):
            raise ArtifactError(f"{name} of {folder} does not lie on its grid; quantise the model again")
        bits[name] = FLOAT_BITS if found is None else 8 * found.num_bytes / weight.numel()
    if placed:
        raise ArtifactError(f"{folder / GRIDS} names {next(iter(placed))}, which the model lacks; quantise it again")
    return bits


def _quantized_names(source: Path, config: QuantizeConfig) -> list[str]:
    """Name the matrices that are to be on grids as far as they have one, and check each grid that they could get."""
    shapes = shapes_of(source)
    for pattern in config.keep_float:
        if not any(fnmatch(name, pattern) for name in shapes):
            raise RecipeError(f"keep_float {pattern!r} matches no weight; names look like {next(iter(shapes))!r}")
    names = [
        name
        for name, shape in shapes.items()
        if len(shape) == 2 and not any(fnmatch(name, pattern) for pattern in config.keep_float)
    ]
    if not names:
        raise RecipeError("keep_float leaves no matrix to quantise; give fewer patterns")
    if isinstance(config.bits, Allocated) and all(kind_of(name) == "head" for name in names):
        raise RecipeError(
            f"keep_float is {', '.join(config.keep_float)}, which leaves allocated bits no layer to choose for; give fewer "
            "patterns, or take uniform bits for the head alone"
        )
    for name in names:
        for grid in _possible(name, config.bits):
            try:
                num_groups(shapes[name][1], grid)
            except BurnishError as error:
                raise RecipeError(f"{name}: {error}; or leave it out by keep_float") from error
    return names


def _possible(name: str, bits: Bits | Allocated) -> tuple[Grid, ...]:
    match bits:
        case Allocated(candidates=candidates, head=head):
            if kind_of(name) != "head":
                return candidates
            return () if head is None else (head,)
        case _:
            grid = grid_for(name, bits)
            return () if grid is None else (grid,)


def _grids(names: Sequence[str], bits: Bits | Allocated, allocation: Allocation | None) -> dict[str, Grid]:
    """Give the grid of each matrix that gets one."""
    allotted = {} if allocation is None else allocation.grids
    found = {name: (allotted[name],) if name in allotted else _possible(name, bits) for name in names}
    grids = {name: grid[0] for name, grid in found.items() if grid}
    if not grids:
        raise RecipeError(
            "bits and keep_float leave no matrix to quantise; give bits a grid or keep_float fewer patterns"
        )
    return grids


def _opened(
    out: Workdir, source: Path, data: Sequence[DatasetArtifact], config: QuantizeConfig
) -> tuple[Any, list[list[int]]]:
    if len(data) != 1:
        asks = (
            "allocated bits" if isinstance(config.bits, Allocated) else choice_name(type(config.rounding)) + " rounding"
        )
        if is_weighted(config.rounding.clip):
            asks += " with a weighted clip"
        raise RecipeError(
            f"{asks} reads calibration text, and {len(data)} datasets were given; give one, or take fixed bits, nearest "
            "rounding and an unweighted clip"
        )
    rows = calibration_rows(out, source, data[0], config.calibration)
    model = open_model(source, precision="fp32")
    warn_if_unreadable(out, model, rows)
    return model, rows


def _summary(
    model: ModelArtifact, config: QuantizeConfig, bits: Mapping[str, float], placed: Mapping[str, Placed]
) -> str:
    grids = ", ".join(sorted({str(each.grid) for each in placed.values()}))
    return (
        f"{model.digest[:12]} quantised: {len(placed)} matrices on grids ({grids}), rounding "
        f"{choice_name(type(config.rounding))}; {len(bits) - len(placed)} weights in float32. "
        "Numbers of the grids in float32, with the grids beside them."
    )
