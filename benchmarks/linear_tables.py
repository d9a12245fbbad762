"""How `linear_kernels.py` writes what it measured."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Place = tuple[int, int, int]  # rows, inputs, outputs


def write(out: Path, body: dict[str, Any]) -> None:
    """Write JSON and a table of what is there so far."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    is_tuning = any("tile" in row for row in body["rows"])
    lines = [*(best_tiles(body["rows"]) if is_tuning else table(body["rows"])), ""]
    lines.append(
        "Measured ceilings: " + ", ".join(f"{name} {value:.4g}" for name, value in body["ceilings"].items()) + "."
    )
    if body["left_out"]:
        lines += ["", f"Left out for want of time: {len(body['left_out'])} measurements, listed in the JSON."]
    out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(rows: list[Row]) -> list[str]:
    """Write a line a kernel; bf16's time over its own is of the same shape and rows."""
    bf16 = {place_of(row): row["time_us"] for row in rows if row["kernel"] == "bf16" and "time_us" in row}
    lines = ["| inputs x outputs | rows | kernel | way | µs | over bf16 | of the roofline | error |", "|---" * 8 + "|"]
    for row in rows:
        head = f"| {row['inputs']} x {row['outputs']} | {row['rows']} | {row['kernel']} | {row.get('way', '')} |"
        if "time_us" not in row:
            lines.append(f"{head} {row['error'][:80]} | | | |")
            continue
        base_us = bf16.get(place_of(row))
        ratio = "" if base_us is None else f"{base_us / row['time_us']:.2f}x"
        share, error = f"{row['roofline_frac']:.0%}", f"{row['relative_error']:.1e}"
        lines.append(f"{head} {row['time_us']:.1f} | {ratio} | {share} | {error} |")
    return lines


def best_tiles(rows: list[Row]) -> list[str]:
    """Write the fastest tile of each number of rows and shape, and the one that is least slow over all shapes."""
    right = [row for row in rows if "time_us" in row]
    best: dict[Place, Row] = {}
    for row in right:
        if row["time_us"] < best.get(place_of(row), {"time_us": math.inf})["time_us"]:
            best[place_of(row)] = row
    lines = ["| rows | inputs x outputs | fastest tile | µs | of the roofline |", "|---" * 5 + "|"]
    for num_rows in sorted({place[0] for place in best}):
        places = sorted(place for place in best if place[0] == num_rows)
        for place in places:
            row = best[place]
            share = f"{row['roofline_frac']:.0%}"
            lines.append(
                f"| {num_rows} | {place[1]} x {place[2]} | {shown(row['tile'])} | {row['time_us']:.1f} | {share} |"
            )
        for tile, ratio in least_slow(right, {place: best[place]["time_us"] for place in places}):
            lines.append(f"| {num_rows} | all | {tile} | {ratio:.2f} x the fastest of each | |")
    failed = len(rows) - len(right)
    return [*lines, "", f"{len(right)} timed, {failed} wrong or refused, as the JSON says."]


def least_slow(rows: list[Row], best_us: dict[Place, float]) -> list[tuple[str, float]]:
    """Give the tile, of those timed at every place, whose mean time over the fastest is least; none where none was."""
    times: dict[str, dict[Place, float]] = {}
    for row in rows:
        if place_of(row) in best_us:
            times.setdefault(shown(row["tile"]), {})[place_of(row)] = row["time_us"]
    whole = {tile: each for tile, each in times.items() if len(each) == len(best_us)}
    ratios = {
        tile: statistics.geometric_mean([each[place] / best_us[place] for place in best_us])
        for tile, each in whole.items()
    }
    return sorted(ratios.items(), key=lambda item: item[1])[:1]


def place_of(row: Row) -> Place:
    """Say which comparison a row is of."""
    return row["rows"], row["inputs"], row["outputs"]


def shown(tile: dict[str, Any]) -> str:
    """Write a tile in short."""
    return ", ".join(f"{name} {value}" for name, value in tile.items())
