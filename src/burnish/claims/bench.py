"""The bench of the compression claims: one model, one text, and each smaller form read and raced against the whole."""

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.artifacts import Artifact, DatasetArtifact, Measurement, ModelArtifact, ReportArtifact
from burnish.claims.forms import ReadConfig, compared, named, read_form
from burnish.compress.export.write import ExportConfig, Openvino, export
from burnish.data.clean import CleanConfig, clean
from burnish.data.collect import CollectConfig, collect
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.select import SelectConfig, select
from burnish.data.sources import Asset
from burnish.data.split import ByCount, SplitConfig, split
from burnish.errors import RecipeError
from burnish.evaluate.latency import LoadConfig
from burnish.evaluate.race import RaceConfig, race
from burnish.learn.loop import LoopConfig
from burnish.nn.weights import device
from burnish.runtime import Run
from burnish.train.base import BaseConfig, take_base

SETTING = "SmolLM2-135M on held-out manual pages, read and served by OpenVINO on this CPU, beside its float32 form"
NOTES = (
    "The guides name neither model, text nor machine; their points are of an unnamed measure, ours are of next tokens named "
    "rightly on text that was not trained on.",
    "Speed is set beside the float32 weights in the same engine, which computes in bfloat16 where the processor can; the "
    "guides do not say what theirs is beside.",
)

_SERVED = Openvino()


@dataclass(frozen=True)
class FormsConfig:
    """Nothing to choose but the seed of the intervals."""

    seed: int = 0


@dataclass(frozen=True)
class Bench:
    """What all forms share.

    Attributes:
        whole: the float32 weights as they are served.
        reading: what the whole model makes of the held-out text, in exact arithmetic.
    """

    run: Run
    claim: str
    seed: int
    data: DatasetArtifact
    base: ModelArtifact
    whole: ModelArtifact
    reading: ReportArtifact

    @staticmethod
    def of(run: Run, claim: str, seed: int) -> "Bench":
        """Take the base and the text, and read the text with the base."""
        raw = run(collect, config=CollectConfig((Asset(name="manpages"),), seed=seed), label=f"{claim} collect")
        cleaned = run(clean, raw, config=CleanConfig(languages=("en",)), label=f"{claim} clean")
        copies = run(find_copies, cleaned, config=FindCopiesConfig(), label=f"{claim} copies")
        good = run(select, cleaned, copies, config=SelectConfig(), label=f"{claim} select")
        data = run(split, good, config=SplitConfig(ByCount(20, 40), seed=seed), label=f"{claim} split")
        base = run(take_base, config=BaseConfig(), label=f"{claim} base")
        whole = run(export, base, config=ExportConfig(Openvino()), label=f"{claim} base served")
        reading = run(read_form, whole, data, config=ReadConfig(arithmetic="exact"), label=f"{claim} base read")
        return Bench(run, claim, seed, data, base, whole, reading)

    def form(self, name: str, model: ModelArtifact, target: Openvino = _SERVED) -> tuple[Artifact, ...]:
        """Write a form for the engine, read the text with it there, and race it against the whole model."""
        served = self.run(export, model, config=ExportConfig(target), label=f"{self.claim} {name} served")
        label = f"{self.claim} {name}"
        read = self.run(read_form, served, self.data, config=ReadConfig(), label=f"{label} read")
        load = LoadConfig(concurrency=8, num_requests=24, max_tokens=64, max_prompt_characters=500, seed=self.seed)
        config = RaceConfig(load)
        raced = self.run(race, self.whole, served, self.data, config=config, label=f"{label} race")
        return read, raced


def evidence_of(names: Sequence[str], reports: Sequence[ReportArtifact], *, seed: int) -> tuple[Measurement, ...]:
    """Name what was measured of each form.

    Args:
        names: of the forms.
        reports: the whole model's reading, then a reading and a race for each form.

    Raises:
        RecipeError: not as many reports.
    """
    if len(reports) != 1 + 2 * len(names):
        raise RecipeError(f"{len(reports)} reports for {len(names)} forms; give the whole's, then two for each")
    whole, *rest = reports
    evidence: list[Measurement] = []
    for name, read, raced in zip(names, rest[::2], rest[1::2], strict=True):
        evidence += named(name, (*compared(whole, read, seed=seed), *raced.evidence))
    return tuple(evidence)


def budget(num_steps: int, learning_rate: float) -> LoopConfig:
    """Give a budget of training: rows of 1,024 tokens; on a GPU sixteen a step, and twenty times as many steps."""
    on_gpu = device() == "cuda"
    return LoopConfig(
        num_steps=20 * num_steps if on_gpu else num_steps,
        row_tokens=1024,
        rows_per_step=16 if on_gpu else 1,
        learning_rate=learning_rate,
        snapshot_every_steps=200 if on_gpu else 20,
        validate_every_steps=num_steps,
    )


def tokens_of(loop: LoopConfig) -> int:
    """Say how many tokens a budget is."""
    return loop.num_steps * loop.row_tokens * loop.rows_per_step
