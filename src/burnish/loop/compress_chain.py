"""The compression chain: a model and text of its domain in; smaller forms of it out, each measured beside the first.

The order is that of the losses they heal: what is removed first (tokens, channels, heads, layers), what heals it
(distillation from the whole model), what rounds it (grids, or training on them), and what engines open (exports).
A recipe names the steps it wants; the others are left out.
"""

from dataclasses import dataclass, field
from typing import Literal

from burnish.artifacts import Artifact, DatasetArtifact, ModelArtifact, ReportArtifact
from burnish.compress.distill import DistillConfig, control_tune, distill
from burnish.compress.export.write import ExportConfig, Openvino, Target, export
from burnish.compress.prune import PruneConfig, prune
from burnish.compress.qat import QatConfig, qat
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.compress.sparsify import SparsifyConfig, sparsify
from burnish.compress.student import StudentConfig, make_student
from burnish.compress.vocabulary import VocabularyConfig, trim_vocabulary
from burnish.data.clean import CleanConfig
from burnish.data.collect import CollectConfig
from burnish.data.find_copies import FindCopiesConfig
from burnish.data.select import SelectConfig
from burnish.data.split import SplitConfig
from burnish.errors import RecipeError
from burnish.evaluate.exported import ExportParityConfig, check_export
from burnish.evaluate.latency import LoadConfig, load_served
from burnish.evaluate.speculative import DraftConfig, measure_draft
from burnish.evaluate.text_quality import TextQualityConfig, compare_on_text
from burnish.loop import curate as curation
from burnish.loop.curate import curate
from burnish.loop.gated import Gated, check_labels
from burnish.report.forms_page import FormsConfig, NamedForms, write_forms_page
from burnish.runtime import Run
from burnish.runtime.gates import Bound
from burnish.runtime.recipes import choice_name, given
from burnish.train.base import BaseConfig, take_base


@dataclass(frozen=True)
class CompressRecipe:
    """All values of a compression; a recipe in YAML fills them. A step that is null is left out.

    Attributes:
        collect: text of the domain, to calibrate, heal and measure on; held-out splits are never trained on.
        base: the model; `kind: local_model` takes a folder, such as a tuned model's payload in the store.
        trim: a smaller vocabulary.
        prune: fewer FFN channels, groups of heads, layers.
        student: only some of the layers; in place of `prune`.
        heal: distillation from the whole model, after pruning or for a student.
        control: train by plain cross-entropy on the same tokens as `heal`, and print both.
        draft: how many of the healed student's tokens the whole model accepts (speculative decoding).
        sparsify: zeros without smaller matrices.
        quantize: grids after training.
        qat: training on the grids, in place of `quantize`.
        export: engines to write the last form for; an engine that is named twice, with other values, is called by them
            (`gguf`, `gguf float_type=f16`).
        check: compares every export with what it was made from, in its own runtime; null leaves it out.
        load: serves the OpenVINO export, and the base for comparison; null serves nothing.
        quality: what every form is measured on.
        gates: label of a stage call -> name of a measurement -> bound.
        seed: a recipe's other seeds refer to this one (`${seed}`).
        track: trackers that follow the run beside events.jsonl.
    """

    collect: CollectConfig
    base: BaseConfig = field(default_factory=BaseConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    find_copies: FindCopiesConfig = field(default_factory=FindCopiesConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    trim: VocabularyConfig | None = None
    prune: PruneConfig | None = None
    student: StudentConfig | None = None
    heal: DistillConfig | None = None
    control: bool = False
    draft: DraftConfig | None = None
    sparsify: SparsifyConfig | None = None
    quantize: QuantizeConfig | None = None
    qat: QatConfig | None = None
    export: tuple[Target, ...] = ()
    check: ExportParityConfig | None = field(default_factory=ExportParityConfig)
    load: LoadConfig | None = None
    quality: TextQualityConfig = field(default_factory=TextQualityConfig)
    report: FormsConfig = field(default_factory=FormsConfig)
    gates: dict[str, dict[str, Bound]] = field(default_factory=dict)
    seed: int = 0
    track: tuple[Literal["mlflow", "wandb"], ...] = ()

    def __post_init__(self) -> None:
        steps = (self.trim, self.prune, self.student, self.heal, self.sparsify, self.quantize, self.qat)
        if not self.export and all(step is None for step in steps):
            raise RecipeError(
                "the recipe names no step; give at least one of trim, prune, student, heal, sparsify, quantize, qat, export"
            )
        for first, second in (("prune", "student"), ("quantize", "qat")):
            if getattr(self, first) is not None and getattr(self, second) is not None:
                raise RecipeError(f"{first} and {second} are both given; take one of them")
        if self.heal is None and (self.control or self.draft is not None):
            raise RecipeError("control and draft belong to heal, which is null; give heal, or leave them out")
        if self.load is not None and not any(isinstance(target, Openvino) for target in self.export):
            raise RecipeError("load serves the OpenVINO export; add {kind: openvino} to export, or leave load out")
        check_labels(self.gates, self.labels())

    def exports(self) -> dict[str, Target]:
        """Name the exports: by their engine, and by their values too where it is named more than once.

        Raises:
            RecipeError: two are the same.
        """
        kinds = [choice_name(type(target)) for target in self.export]
        named = {}
        for kind, target in zip(kinds, self.export, strict=True):
            values = given(target) if kinds.count(kind) > 1 else {}
            name = " ".join([kind, *(f"{key}={value}" for key, value in values.items())])
            if name in named:
                raise RecipeError(f"export names {name} twice with the same values; leave one of them out")
            named[name] = target
        return named

    def labels(self) -> tuple[str, ...]:
        """Name the stage calls that the recipe makes."""
        steps = {
            "trimmed": self.trim, "pruned": self.prune, "student": self.student,
            "control": self.heal if self.control else None, "healed": self.heal,
            "sparse": self.sparsify, "quantized": self.quantize, "trained on grid": self.qat,
        }  # fmt: skip
        exported = ("",) if self.check is None else ("", " parity")
        return (
            *curation.LABELS,
            "base",
            *(f"{form}{part}" for form, step in steps.items() if step is not None for part in ("", " quality")),
            *(("draft",) if self.draft is not None else ()),
            *(f"{name}{part}" for name in self.exports() for part in exported),
            *(("openvino load", "base openvino", "base load") if self.load is not None else ()),
            "report",
        )


def compress_chain(run: Run, recipe: CompressRecipe) -> ReportArtifact:
    """Take the text and the model, go the steps, measure every form, write the page.

    Raises:
        GateFailed: a measurement is outside the recipe's bound; what was sealed stays.
    """
    gated = Gated(run, recipe.gates)
    data = curate(gated, recipe.collect, recipe)[-1]
    base = gated("base", take_base, config=recipe.base)
    forms = _Forms(gated, recipe, data, [data], [])
    forms.add("base", base)
    whole = _cut(forms, base)
    last = _rounded(forms, _healed(forms, whole), whole)
    _exported(forms, base, last)
    return gated("report", write_forms_page, *forms.made, config=NamedForms(recipe.report, tuple(forms.names)))


@dataclass
class _Forms:
    """What was made so far, for the page; every form but the first is read beside the first."""

    gated: Gated
    recipe: CompressRecipe
    data: DatasetArtifact
    made: list[Artifact]
    names: list[str]

    def add(self, name: str, model: ModelArtifact, *, reference: ModelArtifact | None = None) -> ModelArtifact:
        self.names.append(name)
        self.made.append(model)
        if reference is not None:
            config = self.recipe.quality
            self.made.append(self.gated(f"{name} quality", compare_on_text, reference, model, self.data, config=config))
        return model

    @property
    def base(self) -> ModelArtifact:
        return next(each for each in self.made if isinstance(each, ModelArtifact))


def _cut(forms: _Forms, model: ModelArtifact) -> tuple[ModelArtifact, ModelArtifact]:
    """Trim, and prune or take a student; give the teacher that heals (it shares the tokenizer) and what was left."""
    gated, recipe, data, base = forms.gated, forms.recipe, forms.data, forms.base
    if recipe.trim is not None:
        model = gated("trimmed", trim_vocabulary, model, data, config=recipe.trim)
        forms.add("trimmed", model, reference=base)
    teacher = model
    if recipe.prune is not None:
        model = gated("pruned", prune, model, data, config=recipe.prune)
        forms.add("pruned", model, reference=base)
    if recipe.student is not None:
        model = gated("student", make_student, model, config=recipe.student)
        forms.add("student", model, reference=base)
    return teacher, model


def _healed(forms: _Forms, whole: tuple[ModelArtifact, ModelArtifact]) -> ModelArtifact:
    gated, recipe, data, base = forms.gated, forms.recipe, forms.data, forms.base
    teacher, model = whole
    if recipe.heal is not None:
        if recipe.control:
            tuned = gated("control", control_tune, teacher, model, data, config=recipe.heal)
            forms.add("control", tuned, reference=base)
        model = gated("healed", distill, teacher, model, data, config=recipe.heal)
        forms.add("healed", model, reference=base)
        if recipe.draft is not None:
            forms.made.append(gated("draft", measure_draft, teacher, model, data, config=recipe.draft))
    return model


def _rounded(forms: _Forms, model: ModelArtifact, whole: tuple[ModelArtifact, ModelArtifact]) -> ModelArtifact:
    gated, recipe, data, base = forms.gated, forms.recipe, forms.data, forms.base
    if recipe.sparsify is not None:
        model = gated("sparse", sparsify, model, data, config=recipe.sparsify)
        forms.add("sparse", model, reference=base)
    if recipe.quantize is not None:
        text = (data,) if recipe.quantize.needs_text else ()
        model = gated("quantized", quantize, model, *text, config=recipe.quantize)
        forms.add("quantized", model, reference=base)
    if recipe.qat is not None:
        model = gated("trained on grid", qat, model, whole[0], data, config=recipe.qat)
        forms.add("trained on grid", model, reference=base)
    return model


def _exported(forms: _Forms, base: ModelArtifact, model: ModelArtifact) -> None:
    gated, recipe, data = forms.gated, forms.recipe, forms.data
    for name, target in recipe.exports().items():
        written = gated(name, export, model, config=ExportConfig(target))
        forms.add(name, written)
        if recipe.check is not None:
            forms.made.append(gated(f"{name} parity", check_export, model, written, data, config=recipe.check))
        if recipe.load is not None and isinstance(target, Openvino):
            forms.made.append(gated("openvino load", load_served, written, data, config=recipe.load))
            plain = gated("base openvino", export, base, config=ExportConfig(target))
            forms.add("base openvino", plain)
            forms.made.append(gated("base load", load_served, plain, data, config=recipe.load))
