"""C4: do 8-bit weights, dynamic 4-bit activations and 70 % of the structure lose less than 1 %?"""

from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact, ReportArtifact
from burnish.claims.bench import NOTES, Bench, FormsConfig, budget, tokens_of
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.claims.forms import ReadConfig, compared, read_with
from burnish.compress.bits import Uniform
from burnish.compress.calibration import CalibrationConfig
from burnish.compress.fake_quant import rounded_inputs
from burnish.compress.grids import IntGrid
from burnish.compress.prune import PruneConfig, prune
from burnish.compress.qat import QatConfig, qat
from burnish.evaluate.logits import logits_of
from burnish.nn.forward import layers_of
from burnish.nn.weights import open_model
from burnish.runtime import Run, Workdir, need

INPUT_BITS = 4
_STEPS, _RATE = 60, 2e-5


def read_rounded(
    out: Workdir, form: ModelArtifact, data: DatasetArtifact, *, config: ReadConfig
) -> Draft[ReportArtifact]:
    """Read held-out documents in memory, what each linear layer of the blocks is given rounded to 4 bits a token."""
    model = open_model(form.payload, precision="fp32")
    round_inputs(model, INPUT_BITS)
    return read_with(out, logits_of(model), form, data, config)


def round_inputs(model: Any, num_bits: int) -> None:
    """Let every linear layer of the blocks round what it is given, with a scale a token."""
    torch = need("torch", extra="compress")

    def rounded(_layer: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (rounded_inputs(given[0], num_bits), *given[1:])

    for layer in layers_of(model):
        for module in layer.modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_pre_hook(rounded)


def measure_four_bit_inputs(
    out: Workdir, whole: ReportArtifact, form: ReportArtifact, *, config: FormsConfig
) -> Draft[ReportArtifact]:
    """Set the form's reading beside the whole model's."""
    tokens = tokens_of(budget(_STEPS, _RATE))
    setting = (
        f"SmolLM2-135M on held-out manual pages, in memory, beside its float32 form; 70 % of the FFN channels kept, "
        f"weights in 8 bits, activations in {INPUT_BITS}, trained so on {tokens:,} tokens; seed {config.seed}."
    )
    notes = (
        "No engine here computes with 4-bit activations, so that there is a loss and no speed.",
        "The published rule has no rotation before the rounding; without one, single large activations take the whole "
        "range of a token. Source: Ashkboos et al. 2024 (QuaRot), arXiv 2404.00456.",
        NOTES[0],
    )
    write_reading(out, CLAIM.id, setting, notes)
    return Draft(
        ReportArtifact, compared(whole, form, seed=config.seed), "8-bit weights, 4-bit activations, 70 % kept."
    )


def _measure(run: Run, seed: int) -> ReportArtifact:
    bench = Bench.of(run, CLAIM.id, seed)
    cut = PruneConfig(
        ffn_frac=0.3,
        step_frac=None,
        calibration=CalibrationConfig(num_rows=32, row_tokens=512, seed=seed),
        held_out_records=10,
        seed=seed,
    )
    pruned = run(prune, bench.base, bench.data, config=cut, label="C4 pruned")
    grid = QatConfig(
        bits=Uniform(IntGrid(8)),
        activation_bits=INPUT_BITS,
        loop=budget(_STEPS, _RATE),
        validation_records=10,
        seed=seed,
    )
    trained = run(qat, pruned, bench.base, bench.data, config=grid, label="C4 trained on grid")
    read = run(read_rounded, trained, bench.data, config=ReadConfig(), label="C4 read")
    return run(measure_four_bit_inputs, bench.reading, read, config=FormsConfig(seed), label="C4")


CLAIM = Claim(
    id="C4",
    feature="8-bit weights, dynamic 4-bit activations, 70 % of the structure",
    published="< 1 % loss",
    method="30 % of the FFN channels of SmolLM2-135M removed, the rest trained with 8-bit weights and 4-bit inputs; next "
    "tokens named rightly with both roundings in place.",
    figures=(Figure("next_token_change_frac", "next tokens named rightly", -0.01, "gain"),),
    stage=measure_four_bit_inputs,
    measure=_measure,
)
