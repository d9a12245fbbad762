"""Training step side by side: burnish, plain transformers, TRL with Liger and Unsloth, same model, tokens and optimizer.

    python benchmarks/train_step.py --shape qwen2-1.5b --modes full,lora --tools burnish,transformers,trl,unsloth \
        --rounds 3 --out benchmarks/results/train_step_HARDWARE_YYYYMM.json

A model of the shape, with random weights, is written once; each tool opens it in a child process, trains on the same
documents of one length, none padded, and notes every step. Rounds are interleaved. A reading counts only where the
loss falls and the gradient is not zero. MFU is the model's arithmetic (6 x matmul parameters a token and the causal half of
attention for full tuning, 4 x for LoRA, plus the adapters'; recomputation never counted) over the device's peak.
Writes FILE.json, and FILE.md from it.
"""

import argparse
import datetime
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

JOBS = Path(__file__).parent / "train_jobs"
sys.path.insert(0, str(JOBS))

from step_reading import RANK, SHAPES, median_s, write_model

PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bf16, from NVIDIA's data sheets
TOOLS = ("burnish", "transformers", "trl", "unsloth")


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", choices=tuple(SHAPES), default="qwen2-1.5b")
    parser.add_argument("--modes", default="full,lora")
    parser.add_argument("--tools", default=",".join(TOOLS), help="NAME or NAME:ROWS, sequences of one step")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--sequence", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--timeout-s", type=int, default=180)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(os.environ.get("TRAIN_STEP_MODEL", folder)) / given.shape, given.shape)
        readings = list(run_rounds(given, model, Path(folder)))
    result = {
        "benchmark": "train_step",
        "command": shlex.join(["python", "benchmarks/train_step.py", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": device_name(),
        "shape": given.shape,
        "sequence": given.sequence,
        "precision": given.precision,
        "readings": readings,
        "summary": summary(readings, given),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    page = markdown(result)
    given.out.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)
    return 0


def run_rounds(given: argparse.Namespace, model: Path, work: Path) -> Any:
    """Run every tool in every mode, round by round."""
    for number in range(given.rounds):
        for mode in given.modes.split(","):
            for tool in given.tools.split(","):
                name, _, rows = tool.partition(":")
                reading = run_one(name, mode, int(rows or given.rows), given, model, work)
                said = reading.get("failed") or f"{reading['tokens'] / median_s(reading['step_s']):,.0f} tokens/s"
                print(f"round {number + 1}: {tool} {mode}: {said}", file=sys.stderr, flush=True)
                yield reading


def run_one(name: str, mode: str, rows: int, given: argparse.Namespace, model: Path, work: Path) -> dict[str, Any]:
    """Run one job in a child process; one that fails is a reading that says so."""
    out = work / "reading.json"
    out.unlink(missing_ok=True)
    command = [
        sys.executable, str(JOBS / f"{name}_job.py"), "--model", str(model), "--mode", mode, "--rows", str(rows),
        "--sequence", str(given.sequence), "--steps", str(given.steps), "--precision", given.precision, "--out", str(out),
    ]  # fmt: skip
    environment = {**os.environ, "TORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
    tool = f"{name}, {rows} sequences a step"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=given.timeout_s, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"tool": tool, "mode": mode, "failed": f"took more than {given.timeout_s} s"}
    if done.returncode or not out.exists():
        last = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
        return {"tool": tool, "mode": mode, "failed": last}
    reading: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) | {"tool": tool}
    losses, norms = reading["losses"], reading["grad_norms"]
    if not losses or losses[-1] >= losses[0] or min(norms) <= 0:
        reading["failed"] = f"loss {losses[:1]} to {losses[-1:]}, gradient norms from {min(norms, default=0)}"
    return reading


def summary(readings: list[dict[str, Any]], given: argparse.Namespace) -> list[dict[str, Any]]:
    """Give medians over the rounds of each tool and mode, and burnish's best against it."""
    rows = []
    for mode in given.modes.split(","):
        good = [reading for reading in readings if reading["mode"] == mode and "failed" not in reading]
        names = dict.fromkeys(reading["tool"] for reading in good)
        speeds = {
            name: statistics.median(r["tokens"] / median_s(r["step_s"]) for r in good if r["tool"] == name)
            for name in names
        }
        ours = max((speed for name, speed in speeds.items() if name.startswith("burnish")), default=0.0)
        for name, speed in speeds.items():
            mine = [reading for reading in good if reading["tool"] == name]
            rows.append(
                {
                    "mode": mode,
                    "tool": name,
                    "tokens_per_s": round(speed),
                    "mfu_frac": mfu(speed, mode, given),
                    "peak_memory_gib": round(max(r["peak_memory_bytes"] for r in mine) / 2**30, 1),
                    "first_loss": round(mine[0]["losses"][0], 3),
                    "last_loss": round(mine[0]["losses"][-1], 3),
                    "burnish_is": None if name.startswith("burnish") else round(ours / speed, 2),
                    "rounds": len(mine),
                }
            )
    return rows


def flops_per_token(shape: dict[str, Any], mode: str, sequence: int) -> float:
    """Count a training token's arithmetic: matrix products and the causal half of attention."""
    width, layers = shape["hidden_size"], shape["num_hidden_layers"]
    kv = width // shape["num_attention_heads"] * shape["num_key_value_heads"]
    linear = [(width, width), (width, kv), (width, kv), (width, width)] + 3 * [(width, shape["intermediate_size"])]
    weights = layers * sum(a * b for a, b in linear) + width * shape["vocab_size"]
    attention = layers * 2 * width * sequence / 2  # forward: two products over half of the positions, 2 FLOPs each
    if mode == "full":
        return 6 * weights + 3 * 2 * attention
    adapters = layers * sum(RANK * (a + b) for a, b in linear)
    return 4 * weights + 3 * 2 * attention + 6 * adapters


def mfu(tokens_per_s: float, mode: str, given: argparse.Namespace) -> float | None:
    """Give the share of the device's peak, where that is known."""
    peak = next((flops for name, flops in PEAK_FLOPS.items() if name in device_name()), None)
    if peak is None or given.precision != "bf16":
        return None
    return round(tokens_per_s * flops_per_token(SHAPES[given.shape], mode, given.sequence) / peak, 3)


def device_name() -> str:
    """Name the device."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"


def markdown(result: dict[str, Any]) -> str:
    """Write the table."""
    lines = [
        f"# A training step of {result['shape']}, sequence {result['sequence']}, {result['precision']}",
        "",
        f"{result['device']}; {result['date']}. Medians over the rounds; tokens are all of documents, none padding.",
        "",
        "| mode | tool | tokens/s | MFU | peak GiB | loss | burnish's best is | rounds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["summary"]:
        share = "" if row["mfu_frac"] is None else f"{row['mfu_frac']:.1%}"
        ratio = "" if row["burnish_is"] is None else f"{row['burnish_is']:.2f}×"
        loss = f"{row['first_loss']} → {row['last_loss']}"
        cells = (
            row["mode"],
            row["tool"],
            f"{row['tokens_per_s']:,}",
            share,
            row["peak_memory_gib"],
            loss,
            ratio,
            row["rounds"],
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    failed = {(r["mode"], r["tool"], r["failed"].splitlines()[-1][:200]) for r in result["readings"] if "failed" in r}
    lines += ["", *(f"- {mode}, {tool}: {why}" for mode, tool, why in sorted(failed))]
    versions = {name: value for r in result["readings"] for name, value in r.get("versions", {}).items()}
    lines += [
        f"- {', '.join(f'{name} {value}' for name, value in sorted(versions.items()))}.",
        "",
        f"    {result['command']}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
