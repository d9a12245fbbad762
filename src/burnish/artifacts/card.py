"""The card: an artifact in words, generated from its manifest and evidence."""

from burnish.artifacts.evidence import Measurement
from burnish.artifacts.manifest import Manifest


def write_card(manifest: Manifest, evidence: tuple[Measurement, ...], summary: str) -> str:
    """Describe an artifact in Markdown: what it is, what it came from, what was measured, where."""
    lines = [
        f"# {manifest.stage.rsplit('.', 1)[-1]} · {manifest.kind} `{manifest.digest[:12]}`",
        "",
        summary,
        "",
        "## Came from",
        "",
    ]
    lines += [
        f"- {parent.stage.rsplit('.', 1)[-1]} · {parent.kind} `{parent.digest[:12]}`" for parent in manifest.parents
    ]
    lines += [f"- input `{path}` (SHA-256 {digest[:12]})" for digest, path in manifest.inputs.items()]
    if not manifest.parents and not manifest.inputs:
        lines.append("- nothing in the store: a source stage")
    lines += ["", "## Measured", ""]
    if evidence:
        lines += ["| what | value | 95 % interval | unit | n | how |", "|---|---|---|---|---|---|"]
        for m in evidence:
            interval = "exact" if m.low is None or m.high is None else f"{m.low:.4g} – {m.high:.4g}"
            lines.append(f"| {m.name} | {m.value:.6g} | {interval} | {m.unit} | {m.n} | {m.how} |")
    else:
        lines.append("Nothing was measured.")
    hardware = manifest.environment.get("hardware", {})
    lines += [
        "",
        "## Made",
        "",
        f"in {manifest.seconds:.1f} s, peak memory {manifest.peak_memory_bytes / 2**30:.2f} GiB, "
        f"on {hardware.get('cpu', 'unknown')} ({hardware.get('num_cores', '?')} cores).",
        "",
    ]
    return "\n".join(lines)
