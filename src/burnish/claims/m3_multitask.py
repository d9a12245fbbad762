"""M3: does a shared trunk under GradNorm bring each task 5 to 8 %, and cost 12 % of latency?"""

import random
import time
from dataclasses import dataclass
from statistics import fmean, median

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.claims.claim import Claim, Figure, seed_of, write_reading
from burnish.data.collect import CollectConfig, collect
from burnish.data.records import Record, read_kept, write_kept
from burnish.data.scoring.domain_claim import read_arff
from burnish.data.sources import SarcasmHeadlines
from burnish.learn.combination import GradNorm
from burnish.learn.loop import LoopConfig
from burnish.learn.task_labels import LabelSource
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.nn.heads import Opened, open_heads, predict
from burnish.runtime import Run, Workdir
from burnish.runtime.assets import fetch
from burnish.train.base import AssetModel, BaseConfig, take_base
from burnish.train.methods import Full
from burnish.train.multitask import MultitaskConfig, multitask

TASKS = (
    LabelSource("sarcasm", ("serious", "sarcastic"), source="sarcasm_headlines"),
    LabelSource("grain", ("other", "grain"), source="reuters_grain"),
)
_BASE = "splade-tiny"
_NUM_SEEDS = 2
_LOOP = LoopConfig(num_steps=150, row_tokens=1024, learning_rate=5e-4, weight_decay=0.01, validate_every_steps=75)


@dataclass(frozen=True)
class TwoTasksConfig:
    """Say how many records are held out.

    Attributes:
        num_validation: of each task, from its train texts.
        num_test: of the headlines; Reuters brings its own test split.
        seed: draws which.
    """

    num_validation: int = 150
    num_test: int = 600
    seed: int = 0


def take_two_tasks(out: Workdir, headlines: DatasetArtifact, *, config: TwoTasksConfig) -> Draft[DatasetArtifact]:
    """Lay labelled headlines and Reuters' grain news into one dataset with the three splits."""
    grain = fetch("reuters-grain", say=out.warn)
    draw = random.Random(config.seed)
    first = draw.sample(read_kept(headlines), k=len(read_kept(headlines)))
    news, held_out = (
        [
            Record(f"reuters:{split}:{row}", each.text, TASKS[1].labels[int(bool(each.is_wanted))], TASKS[1].source)
            for row, each in enumerate(read_arff(grain / f"ReutersGrain-{split}.arff"))
        ]
        for split in ("train", "test")
    )
    draw.shuffle(news)
    end = config.num_test + config.num_validation
    splits = {
        "test": [*first[: config.num_test], *held_out],
        "validation": [*first[config.num_test : end], *news[: config.num_validation]],
        "train": [*first[end:], *news[config.num_validation :]],
    }
    for name, records in splits.items():
        write_kept(out, records, name)
    evidence = tuple(Measurement(f"{name}_records", len(each), "records", len(each)) for name, each in splits.items())
    return Draft(DatasetArtifact, evidence, "Headlines by tone and Reuters news by subject, each text with one label.")


@dataclass(frozen=True)
class MultitaskClaimConfig:
    """Say how often one text is answered, with one head and with all."""

    num_repeats: int = 300
    seed: int = 0


def measure_multitask(
    out: Workdir, data: DatasetArtifact, *tuned: ModelArtifact, config: MultitaskClaimConfig
) -> Draft[ReportArtifact]:
    """Put the gains of all seeds together, and time one text's answers with one head and with both.

    Args:
        tuned: multi-task models with controls, of one seed each.
    """
    gains = tuple(_gain(task.name, tuned) for task in TASKS)
    texts = [record.text for record in read_kept(data, "test")][: config.num_repeats]
    kept = _speed_kept(open_heads(tuned[0].payload), texts, config.seed)
    scores = tuple(
        Measurement(
            f"{prefix}macro_f1_frac_{task.name}",
            fmean(each.measurement(f"{prefix}macro_f1_frac_{task.name}").value for each in tuned),
            "1",
            _num_scored(tuned[0], task.name),
            how=f"mean over {len(tuned)} seeds of training",
        )
        for task in TASKS
        for prefix in ("", "control_")
    )
    cosine = fmean(each.measurement("grad_cosine_grain_sarcasm").value for each in tuned)
    setting = (
        f"BERT-tiny (the asset {_BASE}, 4.4 M weights, all of them trained); sarcasm of headlines and grain in Reuters "
        f"news, two labels each; {_LOOP.num_steps} steps of {_LOOP.row_tokens} tokens, GradNorm at its defaults; "
        f"{len(tuned)} seeds from {seed_of(tuned[0])}."
    )
    notes = (
        "A control trains one task alone with as many steps and tokens, all of them its own: an equal budget of "
        "computing. It sees its own texts more often than the shared trunk does.",
        f"The tasks have little to do with each other: the mean cosine of their gradients is {cosine:+.3f}. No package "
        "holds texts with two related labels; related tasks may gain more.",
        "Published is a gain a task of 5 to 8 %; 5 % is what ours is held to, relative, in macro-F1.",
        "The guides do not say what their 12 % of latency is over; ours is over the same trunk with one head. A model a "
        "task would run the trunk once a task.",
    )
    write_reading(out, CLAIM.id, setting, notes, gains_by_seed=_by_seed(tuned))
    words = ", ".join(f"{100 * m.value:+.1f} % to {task.name}" for m, task in zip(gains, TASKS, strict=True))
    return Draft(ReportArtifact, (*gains, kept, *scores), f"What a shared trunk adds in macro-F1: {words}.")


def _num_scored(tuned: ModelArtifact, task: str) -> int:
    """Give the number of texts that a task was scored on."""
    return tuned.measurement(f"macro_f1_frac_{task}").n


def _gain(task: str, tuned: tuple[ModelArtifact, ...]) -> Measurement:
    found = [each.measurement(f"macro_f1_gain_frac_{task}") for each in tuned]
    return Measurement(
        f"macro_f1_gain_frac_{task}",
        fmean(each.value for each in found),
        "1",
        found[0].n,
        min(each.low for each in found if each.low is not None),
        max(each.high for each in found if each.high is not None),
        f"macro-F1 over that of the task alone, less 1: mean over {len(found)} seeds; the interval spans those of all "
        f"seeds, bootstrap over texts, {DRAWS} draws, 95 %",
    )


def _by_seed(tuned: tuple[ModelArtifact, ...]) -> dict[str, list[float]]:
    return {t.name: [each.measurement(f"macro_f1_gain_frac_{t.name}").value for each in tuned] for t in TASKS}


def _speed_kept(opened: Opened, texts: list[str], seed: int) -> Measurement:
    """Time each text with one head and with all, in turn, so that both meet the same machine."""
    one: list[float] = []
    both: list[float] = []
    warm_up = texts[:20]
    ways: list[tuple[list[str] | None, list[float]]] = [([TASKS[0].name], one), (None, both)]
    for text in (*warm_up, *texts):
        ways.reverse()  # the second to read a text finds it in the caches
        for names, seconds in ways:
            start_s = time.perf_counter()
            predict(opened, [text], tasks=names)
            seconds.append(time.perf_counter() - start_s)
    one, both = one[len(warm_up) :], both[len(warm_up) :]

    def ratio(at: list[int]) -> float:
        return median(one[i] / both[i] for i in at)

    low, high = bootstrap(lambda at: ratio(list(at)), len(one), seed=seed)
    how = (
        f"median over texts of the time with one head (median {1e3 * median(one):.2f} ms) over that with both (median "
        f"{1e3 * median(both):.2f} ms), one at a time, text in, labels out; bootstrap over texts, {DRAWS} draws, 95 %"
    )
    return Measurement("speed_kept_frac", ratio(list(range(len(one)))), "1", len(one), low, high, how)


def _measure(run: Run, seed: int) -> ReportArtifact:
    headlines = run(collect, config=CollectConfig((SarcasmHeadlines(num_records=3000),), seed), label="M3 headlines")
    data = run(take_two_tasks, headlines, config=TwoTasksConfig(seed=seed), label="M3 data")
    base = run(take_base, config=BaseConfig(AssetModel(_BASE), "encoder"), label="M3 base")
    tuned = [
        run(multitask, base, data, config=_config(each), label=f"M3 seed {each}")
        for each in range(seed, seed + _NUM_SEEDS)
    ]
    return run(measure_multitask, data, *tuned, config=MultitaskClaimConfig(seed=seed), label="M3")


def _config(seed: int) -> MultitaskConfig:
    return MultitaskConfig(
        TASKS,
        combination=GradNorm(),
        max_tokens=64,
        controls=True,
        method=Full(),
        loop=_LOOP,
        precision="fp32",
        seed=seed,
    )


CLAIM = Claim(
    id="M3",
    feature="Multi-task: shared trunk, task heads, GradNorm",
    published="+5–8 % a task, +12 % latency (89 % of the speed)",
    method="Macro-F1 of each task from a trunk shared under GradNorm, over that of the task trained alone with the same "
    "steps and tokens; time of one text with one head over that with both.",
    figures=(
        Figure("macro_f1_gain_frac_sarcasm", "macro-F1 gain: sarcasm of headlines", 0.05, "gain"),
        Figure("macro_f1_gain_frac_grain", "macro-F1 gain: grain in Reuters news", 0.05, "gain"),
        Figure("speed_kept_frac", "speed that a second head leaves (+12 % latency leaves 89 %)", 1 / 1.12, "share"),
    ),
    stage=measure_multitask,
    measure=_measure,
)
