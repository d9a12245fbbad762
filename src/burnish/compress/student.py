"""Student: a model with fewer layers, made of its teacher's own."""

from dataclasses import dataclass
from typing import Any

from burnish.artifacts import Draft, Measurement, ModelArtifact
from burnish.compress.pruning.cut import cut_layers
from burnish.compress.pruning.layout import check_prunable
from burnish.compress.sizes import size_evidence
from burnish.errors import RecipeError
from burnish.nn.frozen import num_weights
from burnish.nn.weights import copy_tokenizer, open_model, save_model
from burnish.runtime import Workdir


@dataclass(frozen=True)
class StudentConfig:
    """Say which layers are kept.

    Source: evenly spaced layers as in DistilBERT (Sanh et al. 2019, arXiv 1910.01108, section 3), here with the first
    and the last, which change the most (Men et al. 2024, arXiv 2403.03853).

    Attributes:
        num_layers: kept, evenly spaced, the first and the last among them.
        layers: indices to keep instead, from 0 in rising order; `num_layers` is not looked at then.
    """

    num_layers: int = 4
    layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.num_layers < 2 and not self.layers:
            raise RecipeError(f"num_layers is {self.num_layers}; it must be at least 2, the first layer and the last")
        if list(self.layers) != sorted(set(self.layers)) or min(self.layers, default=0) < 0:
            raise RecipeError(f"layers is {self.layers}; indices from 0 in rising order, each once")

    def kept(self, num_layers: int) -> list[int]:
        """Give the indices to keep of so many layers.

        Raises:
            RecipeError: there are fewer layers than asked for.
        """
        wanted = self.layers or tuple(
            round(at * (num_layers - 1) / (self.num_layers - 1)) for at in range(self.num_layers)
        )
        if len(wanted) > num_layers or wanted[-1] >= num_layers:
            asked = f"layers {self.layers}" if self.layers else f"num_layers {self.num_layers}"
            raise RecipeError(f"the student asks for {asked}; the teacher has {num_layers} layers")
        return list(wanted)


def make_student(out: Workdir, teacher: ModelArtifact, *, config: StudentConfig) -> Draft[ModelArtifact]:
    """Write a model of some of the teacher's layers, float32, with its embedding, head and tokenizer.

    Raises:
        RecipeError: there are fewer layers than asked for.
        BurnishError: no dense decoder of a known family, an adapter, or numbers on a grid.
    """
    check_prunable(teacher.payload)
    model = open_model(teacher.payload, precision="fp32")
    before = num_weights(model)
    with out.progress("choosing layers", total=None, unit="layers"):
        kept = keep_layers(model, config)
    after = num_weights(model)
    save_model(model, out.payload)
    copy_tokenizer(teacher.payload, out.payload)
    evidence = (
        Measurement("num_layers", len(kept), "1", 1, how=f"layers {', '.join(map(str, kept))} of the teacher"),
        *size_evidence(after, out.payload),
        Measurement("kept_weights_frac", after / before, "1", 1, how="of the teacher's"),
    )
    return Draft(ModelArtifact, evidence, f"Layers {', '.join(map(str, kept))} of {teacher.digest[:12]}, untrained.")


def keep_layers(model: Any, config: StudentConfig) -> list[int]:
    """Take layers away in place; give the indices of those that stay."""
    kept = config.kept(model.config.num_hidden_layers)
    cut_layers(model, kept)
    return kept
