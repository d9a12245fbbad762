"""The model that an export reads: a Hugging Face folder, with or without grids beside its weights."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.compress.grids import Placed
from burnish.compress.placed import GRIDS, read_placed
from burnish.compress.weights import config_of, stored_in
from burnish.errors import ArtifactError, BurnishError
from burnish.nn.decoder import Decoder
from burnish.runtime import need

if TYPE_CHECKING:
    import numpy as np

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"


@dataclass(frozen=True)
class Source:
    """A decoder's folder, its weights read one at a time.

    Attributes:
        config: its config.json.
        files: weight -> the safetensors shard that holds it; a tied head is not listed.
        placed: the weights that lie on grids.
    """

    folder: Path
    config: dict[str, Any]
    shape: Decoder
    files: dict[str, Path] = field(repr=False)
    placed: dict[str, Placed] = field(repr=False)

    @staticmethod
    def read(folder: Path) -> "Source":
        """Open a folder.

        Raises:
            BurnishError: no export knows the architecture, or there are no weights of a model.
            ArtifactError: a grid belongs to no weight.
        """
        files = stored_in(folder)
        config = config_of(folder)
        shape = Decoder.from_config(config)
        placed = read_placed(folder)
        lost = sorted(set(placed) - set(files))
        if lost:
            raise ArtifactError(f"{folder / GRIDS} names {lost[0]}, which the model lacks; quantise the model again")
        return Source(folder, config, shape, files, placed)

    def weight(self, name: str) -> "np.ndarray | Placed":
        """Read one weight: what lies on a grid as `Placed`, anything else as float32.

        Raises:
            ArtifactError: the model's numbers are not those of its grid, so that it was changed after it was quantised.
            BurnishError: a number is not finite.
        """
        import numpy as np

        numbers: np.ndarray = self.tensor(name).float().numpy()
        if not np.isfinite(numbers).all():
            raise BurnishError(f"{name} holds numbers that are not finite; no export is made of a broken model")
        on_grid = self.placed.get(name)
        if on_grid is None:
            return numbers
        if not np.array_equal(on_grid.dequantize().numpy(), numbers):
            raise ArtifactError(f"{name} does not lie on its grid: the model was changed later; quantise it again")
        return on_grid

    def tensor(self, name: str) -> Any:
        """Read one weight as it is stored."""
        with need("safetensors", extra="compress").safe_open(self.files[name], framework="pt") as shard:
            return shard.get_tensor(name)

    def array(self, name: str) -> "np.ndarray":
        """Read a weight that a format has only a float place for, such as a norm or a bias.

        Raises:
            BurnishError: it lies on a grid.
        """
        weight = self.weight(name)
        if isinstance(weight, Placed):
            raise BurnishError(
                f"{name} is on a grid ({weight.grid}); norms and biases stay in float: quantise without it"
            )
        return weight


@dataclass
class Written:
    """What an export wrote.

    Attributes:
        forms: weight -> the form in which it lies in the file.
        float_kept: weights on a grid for which the format has no place there; their exact numbers lie in float.
        repeated_bytes: bytes that repeated scales cost.
        rounding: weight -> error of what the format rounded, Frobenius norm over that of the weight.
        warnings: what an engine may refuse, in words.
    """

    forms: dict[str, str] = field(default_factory=dict)
    float_kept: list[str] = field(default_factory=list)
    repeated_bytes: int = 0
    rounding: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def note_rounding(self, name: str, found: "np.ndarray", exact: "np.ndarray") -> None:
        """Measure how far a stored weight is from what it was; an exact one leaves no trace."""
        import numpy as np

        norm = float(np.linalg.norm(exact))
        error = float(np.linalg.norm(found - exact))
        if error:
            self.rounding[name] = error / norm
