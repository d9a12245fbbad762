"""The quantisation matrix: one model, several schemes; loss, size and speed of each, measured in the server."""

from dataclasses import dataclass, field
from typing import Literal

from burnish.artifacts import Artifact, ModelArtifact, ReportArtifact
from burnish.compress.export.write import ExportConfig, Openvino, export
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.data.clean import CleanConfig
from burnish.data.collect import CollectConfig
from burnish.data.find_copies import FindCopiesConfig
from burnish.data.select import SelectConfig
from burnish.data.split import SplitConfig
from burnish.errors import RecipeError
from burnish.evaluate.latency import LoadConfig, load_served
from burnish.evaluate.text_quality import TextQualityConfig, compare_on_text
from burnish.loop import curate as curation
from burnish.loop.curate import curate
from burnish.loop.gated import Gated, check_labels
from burnish.report.forms_page import FormsConfig, NamedForms, write_forms_page
from burnish.runtime import Run
from burnish.runtime.gates import Bound
from burnish.train.base import BaseConfig, take_base

FLOAT = "float32"


@dataclass(frozen=True)
class MatrixRecipe:
    """All values of a matrix; a recipe in YAML fills them.

    Attributes:
        collect: text: to calibrate on, and to measure the loss on.
        schemes: name -> how to quantise; each is written for OpenVINO and served.
        quality: what the loss is measured on.
        load: what each scheme serves.
        gates: label of a stage call, such as "int4 quality" -> name of a measurement -> bound.
        seed: a recipe's other seeds refer to this one (`${seed}`).
        track: trackers that follow the run beside events.jsonl.
    """

    collect: CollectConfig
    schemes: dict[str, QuantizeConfig]
    base: BaseConfig = field(default_factory=BaseConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    find_copies: FindCopiesConfig = field(default_factory=FindCopiesConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    quality: TextQualityConfig = field(default_factory=TextQualityConfig)
    load: LoadConfig = field(default_factory=LoadConfig)
    report: FormsConfig = field(default_factory=lambda: FormsConfig("Which way to quantise"))
    gates: dict[str, dict[str, Bound]] = field(default_factory=dict)
    seed: int = 0
    track: tuple[Literal["mlflow", "wandb"], ...] = ()

    def __post_init__(self) -> None:
        if not self.schemes:
            raise RecipeError("schemes is empty; name at least one, as int8: {}")
        if FLOAT in self.schemes:
            raise RecipeError(f"a scheme is called {FLOAT}, which is what the unquantised model is called; rename it")
        check_labels(self.gates, self.labels())

    def labels(self) -> tuple[str, ...]:
        """Name the stage calls that the recipe makes."""
        served = ("served", "load")
        rows = [(FLOAT, served), *((scheme, ("quantized", "quality", *served)) for scheme in self.schemes)]
        return (*curation.LABELS, "base", *(f"{name} {part}" for name, parts in rows for part in parts), "report")


def matrix_chain(run: Run, recipe: MatrixRecipe) -> ReportArtifact:
    """Quantise by every scheme, read held-out text with each, serve each, and write the page.

    Raises:
        GateFailed: a measurement is outside the recipe's bound; what was sealed stays.
    """
    gated = Gated(run, recipe.gates)
    data = curate(gated, recipe.collect, recipe)[-1]
    base = gated("base", take_base, config=recipe.base)
    made: list[Artifact] = [data]
    names: list[str] = []

    def serve(name: str, model: ModelArtifact) -> None:
        served = gated(f"{name} served", export, model, config=ExportConfig(Openvino()))
        load = gated(f"{name} load", load_served, served, data, config=recipe.load)
        names.extend((name, name))
        made.extend((model, served, load))

    serve(FLOAT, base)
    for name, scheme in recipe.schemes.items():
        text = (data,) if scheme.needs_text else ()
        quantized = gated(f"{name} quantized", quantize, base, *text, config=scheme)
        made.append(gated(f"{name} quality", compare_on_text, base, quantized, data, config=recipe.quality))
        serve(name, quantized)
    return gated("report", write_forms_page, *made, config=NamedForms(recipe.report, tuple(names)))
