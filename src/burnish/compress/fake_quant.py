"""Fake quantisation: weights that compute as if they lay on their grid, and learn as if they did not.

Source: straight-through gradients of Bengio et al. 2013, arXiv 1308.3432; learnt ranges of LSQ (Esser et
al. 2019, arXiv 1902.08153, equation 3). Ours learns each scale's factor, which starts at 1, so that one rate suits
scales of all sizes; LSQ's gradient scale has no place then, since Adam takes it out again.

Legend: O output rows, I input columns, G groups of a row, R rank, T tokens.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from burnish.compress.grids import Fp8Grid, Grid, Placed, round_to
from burnish.errors import RecipeError
from burnish.runtime import need

_MIN_FACTOR = 0.05  # of a learnt range
_FLOAT16_TINY = 2.0**-14
_FP8_MOST = 448.0  # of e4m3


@dataclass(frozen=True)
class LoraQat:
    """Train two thin matrices beside each weight, which stays: for models too large to train whole.

    What is rounded is the sum of the weight and their product, so nothing is lost when they are merged.

    Attributes:
        rank: of the matrices.
        alpha: the product counts alpha / rank. Source: Hu et al. 2022, arXiv 2106.09685, section 4.1.
    """

    rank: int = 16
    alpha: float = 32.0

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise RecipeError(
                f"rank is {self.rank}, alpha {self.alpha}; the first must be at least 1, the second above 0"
            )


@dataclass(frozen=True)
class Watched:
    """A weight under fake quantisation.

    Attributes:
        name: of the weight, as transformers names it.
        modules: that have it: two where embedding and head are tied.
    """

    name: str
    modules: tuple[Any, ...]

    @property
    def latent(self) -> Any:
        """Give the weight that is rounded, before LoRA."""
        return self.modules[0].latent_OI

    def placed(self) -> Placed:
        """Round the trained weight to its grid, as the newest forward pass did."""
        torch = need("torch", extra="compress")
        with torch.no_grad():
            fake = self.modules[0].fake
            scale_OG = fake.scale_now().to(torch.float32 if isinstance(fake.grid, Fp8Grid) else torch.float16)
            zero_OG = None if fake.zero_OG is None else fake.zero_OG.to(torch.uint8)
            weight_OI = fake.merged(self.latent)
            return Placed(fake.grid, round_to(weight_OI, scale_OG, zero_OG, fake.grid), scale_OG, zero_OG)


def fake_quantize(
    name: str,
    modules: tuple[Any, ...],
    start: Placed,
    *,
    learns_range: bool = True,
    lora: LoraQat | None = None,
    input_bits: int | None = None,
) -> Watched:
    """Let modules compute with their weight on a grid.

    The weight becomes float32, whatever it was, since a step is much smaller than the grid's; with LoRA it stays as it is
    and does not train. What the modules see of it is in the precision that it had. The modules keep their names and get
    another class, the same for all, where torch's parametrisations make one a module: compiled layers share their code.

    Args:
        modules: linear layers and embeddings that share the weight.
        start: scales and zero points to begin with; the values come from the modules' own weight.
        input_bits: round what linear layers are given to integers of so many bits too, with a scale a token.
    """
    torch = need("torch", extra="compress")
    weight = modules[0].weight
    kept = weight.detach() if lora is not None else weight.detach().float()
    shared = torch.nn.Parameter(kept, requires_grad=lora is None)
    fake = _fake_class()(start, weight.dtype, learns_range, lora, tuple(weight.shape)).to(weight.device)
    for module in modules:
        del module.weight
        module.latent_OI, module.fake, module.input_bits = shared, fake, input_bits
        module.__class__ = _linear_class() if isinstance(module, torch.nn.Linear) else _embedding_class()
    return Watched(name, modules)


def range_names(model: Any) -> tuple[str, ...]:
    """Name the parameters that are learnt ranges."""
    return tuple(name for name, _ in model.named_parameters() if name.endswith(".change_OG"))


def matrices(model: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give each matrix of linear layers and embeddings by its name, with the modules that share it."""
    torch = need("torch", extra="compress")
    found: dict[int, tuple[str, list[Any]]] = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
            found.setdefault(id(module.weight), (f"{name}.weight", []))[1].append(module)
    for name, modules in found.values():
        yield name, tuple(modules)


@functools.cache
def _linear_class() -> Any:
    torch = need("torch", extra="compress")

    class FakeQuantLinear(torch.nn.Linear):  # type: ignore[misc, name-defined]
        @property
        def weight(self) -> Any:
            return self.fake(self.latent_OI)

        def forward(self, x_TI: Any) -> Any:
            if self.input_bits is not None:
                x_TI = rounded_inputs(x_TI, self.input_bits)
            return torch.nn.functional.linear(x_TI, self.weight, self.bias)

    return FakeQuantLinear


@functools.cache
def _embedding_class() -> Any:
    torch = need("torch", extra="compress")

    class FakeQuantEmbedding(torch.nn.Embedding):  # type: ignore[misc, name-defined]
        @property
        def weight(self) -> Any:
            return self.fake(self.latent_OI)

    return FakeQuantEmbedding


@functools.cache
def _fake_class() -> Any:
    """Make the module that rounds; torch is imported no earlier."""
    torch = need("torch", extra="compress")

    class FakeQuant(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Round a weight to its grid, and pass the gradient on as if it had not been.

        Attributes:
            grid: of the weight.
            limits: least and greatest value; None of floats.
            scale_OG: float32, at the start.
            zero_OG: float32 or None.
            change_OG: learnt: the scale is (1 + change) times that of the start.
        """

        def __init__(
            self, start: Placed, dtype: Any, learns_range: bool, lora: LoraQat | None, shape: tuple[int, int]
        ) -> None:
            super().__init__()
            self.grid: Grid = start.grid
            self.limits = None if isinstance(start.grid, Fp8Grid) else (start.grid.least, start.grid.most)
            self.dtype, self.fp8 = dtype, torch.float8_e4m3fn
            self.register_buffer("scale_OG", start.scale_OG.float())
            self.register_buffer("zero_OG", None if start.zero_OG is None else start.zero_OG.float())
            change = torch.nn.Parameter(torch.zeros_like(self.scale_OG)) if learns_range else None
            self.register_parameter("change_OG", change)
            self.lora_scale = 0.0 if lora is None else lora.alpha / lora.rank
            rank = 0 if lora is None else lora.rank
            has = lora is not None
            self.register_parameter("lora_RI", torch.nn.Parameter(_uniform(rank, shape[1])) if has else None)
            self.register_parameter("lora_OR", torch.nn.Parameter(torch.zeros(shape[0], rank)) if has else None)

        def forward(self, weight_OI: Any) -> Any:
            merged_OI = self.merged(weight_OI)
            scale_OG1 = self.scale_now()[..., None]
            scaled_OGS = merged_OI.unflatten(1, (scale_OG1.shape[1], -1)) / scale_OG1
            if self.limits is None:
                values_OGS = _floats(scaled_OGS, self.fp8)
            else:
                values_OGS = _integers(scaled_OGS, self.zero_OG, self.limits)
            return (values_OGS * scale_OG1).flatten(1).to(self.dtype)

        def merged(self, weight_OI: Any) -> Any:
            """Give the float32 weight that is rounded."""
            if self.lora_RI is None:
                return weight_OI.float()
            return weight_OI.float() + self.lora_scale * (self.lora_OR @ self.lora_RI)

        def scale_now(self) -> Any:
            """Give the scales as they are stored, in float32 with a gradient to what is learnt."""
            if self.change_OG is None:
                return self.scale_OG
            exact_OG = self.scale_OG * (1 + self.change_OG).clamp_min(_MIN_FACTOR)
            return exact_OG if self.limits is None else _stored(exact_OG)

    return FakeQuant


# Compiled code goes through the functions below: they ask for no module, which would break its graphs.


def _stored(exact_OG: Any) -> Any:
    """Round scales to float16, in which integer grids keep them, away from zero; the gradient passes."""
    stored_OG = exact_OG.detach().half().float()
    stored_OG = stored_OG.where(stored_OG.abs() >= _FLOAT16_TINY, _FLOAT16_TINY)
    return exact_OG + (stored_OG - exact_OG).detach()


def _integers(scaled_OGS: Any, zero_OG: Any, limits: tuple[int, int]) -> Any:
    """Round to the grid's values less the zero point; outside of the range the gradient is the scale's alone."""
    zero_OG1 = 0.0 if zero_OG is None else zero_OG[..., None]
    rounded_OGS = scaled_OGS + (scaled_OGS.round() - scaled_OGS).detach()
    return (rounded_OGS + zero_OG1).clamp(*limits) - zero_OG1


def _floats(scaled_OGS: Any, dtype: Any) -> Any:
    """Round to eight-bit floats."""
    held_OGS = scaled_OGS.clamp(-_FP8_MOST, _FP8_MOST)
    return held_OGS + (held_OGS.detach().to(dtype).float() - held_OGS).detach()


def rounded_inputs(x_TI: Any, num_bits: int) -> Any:
    """Round what a layer is given to integers with a scale a token, straight through for gradients."""
    most = (1 << (num_bits - 1)) - 1
    exact_TI = x_TI.float()
    still_TI = exact_TI.detach()
    scale_T1 = (still_TI.abs().amax(-1, keepdim=True) / most).clamp_min(1e-12)
    return (exact_TI + ((still_TI / scale_T1).round() * scale_T1 - still_TI)).to(x_TI.dtype)


def _uniform(rank: int, num_inputs: int) -> Any:
    torch = need("torch", extra="compress")
    weight = torch.empty(rank, num_inputs)
    torch.nn.init.kaiming_uniform_(weight, a=5**0.5)
    return weight
