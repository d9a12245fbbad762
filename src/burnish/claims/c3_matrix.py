"""C3: INT8, dynamic activations, and training on the grid with both: loss, size and speed of each, served."""

from burnish.artifacts import Draft, ReportArtifact
from burnish.claims.bench import NOTES, SETTING, Bench, FormsConfig, evidence_of
from burnish.claims.c2_qat import trained_on_grid
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.compress.export.write import Openvino
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.runtime import Run, Workdir

FORMS = ("int8", "dynamic", "hybrid")


def measure_matrix(out: Workdir, *reports: ReportArtifact, config: FormsConfig) -> Draft[ReportArtifact]:
    """Set the three forms beside the whole model; reports as of `evidence_of`."""
    evidence = evidence_of(FORMS, reports, seed=config.seed)
    notes = (
        "INT8: weights in 8 bits with a scale a row, activations left in floats. Dynamic: the same weights, activations "
        "rounded to 8 bits as they come, in groups of 32. Hybrid: C2's training on the grid, with dynamic activations.",
        *NOTES,
    )
    write_reading(out, CLAIM.id, f"{SETTING}; seed {config.seed}.", notes)
    return Draft(ReportArtifact, evidence, "Three ways to quantise, each in the server.")


def _measure(run: Run, seed: int) -> ReportArtifact:
    bench = Bench.of(run, CLAIM.id, seed)
    int8 = run(quantize, bench.base, config=QuantizeConfig(), label="C3 int8")
    forms = (
        *bench.form(FORMS[0], int8, Openvino("float")),
        *bench.form(FORMS[1], int8),
        *bench.form(FORMS[2], trained_on_grid(bench)),
    )
    return run(measure_matrix, bench.reading, *forms, config=FormsConfig(seed), label="C3")


CLAIM = Claim(
    id="C3",
    feature="Quantisation: INT8, dynamic, trained and dynamic",
    published="INT8 0.8 % 4× 3.2×; dynamic 0.3 % 3.5× 2.9×; hybrid < 0.5 %, −75 % size",
    method="SmolLM2-135M in each form: next tokens named rightly in the engine, bytes of the weights, and throughput "
    "served in turn with the whole model.",
    figures=(
        Figure("int8_next_token_change_frac", "INT8: next tokens named rightly", -0.008, "gain"),
        Figure("int8_size_ratio", "INT8: smaller than float32", 4.0, "times"),
        Figure("int8_speed_ratio", "INT8: throughput served", 3.2, "times"),
        Figure("dynamic_next_token_change_frac", "dynamic: next tokens named rightly", -0.003, "gain"),
        Figure("dynamic_size_ratio", "dynamic: smaller than float32", 3.5, "times"),
        Figure("dynamic_speed_ratio", "dynamic: throughput served", 2.9, "times"),
        Figure("hybrid_next_token_change_frac", "hybrid: next tokens named rightly", -0.005, "gain"),
        Figure("hybrid_size_saved_frac", "hybrid: size", 0.75, "drop"),
    ),
    stage=measure_matrix,
    measure=_measure,
)
