"""The table and the gate of the curation benchmark, both drawn from its JSON."""

from typing import Any

# Table columns of `quality`: key of grade.py, heading.
QUALITY = {
    "exact_recall": "exact",
    "near_recall": "near, J ≥ 0.8",
    "precision": "precision",
    "gibberish_recall": "gibberish",
    "clean_lost_frac": "clean lost",
}

# The first gate of TARGETS.md, P1. Speed bars: rival (none = burnish alone), least; quality bars: key, least or most.
LEAST_MB_PER_CPU_S = 10.0
LEAST_RATIO = {"datatrove_tuned": 40.0, "data_juicer": 70.0}
LEAST_QUALITY = {"exact_recall": 1.0, "near_recall": 0.995, "precision": 0.999, "gibberish_recall": 0.98}
MOST_CLEAN_LOST_FRAC = 0.02


def needs() -> tuple[str, ...]:
    """Name the tools without which the gate cannot be judged."""
    return ("burnish", *LEAST_RATIO)


def bars(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Judge burnish against every bar of the gate."""
    tools = result["tools"]
    ours, quality = tools["burnish"]["median"]["mb_per_cpu_s"], tools["burnish"]["quality"]
    judged = [_at_least("mb_per_cpu_s", ours, LEAST_MB_PER_CPU_S)]
    judged += [
        _at_least(f"ratio_to_{name}", ours / tools[name]["median"]["mb_per_cpu_s"], least)
        for name, least in LEAST_RATIO.items()
    ]
    judged += [_at_least(key, quality.get(key), least) for key, least in LEAST_QUALITY.items()]
    judged.append(_at_most("clean_lost_frac", quality.get("clean_lost_frac"), MOST_CLEAN_LOST_FRAC))
    kept = {reading["kept_sha256"] for reading in [*tools["burnish"]["rounds"], *result["same_kept"].values()]}
    judged.append(_at_most("kept_sets", len(kept), 1))
    return judged


def failures(gate: list[dict[str, Any]]) -> list[str]:
    """Say each bar that is missed, with its value and limit."""
    return [
        f"{bar['bar']} is {_said(bar['value'])}; it must be at {side} {bar[f'at_{side}']:g}"
        for bar in gate
        if not bar["met"]
        for side in ("least", "most")
        if f"at_{side}" in bar
    ]


def markdown(result: dict[str, Any]) -> str:
    """Draw the page: what was run, the table, the ratios, the gate."""
    tools = result["tools"]
    corpora = {corpus["name"]: corpus for corpus in result["corpora"]}
    hardware = result["hardware"]
    lines = [
        "# Curation: one worker, one job",
        "",
        f"{hardware['cpu']}, {hardware['num_cores']} cores, {hardware['memory_bytes'] / 2**30:.0f} GiB; {result['date']}. "
        + "; ".join(
            f"corpus `{c['name']}`: {c['docs']:,} documents, {c['text_bytes'] / 1e6:.1f} MB of text"
            for c in corpora.values()
        )
        + ".",
        "",
        "MB/s and documents/s are of text read, per CPU-second of the whole process, start-up included; medians of the rounds.",
        "",
        "| tool | CPU s | MB/s | MB/s after start-up | docs/s | peak MB | "
        + " | ".join(QUALITY.values())
        + " | burnish is | rounds |",
        "|---" * (8 + len(QUALITY)) + "|",
    ]
    lines += [_row(name, tool, tools.get("burnish"), len(corpora) > 1) for name, tool in tools.items()]
    lines += ["", *_notes(result), "", f"    {result['command']}", ""]
    return "\n".join(lines)


def _row(name: str, tool: dict[str, Any], ours: dict[str, Any] | None, says_corpus: bool) -> str:
    median, quality = tool["median"], tool["quality"]
    cells = [
        tool["title"] + (f", on `{tool['corpus']}`" if says_corpus else ""),
        f"{median['cpu_s']:.1f}",
        f"{median['mb_per_cpu_s']:.3g}",
        f"{median['mb_per_cpu_s_after_start']:.3g}",
        f"{median['docs_per_cpu_s']:,.0f}",
        f"{median['peak_memory_bytes'] / 1e6:,.0f}",
        *(_cell(quality.get(key)) for key in QUALITY),
        f"{ours['median']['mb_per_cpu_s'] / median['mb_per_cpu_s']:.1f}×" if ours and name != "burnish" else "",
        str(len(tool["rounds"])),
    ]
    return "| " + " | ".join(cells) + " |"


def _cell(share: float | None) -> str:
    return "–" if share is None else f"{share:.4f}"


def _notes(result: dict[str, Any]) -> list[str]:
    notes = []
    for name, tool in result["tools"].items():
        cpu_s = [reading["cpu_s"] for reading in tool["rounds"]]
        versions = ", ".join(f"{package} {version}" for package, version in tool["versions"].items())
        kept = len({reading["kept_sha256"] for reading in tool["rounds"]})
        changed = f"; its rounds kept {kept} different sets" if kept > 1 else ""
        notes.append(f"- {name}: {min(cpu_s):.2f}–{max(cpu_s):.2f} CPU s; {versions}{changed}.")
    if result["same_kept"]:
        digests = {reading["kept_sha256"] for reading in result["same_kept"].values()}
        said = "the same texts" if len(digests) == 1 else f"{len(digests)} different sets"
        notes.append(f"- burnish on {', '.join(result['same_kept'])} shards kept {said}.")
    missed = failures(result["gate"])
    if result["gate"]:
        num_bars = len(result["gate"])
        notes.append(f"- gate: {'; '.join(missed) if missed else f'all {num_bars} bars met'}.")
    return notes


# A share is None or absent where the corpus has no such case; a bar that was not measured is not met.
def _at_least(bar: str, value: float | None, least: float) -> dict[str, Any]:
    return {"bar": bar, "value": value, "at_least": least, "met": value is not None and value >= least}


def _at_most(bar: str, value: float | None, most: float) -> dict[str, Any]:
    return {"bar": bar, "value": value, "at_most": most, "met": value is not None and value <= most}


def _said(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.6g}"
