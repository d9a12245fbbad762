"""The quantisation matrix: one model, several schemes; loss, size and speed of each, measured in the server."""

from dataclasses import dataclass, field
from typing import Literal

from burnish.artifacts import Artifact, ModelArtifact, ReportArtifact
from burnish.compress.export.write import ExportConfig, Openvino, export
from burnish.compress.qat import QatConfig, qat
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.data.clean import CleanConfig
from burnish.data.collect import CollectConfig
from burnish.data.find_copies import FindCopiesConfig
from burnish.data.select import SelectConfig
from burnish.data.split import SplitConfig
from burnish.errors import RecipeError
from burnish.evaluate.latency import LoadConfig, load_served
from burnish.evaluate.served_text import ServedTextConfig, compare_served, read_text
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
        trained: name -> how to train on the grid; likewise.
        float_activations: schemes that are served a second time, their activations left unrounded.
        quality: what the loss is measured on.
        load: what each scheme serves.
        gates: label of a stage call, such as "int4 quality" -> name of a measurement -> bound.
        seed: a recipe's other seeds refer to this one (`${seed}`).
        track: trackers that follow the run beside events.jsonl.
    """

    collect: CollectConfig
    schemes: dict[str, QuantizeConfig] = field(default_factory=dict)
    trained: dict[str, QatConfig] = field(default_factory=dict)
    float_activations: tuple[str, ...] = ()
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
        named = [*self.schemes, *self.trained]
        if not named:
            raise RecipeError("schemes and trained are empty; name at least one, as schemes: {int8: {}}")
        for name in (*(name for name in self.schemes if name in self.trained), *self.float_activations):
            if name not in named or named.count(name) > 1:
                wrong = "is in schemes and in trained; rename one" if name in named else "is no scheme"
                raise RecipeError(f"{name!r} {wrong}; there are: {', '.join(dict.fromkeys(named))}")
        if FLOAT in named:
            raise RecipeError(f"a scheme is called {FLOAT}, which is what the unquantised model is called; rename it")
        check_labels(self.gates, self.labels())

    def labels(self) -> tuple[str, ...]:
        """Name the stage calls that the recipe makes."""
        served = ("served", "text", "load")
        rows = [
            (FLOAT, served),
            *((scheme, ("quantized", "quality", *served)) for scheme in self.schemes),
            *((scheme, ("trained", "quality", *served)) for scheme in self.trained),
            *((_in_float(scheme), served) for scheme in self.float_activations),
        ]
        calls = (f"{name} {part}" for name, parts in rows for part in parts)
        return (*curation.LABELS, "base", "base reading", *calls, "report")


def matrix_chain(run: Run, recipe: MatrixRecipe) -> ReportArtifact:
    """Quantise by every scheme, read held-out text with each, in memory and served, load each, and write the page.

    Raises:
        GateFailed: a measurement is outside the recipe's bound; what was sealed stays.
    """
    gated = Gated(run, recipe.gates)
    data = curate(gated, recipe.collect, recipe)[-1]
    base = gated("base", take_base, config=recipe.base)
    reading = gated("base reading", read_text, base, data, config=recipe.quality)
    made: list[Artifact] = [data]
    names: list[str] = []

    def serve(name: str, model: ModelArtifact, target: Openvino) -> None:
        served = gated(f"{name} served", export, model, config=ExportConfig(target))
        text = gated(f"{name} text", compare_served, reading, served, config=ServedTextConfig(recipe.seed))
        load = gated(f"{name} load", load_served, served, data, config=recipe.load)
        made.extend((served, text, load))
        names.append(name)

    def add(name: str, model: ModelArtifact) -> None:
        made.append(model)
        names.append(name)
        if name != FLOAT:
            made.append(gated(f"{name} quality", compare_on_text, base, model, data, config=recipe.quality))
        serve(name, model, Openvino())
        if name in recipe.float_activations:
            serve(_in_float(name), model, Openvino("float"))

    add(FLOAT, base)
    for name, scheme in recipe.schemes.items():
        text = (data,) if scheme.needs_text else ()
        add(name, gated(f"{name} quantized", quantize, base, *text, config=scheme))
    for name, training in recipe.trained.items():
        add(name, gated(f"{name} trained", qat, base, base, data, config=training))
    return gated("report", write_forms_page, *made, config=NamedForms(recipe.report, tuple(names)))


def _in_float(scheme: str) -> str:
    return f"{scheme}, float activations"
