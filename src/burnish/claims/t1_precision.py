"""T1: is training in bf16 with float32 master weights 2.3 times as fast as in float32, in 40 % less memory?"""

from dataclasses import dataclass

from burnish.artifacts import Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.claims.step_cost import Cost, CostConfig, measure_cost
from burnish.errors import RecipeError
from burnish.nn.attention import FullAttention
from burnish.nn.weights import device
from burnish.runtime import Run, Workdir
from burnish.train.base import AssetModel, BaseConfig, take_base


@dataclass(frozen=True)
class PrecisionConfig:
    """Say how large a step is measured.

    Attributes:
        num_tokens: of a step's one row.
        num_steps: repeats in a process, of which the first is not timed. At least 2.
        num_rounds: processes of each precision, in turn, so that a change of the machine's load meets both.
        seed: draws nothing here but names the reading; the tokens decide neither time nor memory.
    """

    num_tokens: int = 1024
    num_steps: int = 3
    num_rounds: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_tokens < 2 or self.num_steps < 2 or self.num_rounds < 1:
            raise RecipeError(
                f"num_tokens is {self.num_tokens}, num_steps {self.num_steps}, num_rounds {self.num_rounds}; the first "
                "two must be at least 2, the last at least 1"
            )


def measure_precision(out: Workdir, base: ModelArtifact, *, config: PrecisionConfig) -> Draft[ReportArtifact]:
    """Train a few steps in float32 and in bf16, all parameters with AdamW, in processes that take turns.

    Raises:
        BurnishError: a step did not end.
    """
    costs: dict[str, list[Cost]] = {"fp32": [], "bf16": []}
    with out.progress("training", total=2 * config.num_rounds, unit="processes") as bar:
        for _ in range(config.num_rounds):
            for precision in ("fp32", "bf16"):
                given = CostConfig(
                    base.payload, FullAttention(), config.num_tokens, precision=precision, num_steps=config.num_steps
                )
                costs[precision].append(measure_cost(given))
                bar.advance(1, precision)
    ratios = [slow.seconds / fast.seconds for slow, fast in zip(costs["fp32"], costs["bf16"], strict=True)]
    saved = [1 - small.peak_bytes / large.peak_bytes for large, small in zip(costs["fp32"], costs["bf16"], strict=True)]
    on_gpu = device() == "cuda"
    clock = "wall time" if on_gpu else "time of one core"
    each = f"median of {config.num_rounds} pairs of processes, least and greatest as the interval"
    evidence = (
        _reading("speed_up_ratio", ratios, f"seconds a step in fp32 over those in bf16, {clock}; {each}"),
        _reading("memory_saved_frac", saved, f"1 - peak in bf16 over the peak in fp32; {each}"),
    )
    place = "one GPU" if on_gpu else "the CPU"
    num_parameters = base.measurement("num_parameters").value
    setting = (
        f"{num_parameters / 1e6:.0f} M parameters, all trained, one row of {config.num_tokens} tokens a step, on {place}; "
        f"seed {config.seed}."
    )
    notes = (
        "bf16 here is what `precision: bf16` trains with: 2 bytes a weight and gradient, and 12 bytes of float32 master "
        "copy and moments, so that what is saved are activations and gradients.",
        "The guides name no device; the gain is that of its bf16 units over its float32 units.",
    )
    write_reading(out, CLAIM.id, setting, notes)
    said = f"bf16 is {evidence[0].value:.2f}× as fast as float32 and saves {100 * evidence[1].value:.0f} % of memory."
    return Draft(ReportArtifact, evidence, said)


def _reading(name: str, values: list[float], how: str) -> Measurement:
    ordered = sorted(values)
    return Measurement(name, ordered[len(ordered) // 2], "1", len(values), ordered[0], ordered[-1], how)


def _measure(run: Run, seed: int) -> ReportArtifact:
    base = run(take_base, config=BaseConfig(AssetModel()), label="T1 base")
    return run(measure_precision, base, config=PrecisionConfig(seed=seed), label="T1")


CLAIM = Claim(
    id="T1",
    feature="Mixed precision: bf16 with float32 master weights",
    published="2.3× speed, −40 % memory",
    method="Time and peak memory of training steps of SmolLM2-135M in float32 and in bf16, all parameters with AdamW, in "
    "processes that take turns.",
    figures=(
        Figure("speed_up_ratio", "speed of a training step", 2.3, "times"),
        Figure("memory_saved_frac", "peak memory", 0.40, "drop"),
    ),
    stage=measure_precision,
    measure=_measure,
)
