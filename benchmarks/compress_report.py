"""Sum up benchmarks/compress_chain.py: medians, ratios to the baseline round by round, intervals, and the table."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from compress_rows import BASELINE, Row

from burnish.measure.bootstrap import bootstrap

Losses = Mapping[str, Sequence[float]]
_MEASURES = ("prefill_cpu_s", "step_cpu_s")


@dataclass
class Reading:
    """What was measured of one row so far.

    Attributes:
        losses: text -> nats of each document.
        rounds: number of the round -> medians of its passes.
        error: what failed; there is nothing else to say then, or no more.
    """

    row: Row
    size_bytes: int | None = None
    losses: dict[str, list[float]] = field(default_factory=dict)
    rounds: dict[int, dict[str, float]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    make_versions: dict[str, str] = field(default_factory=dict)
    make_cpu_s: float | None = None
    error: str = ""


def perplexity_ratio(mine: Sequence[float], base: Sequence[float], tokens: Sequence[int]) -> dict[str, float]:
    """Give the perplexity over the baseline's on the same documents, with its interval over documents.

    Args:
        mine: nats of each document; of the same text, though a tokenizer of its own may have cut it otherwise.
        base: the baseline's.
        tokens: of each document, that the baseline predicts.
    """

    def ratio(part: Sequence[int]) -> float:
        return math.exp(sum(mine[at] - base[at] for at in part) / sum(tokens[at] for at in part))

    found = {"ratio": ratio(range(len(mine)))}
    if len(mine) > 1:
        found["low"], found["high"] = bootstrap(ratio, len(mine), seed=0)
    return found


def speed_of(mine: Mapping[int, Mapping[str, float]], base: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Give medians over rounds, and how many times faster than the baseline of the same round: median, least, most."""
    found: dict[str, float] = {}
    for name in _MEASURES if mine else ():
        found[name] = statistics.median(each[name] for each in mine.values())
        times = [base[at][name] / each[name] for at, each in mine.items() if at in base]
        if times:
            found |= {f"{name}: times_faster": statistics.median(times)}
            found |= {f"{name}: times_faster_min": min(times), f"{name}: times_faster_max": max(times)}
    return found


def summary(readings: Mapping[str, Reading], tokens: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """Sum up each row beside the baseline.

    Args:
        tokens: text -> tokens of each document that the baseline predicts.
    """
    base = readings[BASELINE]
    return [_summed(reading, base, tokens) for reading in readings.values()]


def _summed(reading: Reading, base: Reading, tokens: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    texts: dict[str, dict[str, float]] = {}
    for name, losses in reading.losses.items():
        texts[name] = {"perplexity": math.exp(sum(losses) / sum(tokens[name]))}
        if name in base.losses:
            texts[name] |= perplexity_ratio(losses, base.losses[name], tokens[name])
    row = reading.row
    smaller = base.size_bytes / reading.size_bytes if base.size_bytes and reading.size_bytes else None
    return {
        "key": row.key,
        "title": row.title,
        "runtime": row.runtime,
        "made_by": asdict(row.make) if row.make else None,
        "settings": row.settings,
        "versions": reading.make_versions | reading.versions,
        "error": reading.error,
        "no_speed": row.no_speed,
        "size_bytes": reading.size_bytes,
        "times_smaller": smaller,
        "make_cpu_s": reading.make_cpu_s,
        "speed": speed_of(reading.rounds, base.rounds),
        "texts": texts,
        "losses_nats": reading.losses,
        "rounds": reading.rounds,
    }


def table(rows: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> str:
    """Write the table."""
    heads = ["row", "MB", "x smaller", "decode ms", "x decode", "prefill ms", "x prefill"]
    heads += [f"{text}: x perplexity" for text in texts]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(_cells(row, texts))} |" for row in rows]
    notes = [f"{row['title']}: {row['error'] or row['no_speed']}." for row in rows if row["error"] or row["no_speed"]]
    return "\n".join([*lines, *(["", *(f"- {note}" for note in notes)] if notes else []), ""])


def _cells(row: Mapping[str, Any], texts: Sequence[str]) -> list[str]:
    size, smaller, speed = row["size_bytes"], row["times_smaller"], row["speed"]
    cells = [row["title"], "" if size is None else f"{size / 1e6:.1f}", "" if smaller is None else f"{smaller:.2f}"]
    for name in reversed(_MEASURES):
        times = speed.get(f"{name}: times_faster")
        cells += [f"{1000 * speed[name]:.1f}" if name in speed else "", "" if times is None else f"{times:.2f}"]
    for text in texts:
        found = row["texts"].get(text, {})
        interval = f" [{found['low']:.3f}, {found['high']:.3f}]" if "low" in found else ""
        cells.append(f"{found['ratio']:.3f}{interval}" if "ratio" in found else "")
    if row["error"]:
        cells[0] += " (failed)"
    return cells
