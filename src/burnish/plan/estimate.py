"""Estimates of a plan: what each stage took here before, else what it took on the reference machine."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources, util
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime.events import StageSealed, read_events
from burnish.runtime.run import Step

_PROBE_S = 0.2
_PROBE_WIDTH = 64  # OpenBLAS keeps a product of 64 x 64 matrices on one thread
_MAX_RUNS = 20  # newest runs that are looked through for a stage's last figures


@dataclass(frozen=True)
class Estimate:
    """What a stage is likely to take; None where nobody has measured it.

    Attributes:
        how: where the figures are from.
    """

    seconds: float | None
    peak_memory_bytes: int | None
    how: str


def estimate(steps: Sequence[Step], *, runs: Path, profile: str) -> tuple[Estimate, ...]:
    """Estimate every step of a plan.

    A stage counts as measured here where a run of the same profile in `runs` sealed it under the same label;
    the newest counts. The figures of another profile would mislead: the tiny one is many times shorter.
    """
    here = measured(runs, profile=profile)
    reference = json.loads(resources.files("burnish.plan").joinpath("reference.json").read_text(encoding="utf-8"))
    there: dict[str, Any] = reference["profiles"].get(profile, {})
    is_scaled = any(not s.is_cached and _key(s) not in here and s.label in there for s in steps)
    ratio = _slower(reference["probe_gflops_per_s"]) if is_scaled else None
    return tuple(here.get(_key(step)) or _from_reference(there.get(step.label), ratio) for step in steps)


def measured(runs: Path, *, profile: str) -> dict[tuple[str, str], Estimate]:
    """Read what each (stage, label) took the last time it was made, from the newest runs of a profile."""
    found: dict[tuple[str, str], Estimate] = {}
    folders = sorted((folder for folder in runs.glob("*") if folder.is_dir()), reverse=True)
    for folder in [folder for folder in folders if _profile(folder) == profile][:_MAX_RUNS]:
        try:
            sealed = [event for _, event in read_events(folder / "events.jsonl") if isinstance(event, StageSealed)]
        except BurnishError:
            continue  # a run without readable events has measured nothing
        for event in sealed:
            guess = Estimate(event.seconds, event.peak_memory_bytes, "measured here")
            found.setdefault((event.stage, event.label), guess)
    return found


def _key(step: Step) -> tuple[str, str]:
    return step.stage, step.label


def _profile(folder: Path) -> str | None:
    try:
        body = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    profile: str | None = body.get("profile")
    return profile


def _from_reference(figures: dict[str, Any] | None, ratio: float | None) -> Estimate:
    if figures is None:
        return Estimate(None, None, "unknown")
    how = "reference machine" if ratio is None else f"reference machine × {ratio:.2f}"
    return Estimate(figures["seconds"] * (ratio or 1.0), figures["peak_memory_bytes"], how)


def _slower(reference_gflops_per_s: float | None) -> float | None:
    """Say how many times slower this machine multiplies than the reference; None where that is not known."""
    if reference_gflops_per_s is None or util.find_spec("numpy") is None:
        return None
    return reference_gflops_per_s / probe_gflops_per_s()


def probe_gflops_per_s() -> float:
    """Multiply small matrices on one thread for 0.2 s; needs numpy."""
    import numpy as np

    matrix = np.random.default_rng(0).random((_PROBE_WIDTH, _PROBE_WIDTH), dtype=np.float32)
    result = np.empty_like(matrix)
    start_s = time.perf_counter()
    count = 0
    while (elapsed_s := time.perf_counter() - start_s) < _PROBE_S:
        for _ in range(100):
            np.matmul(matrix, matrix, out=result)
        count += 100
    return count * 2 * _PROBE_WIDTH**3 / elapsed_s / 1e9
