"""Z2: is a base model tuned, compressed and served within three days, and what does the whole chain bring?"""

from dataclasses import replace

from burnish.artifacts import Artifact, Draft, Measurement, ReportArtifact
from burnish.claims.bench import FormsConfig
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.claims.forms import named
from burnish.claims.given_recipe import given_recipe, made_by, parents_of
from burnish.evaluate.generate import load_generate
from burnish.evaluate.latency import load_served
from burnish.evaluate.score import score_model, score_served
from burnish.loop.chain import ChainRecipe, chain
from burnish.runtime import Run, Workdir

RECIPE = "recipes/quickstart.yaml"
_THREE_DAYS_S = 3 * 86_400.0


def measure_chain(
    out: Workdir,
    page: ReportArtifact,
    *made: Artifact,
    config: FormsConfig,
) -> Draft[ReportArtifact]:
    """Set the chain's outcome beside its base.

    Args:
        page: the chain's report.
        *made: all that it was made from.
    """
    stages = (load_generate, load_served, score_model, score_served)
    baseline, served, before, after = (made_by(stage, made)[-1] for stage in stages)
    rates = [each.measurement("throughput_tokens_per_s") for each in (baseline, served)]
    waits = [each.measurement("latency_p50_ms") for each in (baseline, served)]
    seconds = max(1e-3, sum(each.manifest.seconds for each in (page, *made)))
    accuracy = after.measurement("accuracy_frac")
    change = accuracy.value - before.measurement("accuracy_frac").value
    evidence = named(
        "chain",
        (
            _ratio("speed_ratio", rates[1], rates[0]),
            _flipped("latency_saved_frac", _ratio("", waits[1], waits[0])),
            accuracy,
            Measurement("accuracy_change_frac", change, "1", accuracy.n, how="served outcome less base"),
            _flipped("cost_saved_frac", _ratio("", rates[0], rates[1])),
            Measurement("three_days_ratio", _THREE_DAYS_S / seconds, "1", 1, how=f"three days over {seconds:,.0f} s"),
        ),
    )
    setting = (
        f"{RECIPE}: SmolLM2-135M tuned on sarcasm headlines, quantised, served by OpenVINO, beside the base in plain "
        f"transformers with full batches; {seconds / 60:.0f} minutes of stages; seed {config.seed}."
    )
    notes = (
        "The published figures are of unnamed models and tasks. The base names the label of "
        f"{100 * before.measurement('accuracy_frac').value:.0f} % of the same headlines rightly.",
        "Baseline and outcome are loaded at other moments of the run; what else the machine did then is in the ratio.",
        "Cost is time of this machine a token. Three days hold people's work, too, which no program measures.",
    )
    write_reading(out, CLAIM.id, setting, notes, page=page.digest)
    return Draft(ReportArtifact, evidence, f"The whole chain in {seconds / 60:.0f} minutes.")


def _ratio(name: str, above: Measurement, below: Measurement) -> Measurement:
    """Divide; the interval is that of the worst and the best of both."""
    low = above.low / below.high if above.low is not None and below.high else None
    high = above.high / below.low if above.high is not None and below.low else None
    how = f"{above.how}; over: {below.how}; interval from the ends of both"
    return Measurement(name, above.value / below.value, "1", above.n, low, high, how)


def _flipped(name: str, ratio: Measurement) -> Measurement:
    """Say what is saved where a ratio is left."""
    low = None if ratio.high is None else 1 - ratio.high
    high = None if ratio.low is None else 1 - ratio.low
    return replace(ratio, name=name, value=1 - ratio.value, low=low, high=high)


def _measure(run: Run, seed: int) -> ReportArtifact:
    page = chain(run, given_recipe(ChainRecipe, RECIPE, seed=seed))
    return run(measure_chain, page, *parents_of(run, page), config=FormsConfig(seed), label="Z2")


CLAIM = Claim(
    id="Z2",
    feature="The whole chain in one command",
    published="deployed within 3 days; throughput 3.2×, latency −45 %, accuracy ≥ 90 %, cost −60 %",
    method=f"`burnish run {RECIPE}`: its outcome beside its base, as its report measures them, and the time that it took.",
    figures=(
        Figure("chain_speed_ratio", "throughput served", 3.2, "times"),
        Figure("chain_latency_saved_frac", "median latency of a request", 0.45, "drop"),
        Figure("chain_accuracy_frac", "accuracy of the task", 0.90, "share"),
        Figure("chain_cost_saved_frac", "cost a token", 0.60, "drop"),
    ),
    stage=measure_chain,
    measure=_measure,
)
