"""C1: does pruning 40 %, 5 % a step, lose less than 1.2 % and make a model 2.1 times as fast?"""

from burnish.artifacts import Draft, ReportArtifact
from burnish.claims.bench import NOTES, SETTING, Bench, FormsConfig, budget, evidence_of, tokens_of
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.compress.calibration import CalibrationConfig
from burnish.compress.distill import DistillConfig, distill
from burnish.compress.prune import PruneConfig, prune
from burnish.compress.sensitivity import GradientNorm
from burnish.runtime import Run, Workdir

FORMS = ("published", "healed")
_FFN_FRAC, _NUM_CUTS, _STEPS_A_CUT = 0.4, 8, 8


def measure_pruning(out: Workdir, *reports: ReportArtifact, config: FormsConfig) -> Draft[ReportArtifact]:
    """Set both ways of pruning beside the whole model.

    Args:
        *reports: as of `evidence_of`, for the published way and for the one that heals by distillation.
    """
    evidence = evidence_of(FORMS, reports, seed=config.seed)
    tokens = tokens_of(budget(_NUM_CUTS * _STEPS_A_CUT, 1e-4))
    notes = (
        f"{_FFN_FRAC:.0%} of the FFN channels of every layer: 31 % of all weights, for the embedding is a fifth of so small a "
        "model.",
        "The published way: gradient norm, 5 % of the channels a step, all weights tuned after each. The other: Fisher "
        f"information, all at once, least squares, then distillation from the whole model. Both learn from {tokens:,} "
        "tokens.",
        *NOTES,
    )
    write_reading(out, CLAIM.id, f"{SETTING}; seed {config.seed}.", notes)
    return Draft(ReportArtifact, evidence, f"Two ways to prune {_FFN_FRAC:.0%} of the FFN channels, {tokens:,} tokens.")


def _measure(run: Run, seed: int) -> ReportArtifact:
    bench = Bench.of(run, CLAIM.id, seed)
    calibration = CalibrationConfig(num_rows=32, row_tokens=512, seed=seed)
    published = PruneConfig(
        ffn_frac=_FFN_FRAC,
        criterion=GradientNorm(),
        reconstruction=None,
        calibration=calibration,
        tuning=budget(_STEPS_A_CUT, 1e-4),
        held_out_records=10,
        seed=seed,
    )
    once = PruneConfig(ffn_frac=_FFN_FRAC, step_frac=None, calibration=calibration, held_out_records=10, seed=seed)
    healing = DistillConfig(loop=budget(_NUM_CUTS * _STEPS_A_CUT, 1e-4), validation_records=10, seed=seed)
    in_steps = run(prune, bench.base, bench.data, config=published, label="C1 pruned in steps")
    cut = run(prune, bench.base, bench.data, config=once, label="C1 pruned at once")
    healed = run(distill, bench.base, cut, bench.data, config=healing, label="C1 healed")
    forms = (*bench.form(FORMS[0], in_steps), *bench.form(FORMS[1], healed))
    return run(measure_pruning, bench.reading, *forms, config=FormsConfig(seed), label="C1")


CLAIM = Claim(
    id="C1",
    feature="Structured pruning, 5 % a step",
    published="40 % pruned, < 1.2 % loss, 2.1× speed",
    method="40 % of the FFN channels of SmolLM2-135M removed, once as published and once healed by distillation, with the "
    "same tokens to learn from; next tokens named rightly, and throughput served in turn with the whole model.",
    figures=(
        Figure("published_next_token_change_frac", "next tokens named rightly, as published", -0.012, "gain"),
        Figure("healed_next_token_change_frac", "next tokens named rightly, healed", -0.012, "gain"),
        Figure("healed_speed_ratio", "throughput served", 2.1, "times"),
    ),
    stage=measure_pruning,
    measure=_measure,
)
