"""The way of a candidate: tuned, cut, healed, rounded, exported, served; given up as soon as a proxy says so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, assert_never

from burnish.artifacts import DatasetArtifact, ModelArtifact, ReportArtifact
from burnish.compress.distill import distill
from burnish.compress.export.write import ExportConfig, Openvino, export
from burnish.compress.prune import prune
from burnish.compress.qat import QatConfig, qat
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.compress.rounding import Nearest
from burnish.errors import BurnishError
from burnish.evaluate.latency import LoadConfig, load_served
from burnish.loop.optimizing.budget import Budget, Part
from burnish.loop.optimizing.limits import Figures, Limits
from burnish.loop.optimizing.quality import Judge, figures_of, proxy_quality, quality_name, refusal
from burnish.loop.optimizing.space import Candidate, Rounded, Space
from burnish.runtime import Run
from burnish.runtime.events import Event, EventLog, Progress
from burnish.train.learning import stage_of
from burnish.train.merge import MergeConfig, merge
from burnish.train.methods import Lora

State = Literal["complete", "rejected", "failed"]


class OutOfTime(Exception):  # the end of the time is no error
    """Leave a candidate whose rest would not end within the budget; what is sealed of it stays."""


@dataclass(frozen=True)
class Outcome:
    """Say how a candidate ended.

    Attributes:
        reason: why it was rejected or failed.
        digests: of what was made of it: model, served, load, quality, proxy.
        is_early: rejected before it was healed or trained on its grid.
        is_crash: failed with an error that nobody expected.
    """

    state: State
    figures: Figures = field(default_factory=Figures)
    reason: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    is_early: bool = False
    is_crash: bool = False


@dataclass
class _Calls:
    """Call stages for one candidate, and keep count of their time.

    Attributes:
        planned: parts that are still to be made, as a dry run found them.
        made: parts that were not sealed already.
    """

    run: Run
    budget: Budget
    number: int
    planned: list[Part] = field(default_factory=list)
    made: list[Part] = field(default_factory=list)

    def __call__(self, part: Part, stage: Callable[..., Any], *artifacts: Any, config: Any) -> Any:
        """Run a stage.

        Raises:
            OutOfTime: what is left of the candidate would not end within the budget.
        """
        if self.planned and self.planned[0] == part:
            if not self.budget.affords(self.planned):
                raise OutOfTime
            self.planned.pop(0)
        begun_s = self.budget.clock()
        found = self.run(stage, *artifacts, config=config, label=f"{self.number} {part.name}")
        if not self.run.steps[-1].is_cached:
            self.made.append(part)
            if not self.run.is_dry:
                self.budget.note(part, self.budget.clock() - begun_s)
        return found

    def of(self, name: str, work: float = 1.0) -> Callable[..., Any]:
        """Give a call of a part of that name."""
        return partial(self, Part(name, work))


@dataclass(frozen=True)
class Way:
    """Hold what all candidates have in common."""

    run: Run
    space: Space
    base: ModelArtifact
    data: DatasetArtifact
    judge: Judge
    limits: Limits
    load: LoadConfig
    budget: Budget

    def plan(self, candidate: Candidate) -> list[Part]:
        """List the parts of a candidate that are not sealed yet."""
        dry = replace(self, run=Run(self.run.store, EventLog(Path("/dev/null")), is_dry=True))
        calls = _Calls(dry.run, self.budget, 0)
        dry._go(candidate, calls)
        return calls.made

    def attempt(self, number: int, candidate: Candidate, planned: list[Part]) -> Outcome:
        """Make and measure a candidate, or give it up.

        Raises:
            OutOfTime: its rest would not end within the budget, or the time is up.
            BurnishError: a stage refused what the candidate asks of it.
        """
        with self._watched():
            return self._go(candidate, _Calls(self.run, self.budget, number, list(planned)))

    def reference(self) -> Outcome:
        """Serve and measure the base as it is.

        Raises:
            BurnishError: its server left requests without an answer.
        """
        outcome = self._served(self.base, self.load.threads, _Calls(self.run, self.budget, 0))
        if outcome.state == "failed":
            raise BurnishError(
                f"the base cannot be measured: {outcome.reason}; give load fewer clients, or a lower max_prompt_characters"
            )
        return outcome

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """End a stage from within its progress once the time is up; its snapshots stay."""

        def watch(event: Event) -> None:
            if isinstance(event, Progress) and self.budget.left_s <= 0:
                raise OutOfTime

        events, readers = self.run.events, self.run.events.readers
        events.readers = (*readers, watch)
        try:
            yield
        finally:
            events.readers = readers

    def _go(self, candidate: Candidate, calls: _Calls) -> Outcome:
        rounded = self.space.bits[candidate.bits]
        whole = self._tuned(candidate, calls)
        model = whole
        if candidate.is_cut:
            model = calls.of("pruned")(prune, whole, self.data, config=self.space.prune_config(candidate))
        if candidate.heal_steps or isinstance(rounded, QatConfig):
            rough = self._quantized(model, _nearest(rounded), calls.of(f"rough {candidate.bits}"))
            given_up = self._proxy(rough, calls.of("rough proxy"), is_to_be_trained=True)
            if given_up is not None:
                return given_up
        if candidate.heal_steps:
            healed = calls.of("healed", candidate.heal_steps)
            model = healed(distill, whole, model, self.data, config=self.space.heal_config(candidate))
        model = self._rounded(model, whole, rounded, calls.of(candidate.bits))
        given_up = self._proxy(model, calls.of("proxy"), is_to_be_trained=False)
        return self._served(model, candidate.threads, calls) if given_up is None else given_up

    def _tuned(self, candidate: Candidate, calls: _Calls) -> ModelArtifact:
        tuning = self.space.tunings[candidate.tuning]
        if tuning is None:
            return self.base
        tuned: ModelArtifact = calls.of(f"tuned {candidate.tuning}")(
            stage_of(tuning), self.base, self.data, config=tuning
        )
        if isinstance(tuning.method, Lora):
            tuned = calls.of("merged")(merge, self.base, tuned, config=MergeConfig())
        return tuned

    def _rounded(
        self, model: ModelArtifact, whole: ModelArtifact, rounded: Rounded | None, call: Callable[..., Any]
    ) -> ModelArtifact:
        match rounded:
            case QatConfig():
                trained: ModelArtifact = call(qat, model, whole, self.data, config=rounded)
                return trained
            case QuantizeConfig() | None:
                return self._quantized(model, rounded, call)
            case _:
                assert_never(rounded)

    def _quantized(
        self, model: ModelArtifact, config: QuantizeConfig | None, call: Callable[..., Any]
    ) -> ModelArtifact:
        if config is None:
            return model
        text = (self.data,) if config.needs_text else ()
        quantized: ModelArtifact = call(quantize, model, *text, config=config)
        return quantized

    def _proxy(self, model: ModelArtifact, call: Callable[..., Any], *, is_to_be_trained: bool) -> Outcome | None:
        """Judge a model cheaply; None where it goes on."""
        size = next((m.value for m in model.evidence if m.name == "size_bytes"), None) if model.is_sealed else None
        digests = {"model": model.digest}
        figures = Figures(size_bytes=size)
        options = {"is_to_be_trained": is_to_be_trained}
        reason = refusal(self.limits, self.judge.proxy, figures, **options)
        if not reason and self.limits.min_quality is not None:
            report = self.judge.cheaply(call, model)
            if report.is_sealed:
                figures = replace(figures, quality_frac=proxy_quality(report))
                digests["proxy"] = report.digest
                reason = refusal(self.limits, self.judge.proxy, figures, **options)
        return Outcome("rejected", figures, reason, digests, is_early=is_to_be_trained) if reason else None

    def _served(self, model: ModelArtifact, threads: int | None, calls: _Calls) -> Outcome:
        written: ModelArtifact = calls.of("export")(export, model, config=ExportConfig(Openvino()))
        load: ReportArtifact = calls.of("load")(
            load_served, written, self.data, config=replace(self.load, threads=threads)
        )
        quality = self.judge.served(calls.of("quality"), written)
        if not (quality.is_sealed and load.is_sealed and written.is_sealed):
            return Outcome("complete")  # planned
        failed = load.measurement("failed_requests")
        if failed.value:
            reason = f"its server left {failed.value:.0f} of {failed.n} requests without an answer"
            return Outcome("failed", reason=reason, digests={"model": model.digest, "load": load.digest})
        figures = figures_of(
            load, quality.measurement(quality_name(self.judge.quality)), written.measurement("size_bytes").value
        )
        digests = {"model": model.digest, "served": written.digest, "load": load.digest, "quality": quality.digest}
        return Outcome("complete", figures, "", digests)


def _nearest(rounded: Rounded | None) -> QuantizeConfig | None:
    """Give the quick form of a way to round: the same grids, to the nearest value."""
    match rounded:
        case QatConfig(bits=bits):
            return QuantizeConfig(bits)
        case QuantizeConfig():
            return replace(rounded, rounding=Nearest())
        case None:
            return None
        case _:
            assert_never(rounded)
