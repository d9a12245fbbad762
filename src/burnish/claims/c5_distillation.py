"""C5: does a student of a third of the layers answer four times as fast at 1.6 points less, and draft for its teacher?"""

from burnish.artifacts import Draft, ReportArtifact
from burnish.claims.bench import NOTES, SETTING, Bench, FormsConfig, budget, evidence_of, tokens_of
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.compress.distill import DistillConfig, distill
from burnish.compress.student import StudentConfig, make_student
from burnish.evaluate.speculative import DraftConfig, measure_draft
from burnish.learn.feature_matching import Features
from burnish.nn.divergence_loss import Matching
from burnish.runtime import Run, Workdir

FORM = "student"
_STEPS, _RATE, _LAYERS = 80, 2e-4, 10


def measure_student(out: Workdir, *reports: ReportArtifact, config: FormsConfig) -> Draft[ReportArtifact]:
    """Set the student beside its teacher.

    Args:
        *reports: as of `evidence_of`, then what the student drafts for the teacher.
    """
    *read, drafted = reports
    evidence = (*evidence_of((FORM,), read, seed=config.seed), *drafted.evidence)
    tokens = tokens_of(budget(_STEPS, _RATE))
    notes = (
        f"{_LAYERS} of 30 layers, as 4 of 12; hidden states in the first quarter of the steps, then predictions at "
        f"temperature 2; {tokens:,} tokens. Students of the literature see a thousand times as many.",
        "A third of the layers is more than a third of the work: the head is read for every token.",
        *NOTES,
    )
    write_reading(out, CLAIM.id, f"{SETTING}; seed {config.seed}.", notes)
    return Draft(ReportArtifact, evidence, f"A student of {_LAYERS} layers after {tokens:,} tokens.")


def _measure(run: Run, seed: int) -> ReportArtifact:
    bench = Bench.of(run, CLAIM.id, seed)
    loop = budget(_STEPS, _RATE)
    config = DistillConfig(
        logits=Matching(temperature=2.0),
        features=Features(num_steps=loop.num_steps // 4),
        loop=loop,
        validation_records=10,
        seed=seed,
    )
    few = run(make_student, bench.base, config=StudentConfig(_LAYERS), label="C5 layers")
    student = run(distill, bench.base, few, bench.data, config=config, label="C5 student")
    drafted = run(measure_draft, bench.base, student, bench.data, config=DraftConfig(seed=seed), label="C5 draft")
    form = bench.form(FORM, student)
    return run(measure_student, bench.reading, *form, drafted, config=FormsConfig(seed), label="C5")


CLAIM = Claim(
    id="C5",
    feature="Distillation in two stages, 12 → 4 layers",
    published="120 → 480 tokens/s (4×), 92.3 → 90.7 (−1.6 points)",
    method="A student of 10 of SmolLM2-135M's 30 layers, taught in two stages; next tokens named rightly, throughput served "
    "in turn with the teacher, and the share of its drafts that the teacher keeps.",
    figures=(
        Figure(f"{FORM}_next_token_change_frac", "next tokens named rightly", -0.016, "gain"),
        Figure(f"{FORM}_speed_ratio", "throughput served", 4.0, "times"),
    ),
    stage=measure_student,
    measure=_measure,
)
