"""C2: does training on a grid of 8-bit attention and 4-bit FFN lose 0.05 %, at a quarter of the size and 3.5 times the speed?"""

from burnish.artifacts import Draft, ModelArtifact, ReportArtifact
from burnish.claims.bench import NOTES, SETTING, Bench, FormsConfig, budget, evidence_of, tokens_of
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.compress.bits import ByKind
from burnish.compress.qat import QatConfig, qat
from burnish.runtime import Run, Workdir

FORM = "trained"
_STEPS, _RATE = 60, 2e-5


def trained_on_grid(bench: Bench) -> ModelArtifact:
    """Train the base on the published grid, inputs of 8 bits as the engine rounds them."""
    config = QatConfig(
        bits=ByKind(), activation_bits=8, loop=budget(_STEPS, _RATE), validation_records=10, seed=bench.seed
    )
    return bench.run(qat, bench.base, bench.base, bench.data, config=config, label=f"{bench.claim} trained on grid")


def measure_qat(out: Workdir, *reports: ReportArtifact, config: FormsConfig) -> Draft[ReportArtifact]:
    """Set the trained form beside the whole model; reports as of `evidence_of`."""
    evidence = evidence_of((FORM,), reports, seed=config.seed)
    tokens = tokens_of(budget(_STEPS, _RATE))
    notes = (
        f"Attention in 8 bits, FFN in 4 bits in groups of 32, head and embedding in 8; trained on {tokens:,} tokens towards "
        "the whole model's own predictions. Which half bears fewer bits differs from model to model: C3's matrix shows "
        "both.",
        *NOTES,
    )
    write_reading(out, CLAIM.id, f"{SETTING}; seed {config.seed}.", notes)
    return Draft(ReportArtifact, evidence, f"Attention 8 and FFN 4 bits, trained on {tokens:,} tokens.")


def _measure(run: Run, seed: int) -> ReportArtifact:
    bench = Bench.of(run, CLAIM.id, seed)
    form = bench.form(FORM, trained_on_grid(bench))
    return run(measure_qat, bench.reading, *form, config=FormsConfig(seed), label="C2")


CLAIM = Claim(
    id="C2",
    feature="Quantisation-aware training, attention 8 and FFN 4 bits",
    published="0.05 % loss, 4× smaller, 3.5× faster",
    method="SmolLM2-135M trained on the published grid towards its own predictions; next tokens named rightly in the "
    "engine, bytes of the weights, and throughput served in turn with the whole model.",
    figures=(
        Figure(f"{FORM}_next_token_change_frac", "next tokens named rightly", -0.0005, "gain"),
        Figure(f"{FORM}_size_ratio", "smaller than float32", 4.0, "times"),
        Figure(f"{FORM}_speed_ratio", "throughput served", 3.5, "times"),
    ),
    stage=measure_qat,
    measure=_measure,
)
