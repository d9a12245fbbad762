"""C8: does one search over the whole chain find a model 3.2 times as fast, at 45 % less latency and 60 % less cost?"""

from typing import Any

from burnish.artifacts import Draft, ReportArtifact
from burnish.claims.bench import NOTES, FormsConfig
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.claims.forms import named
from burnish.claims.given_recipe import given_recipe, made_by, parents_of
from burnish.errors import BurnishError
from burnish.evaluate.race import race
from burnish.evaluate.served_text import compare_served
from burnish.loop.optimize_chain import OptimizeRecipe, optimize_chain
from burnish.runtime import Run, Workdir

RECIPE = "recipes/optimize/quickstart.yaml"


def measure_search(
    out: Workdir, page: ReportArtifact, raced: ReportArtifact, quality: ReportArtifact, *, config: FormsConfig
) -> Draft[ReportArtifact]:
    """Set the search's answer beside the base.

    Args:
        page: of the search.
        raced: the base and the answer in turn.
        quality: of the answer, in its server.
    """
    answer = answer_of(page)
    setting = (
        f"SmolLM2-135M on manual pages, {RECIPE}: the answer is {answer['words']}; both served by OpenVINO on this CPU, in "
        f"turn; seed {config.seed}."
    )
    notes = (
        "Quality is the base's perplexity over the answer's on held-out text; the guides' accuracy is of an unnamed task.",
        "Cost is time of this machine a token, whatever an hour of it costs.",
        NOTES[1],
    )
    write_reading(out, CLAIM.id, setting, notes, page=page.digest)
    evidence = named("answer", (*raced.evidence, quality.measurement("text_kept_frac")))
    return Draft(ReportArtifact, evidence, f"The answer of one search: {answer['words']}.")


def answer_of(page: ReportArtifact) -> dict[str, Any]:
    """Find the answer's row on the page.

    Raises:
        BurnishError: the search has none.
    """
    body = page.read_json("report.json")
    if body["answer"] is None:
        raise BurnishError(f"the search found nothing within its limits; see why: {page.payload / 'index.html'}")
    row: dict[str, Any] = next(row for row in body["candidates"] if row["number"] == body["answer"]["number"])
    return row


def _measure(run: Run, seed: int) -> ReportArtifact:
    page = optimize_chain(run, given_recipe(OptimizeRecipe, RECIPE, seed=seed))
    made = parents_of(run, page)
    quality = answer_of(page)["digests"]["quality"]
    judged = next(each for each in made_by(compare_served, made) if each.digest == quality)
    raced = made_by(race, made)[-1]
    return run(measure_search, page, raced, judged, config=FormsConfig(seed), label="C8")


CLAIM = Claim(
    id="C8",
    feature="One search over the whole chain",
    published="throughput 3.2×, latency −45 %, accuracy ≥ 90 %, cost −60 %",
    method=f"The search of {RECIPE} to its end; its answer and the base are served in turn.",
    figures=(
        Figure("answer_speed_ratio", "throughput served", 3.2, "times"),
        Figure("answer_latency_saved_frac", "median latency of a request", 0.45, "drop"),
        Figure("answer_text_kept_frac", "quality kept", 0.90, "share"),
        Figure("answer_cost_saved_frac", "cost a token", 0.60, "drop"),
    ),
    stage=measure_search,
    measure=_measure,
)
