"""The parts of the search over the chain: constraints, the choice, the space, the budget, as pure functions with oracles."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.compress.qat import QatConfig
from burnish.compress.quantize import QuantizeConfig
from burnish.errors import RecipeError
from burnish.loop.optimizing.budget import Budget, Part, parse_seconds
from burnish.loop.optimizing.limits import (
    Figures,
    Limits,
    Measured,
    choose,
    is_within,
    limit_words,
    misses,
    nearest,
    shortfalls,
)
from burnish.loop.optimizing.quality import Proxy, refusal
from burnish.loop.optimizing.space import Candidate, Space
from burnish.report.optimize_chart import front
from burnish.train.finetune import FinetuneConfig
from burnish.train.methods import Prefix

LIMITS = Limits(min_quality=0.9, max_p99_ms=100, max_memory_gb=1, max_size_mb=50)
GOOD = Figures(0.95, 0.92, 80, 0.8e9, 40e6, 10.0)

figures = st.builds(
    Figures,
    quality_frac=st.floats(0.5, 1.2),
    quality_low_frac=st.floats(0.5, 1.2),
    p99_ms=st.floats(10, 200),
    memory_bytes=st.floats(1e8, 2e9),
    size_bytes=st.floats(1e6, 1e8),
    throughput_tokens_per_s=st.floats(1, 100),
)
limits = st.builds(
    Limits,
    min_quality=st.none() | st.floats(0.5, 1.2),
    max_p99_ms=st.none() | st.floats(10, 200),
    max_memory_gb=st.none() | st.floats(0.1, 2),
    max_size_mb=st.none() | st.floats(1, 100),
)


def naive(asked: Limits, found: Figures) -> bool:
    """Tell by plain comparisons whether the limits are kept."""
    return (
        (asked.min_quality is None or found.quality_low_frac >= asked.min_quality)  # type: ignore[operator]
        and (asked.max_p99_ms is None or found.p99_ms <= asked.max_p99_ms)  # type: ignore[operator]
        and (asked.max_memory_gb is None or found.memory_bytes <= asked.max_memory_gb * 1e9)  # type: ignore[operator]
        and (asked.max_size_mb is None or found.size_bytes <= asked.max_size_mb * 1e6)  # type: ignore[operator]
    )


@settings(max_examples=200)
@given(limits, st.lists(figures, max_size=6), st.sampled_from(["speed", "size", "quality"]))
def test_the_choice_is_the_best_of_those_within(asked: Limits, found: list[Figures], prefer: str) -> None:
    measured = [Measured(number, each) for number, each in enumerate(found, start=1)]
    for each in found:
        assert is_within(asked, each) == naive(asked, each) == (not misses(asked, each))
    rank = {
        "speed": lambda each: -each.figures.throughput_tokens_per_s,
        "size": lambda each: each.figures.size_bytes,
        "quality": lambda each: -each.figures.quality_low_frac,
    }[prefer]
    good = sorted((each for each in measured if naive(asked, each.figures)), key=rank)
    assert choose(measured, asked, prefer) == (good[0] if good else None)  # type: ignore[arg-type]


def test_quality_is_judged_on_the_low_end_of_its_interval() -> None:
    assert is_within(LIMITS, GOOD)
    short = replace(GOOD, quality_frac=0.99, quality_low_frac=0.81)
    assert not is_within(LIMITS, short)
    (miss,) = misses(LIMITS, short)
    assert (miss.limit, miss.by) == ("quality", "0.09")
    assert miss.by_frac == pytest.approx(0.1)
    assert miss.words == "quality 0.99 (low end 0.81), at least 0.9 is asked"


def test_what_was_not_measured_keeps_no_limit() -> None:
    assert not is_within(LIMITS, Figures(quality_frac=0.95, quality_low_frac=0.92, size_bytes=1e6))
    assert is_within(Limits(), Figures())
    assert shortfalls(Limits(max_size_mb=50), Figures(size_bytes=60e6)) == {"size": pytest.approx(0.2)}


def test_the_nearest_misses_by_the_least_and_the_worst_limit_comes_first() -> None:
    slow = Measured(1, replace(GOOD, p99_ms=300.0))
    large = Measured(2, replace(GOOD, memory_bytes=1.5e9, size_bytes=55e6))
    assert nearest([slow, large], LIMITS) == large
    assert [miss.limit for miss in misses(LIMITS, large.figures)] == ["memory", "size"]
    assert nearest([], LIMITS) is None
    assert limit_words(LIMITS)[1] == "latency P99 at most 100 ms"


@pytest.mark.parametrize(
    ("quality", "size", "is_early", "words"),
    [
        (0.86, 54e6, False, ""),
        (0.85, None, False, "quality 0.85 by the proxy, out of reach of 0.9 (margin 5%: 0.855)"),
        (0.55, None, True, ""),
        (0.53, None, True, "quality 0.53 by the proxy before training"),
        (None, 56e6, True, "weights of 56 MB, out of reach of 50 MB (margin 10%: 55)"),
    ],
)
def test_a_proxy_refuses_what_is_out_of_reach(
    quality: float | None, size: float | None, is_early: bool, words: str
) -> None:
    said = refusal(LIMITS, Proxy(), Figures(quality_frac=quality, size_bytes=size), is_to_be_trained=is_early)
    assert said.startswith(words)
    assert bool(said) == bool(words)
    assert refusal(Limits(), Proxy(), Figures(quality_frac=0.01, size_bytes=1e12), is_to_be_trained=is_early) == ""


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    beaten = {
        (x, y)
        for (x, y), (a, b) in itertools.product(points, repeat=2)
        if a <= x and b >= y and (a, b) != (x, y)
    }  # fmt: skip
    assert set(front(points)) == set(points) - beaten


SPACE = Space(ffn_frac=(0.0, 0.2), layers_dropped=(0, 1), heal_steps=(0, 5), threads=(None, 1))


def test_what_is_not_cut_is_not_healed_so_that_no_candidate_comes_twice() -> None:
    found = SPACE.candidates()
    assert len(set(found)) == len(found) == 3 * 2 * (3 * 2 + 1)
    assert found[0] == Candidate("none", 0.0, 0, 0, "int8", None)
    assert all(candidate.heal_steps == 0 for candidate in found if not candidate.is_cut)
    for candidate in found:
        assert SPACE.only(candidate).candidates() == (candidate,)
        assert SPACE.candidate(candidate.values) == candidate
    assert found[0].words == "int8"
    last = replace(found[-1], layers_dropped=2)
    assert last.words == "20% of the FFN gone, 2 layers dropped, 5 steps of healing, int4 nearest, 1 thread"


def test_a_candidate_sets_the_stages_values_and_leaves_the_rest() -> None:
    candidate = Candidate("none", 0.2, 1, 5, "int8", None)
    cut = SPACE.prune_config(candidate)
    assert (cut.ffn_frac, cut.num_layers_dropped) == (0.2, 1)
    assert replace(cut, ffn_frac=SPACE.prune.ffn_frac, num_layers_dropped=SPACE.prune.num_layers_dropped) == SPACE.prune
    assert SPACE.heal_config(candidate).loop == replace(SPACE.heal.loop, num_steps=5)


TASK = {"instruction": "Which?", "labels": ("a", "b")}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ffn_frac": ()}, r"space.ffn_frac is empty"),
        ({"ffn_frac": (0.0, 1.0)}, r"space.ffn_frac holds 1.0; each value must be in \[0, 1\)"),
        ({"layers_dropped": (0, 0)}, r"each value may stand there once"),
        ({"heal_steps": (-1,)}, r"space.heal_steps holds -1"),
        ({"threads": (0,)}, r"space.threads holds 0"),
        ({"heal_steps": tuple(range(40_000))}, r"the space has 1,080,000 points"),
    ],
)
def test_a_space_that_cannot_be_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Space(**changes)  # type: ignore[arg-type]


def test_a_tuning_that_cannot_be_merged_is_refused() -> None:
    from burnish.nn.chat import LabelTask

    tuning = FinetuneConfig(task=LabelTask("Which?", ("a", "b")), method=Prefix())
    with pytest.raises(RecipeError, match=r"space.tunings.soft.method is prefix, which cannot be merged"):
        Space(tunings={"soft": tuning})


def test_ways_to_round_may_train() -> None:
    space = Space(bits={"float": None, "int8": QuantizeConfig(), "qat": QatConfig()})
    assert {candidate.bits for candidate in space.candidates()} == {"float", "int8", "qat"}


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_an_estimate_is_the_longest_of_the_last_three_by_work() -> None:
    clock = Clock()
    budget = Budget(100.0, clock=clock)
    assert budget.affords([Part("healed", 50)])  # nothing is known yet
    for seconds in (90.0, 2.0, 4.0, 3.0):
        budget.note(Part("load"), seconds)
    budget.note(Part("healed", 10), 20.0)
    assert budget.estimate_s([Part("load")]) == 4.0
    assert budget.estimate_s([Part("healed", 30), Part("load")]) == 64.0
    assert budget.estimate_s([Part("pruned")]) == 119 / 5  # never seen: the mean
    clock.now_s += 35
    assert budget.affords([Part("healed", 30), Part("load")])
    clock.now_s += 2
    assert not budget.affords([Part("healed", 30), Part("load")])
    budget.spent_before_s = 63
    assert budget.left_s == 0
    assert not budget.affords([])


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("45s", 45), ("30m", 1800), ("1.5h", 5400)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-3m", "0", "inf", "nan", "3 days"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="write seconds, or a number with s, m or h"):
        parse_seconds(text)
