"""Bits: which grid each weight of a decoder goes to, by what the weight does."""

from dataclasses import dataclass, field
from typing import Literal, assert_never

from burnish.compress.grids import Grid, IntGrid
from burnish.errors import RecipeError

_ATTENTION, _FFN = ".self_attn.", ".mlp."
_HEADS = ("lm_head.weight", "embed_tokens.weight")


@dataclass(frozen=True)
class Uniform:
    """Put every linear layer of the decoder's blocks on one grid.

    Attributes:
        grid: of attention and FFN alike.
        head: of the output head and the embedding (one matrix where they are tied); null leaves them as floats.
    """

    grid: Grid = field(default_factory=lambda: IntGrid(4, 32))
    head: Grid | None = field(default_factory=IntGrid)


@dataclass(frozen=True)
class ByKind:
    """Give attention and FFN a grid each, or leave one of them as floats.

    Which half stands fewer bits differs from model to model: measure both before choosing.

    Attributes:
        attention: of q, k, v and o projections; null leaves them as floats.
        ffn: of gate, up and down projections; null leaves them as floats.
        head: as of `Uniform`.
    """

    attention: Grid | None = field(default_factory=lambda: IntGrid(8))
    ffn: Grid | None = field(default_factory=lambda: IntGrid(4, 32))
    head: Grid | None = field(default_factory=IntGrid)

    def __post_init__(self) -> None:
        if self.attention is None and self.ffn is None and self.head is None:
            raise RecipeError("attention, ffn and head are all null, so nothing would be quantised; give one a grid")


Bits = Uniform | ByKind


def grid_for(name: str, bits: Bits) -> Grid | None:
    """Give the grid of a weight, None where it stays as it is: norms, biases, and what `bits` leaves out.

    Args:
        name: of a parameter as transformers names it, such as "model.layers.0.mlp.up_proj.weight".
    """
    if not name.endswith("_proj.weight"):
        return bits.head if name.endswith(_HEADS) else None
    match bits:
        case Uniform(grid=grid):
            return grid if _ATTENTION in name or _FFN in name else None
        case ByKind(attention=attention, ffn=ffn):
            return attention if _ATTENTION in name else ffn if _FFN in name else None
        case _:
            assert_never(bits)


def kind_of(name: str) -> Literal["attention", "ffn", "head", "other"]:
    """Say what a weight belongs to; norms and biases of the blocks go with none of the three."""
    if name.endswith(_HEADS):
        return "head"
    if not name.endswith("_proj.weight"):
        return "other"
    return "attention" if _ATTENTION in name else "ffn" if _FFN in name else "other"
