"""The plan of a dry run as a table: what is cached, what is to be made, and what that is likely to take."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from burnish.cli.units import in_bytes, in_time
from burnish.plan.estimate import Estimate, estimate
from burnish.runtime.run import Step


def print_plan(recipe: str, steps: Sequence[Step], *, runs: Path, profile: str) -> None:
    """Print the steps of a plan with their estimates, and the total."""
    estimates = estimate(steps, runs=runs, profile=profile)
    table = Table(title=f"plan of {recipe}, profile {profile}", title_justify="left", title_style="bold", box=None)
    for column in ("stage", "digest", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("time", justify="right")
    table.add_column("peak memory", justify="right")
    table.add_column("estimate from")
    for step, guess in zip(steps, estimates, strict=True):
        if step.is_cached:
            table.add_row(step.label, step.digest[:12], "↺ cached", "", "", "", style="dim")
        else:
            time, memory = _time(guess), _memory(guess)
            table.add_row(step.label, step.digest[:12], "● to be made", time, memory, guess.how)
    console = Console()
    console.print(table)
    console.print(total(steps, estimates), markup=False, highlight=False)


def total(steps: Sequence[Step], estimates: Sequence[Estimate]) -> str:
    """Say in one sentence what the whole plan is likely to take."""
    to_make = {step.digest: guess for step, guess in zip(steps, estimates, strict=True) if not step.is_cached}
    num_cached = len({step.digest for step in steps}) - len(to_make)
    if not to_make:
        return f"total: all {num_cached} cached, nothing to be made"
    known_s = [guess.seconds for guess in to_make.values() if guess.seconds is not None]
    peaks = [guess.peak_memory_bytes for guess in to_make.values() if guess.peak_memory_bytes is not None]
    num_unknown = len(to_make) - len(known_s)
    time = f"about {in_time(sum(known_s))}" if known_s else "unknown time"
    rest = f" and {num_unknown} of unknown time" if known_s and num_unknown else ""
    memory = f", peak memory {in_bytes(max(peaks))}" if peaks else ""
    return f"total: {len(to_make)} to be made, {num_cached} cached; {time}{rest}{memory}"


def _time(guess: Estimate) -> str:
    return "unknown" if guess.seconds is None else in_time(guess.seconds)


def _memory(guess: Estimate) -> str:
    return "unknown" if guess.peak_memory_bytes is None else in_bytes(guess.peak_memory_bytes)
