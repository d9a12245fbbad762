"""Measure what attention costs as rows grow: time and peak memory of one layer, and of a training step of a decoder.

    python benchmarks/long_context.py --out benchmarks/results/long_context_....json
    python benchmarks/long_context.py --tokens 2048 4096 8192 16384 32768 65536 --precision bf16 --out ...   # on a GPU

The decoder is a Llama of random weights: width 256, 4 query and 2 key heads, 2 layers unless said otherwise. Every figure
comes from a process of its own. `exponent` is the slope of log cost over log tokens, by least squares over the longer
half of the lengths: 1 is linear, 2 quadratic.
"""

import argparse
import json
import math
import sys
import tempfile
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, get_args

from burnish.claims.step_cost import CostConfig, What, WrittenOut, measure_cost
from burnish.errors import BurnishError
from burnish.nn.attention import FullAttention, LocalGlobal, SlidingWindow
from burnish.nn.weights import quiet_transformers
from burnish.runtime.hardware import fingerprint

_KINDS: dict[str, FullAttention | SlidingWindow | LocalGlobal | WrittenOut] = {
    "scores written out": WrittenOut(),
    "full, fused": FullAttention(),
    "window 1024": SlidingWindow(1024),
    "window 256 + 4 global": LocalGlobal(256, 4),
}


def main() -> int:
    """Measure all, and write JSON and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 4096, 8192, 16384])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="repeats, the first only warms up (default: 2)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument(
        "--written-out", type=int, default=8192, help="most tokens for which scores are written out (default: 8192)"
    )
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        make_decoder(Path(folder), given.layers, max(given.tokens))
        for what, name, length in product(get_args(What), _KINDS, sorted(given.tokens)):
            if name == "scores written out" and length > given.written_out:
                continue
            row = measure(Path(folder), what, name, length, given)
            if row is not None:
                rows.append(row)
                write(rows, given.out)  # what is measured is kept, whatever ends the rest
    print(table(rows, exponents(rows)))
    return 0


def write(rows: list[dict[str, Any]], out: Path) -> None:
    """Write JSON and a table of the rows so far."""
    fits = exponents(rows)
    body = {
        "what": "one attention layer forward and backward; a training step of a tiny decoder, nothing computed again",
        "rows": rows,
        "exponents": fits,
        "command": f"python {' '.join(sys.argv)}",
        "fingerprint": fingerprint(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(table(rows, fits), encoding="utf-8")


def make_decoder(folder: Path, num_layers: int, num_tokens: int) -> None:
    """Write the decoder."""
    import torch
    import transformers

    torch.manual_seed(0)
    shape = transformers.LlamaConfig(
        vocab_size=2048, hidden_size=256, intermediate_size=704, num_hidden_layers=num_layers, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=num_tokens, tie_word_embeddings=True, pad_token_id=None,
    )  # fmt: skip
    with quiet_transformers():
        transformers.LlamaForCausalLM(shape).save_pretrained(folder)


def measure(folder: Path, what: What, name: str, length: int, given: argparse.Namespace) -> dict[str, Any] | None:
    """Measure one; None where it did not end."""
    config = CostConfig(folder, _KINDS[name], length, what=what, precision=given.precision, num_steps=given.steps)
    try:
        cost = measure_cost(config)
    except BurnishError as error:
        print(error, file=sys.stderr)
        return None
    print(f"{what:6}{name:24}{length:8,}{cost.seconds:9.3f} s{cost.peak_bytes / 2**20:9.0f} MiB", file=sys.stderr)
    return {"what": what, "attention": name, "tokens": length, **asdict(cost)}


def exponents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fit log cost = a + b log tokens over the longer half of the lengths, and give b."""
    found = []
    for what, name in dict.fromkeys((row["what"], row["attention"]) for row in rows):
        series = sorted(
            (row for row in rows if (row["what"], row["attention"]) == (what, name)), key=lambda row: row["tokens"]
        )
        series = series[-max(2, math.ceil(len(series) / 2)) :]
        if len(series) > 1:
            found.append(
                {"what": what, "attention": name} | {key: slope(series, key) for key in ("seconds", "peak_bytes")}
            )
    return found


def slope(series: list[dict[str, Any]], key: str) -> float:
    """Give the slope of log cost over log tokens."""
    pairs = [(math.log(row["tokens"]), math.log(row[key])) for row in series]
    mean_x, mean_y = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
    return sum((x - mean_x) * (y - mean_y) for x, y in pairs) / sum((x - mean_x) ** 2 for x, _ in pairs)


def table(rows: list[dict[str, Any]], fits: list[dict[str, Any]]) -> str:
    """Write Markdown."""
    lengths = sorted({row["tokens"] for row in rows})
    lines = []
    for what in ("layer", "model"):
        head = [f"{length:,}" for length in lengths]
        lines += [
            f"| {what}: seconds, MiB | {' | '.join(head)} | exponent of time, memory |",
            "|---" * (len(lengths) + 2) + "|",
        ]
        for name in _KINDS:
            cells = {row["tokens"]: row for row in rows if (row["what"], row["attention"]) == (what, name)}
            shown = [
                f"{cells[length]['seconds']:.3f} s, {cells[length]['peak_bytes'] / 2**20:,.0f}"
                if length in cells
                else "–"
                for length in lengths
            ]
            fit = next((f for f in fits if (f["what"], f["attention"]) == (what, name)), None)
            power = f"{fit['seconds']:.2f}, {fit['peak_bytes']:.2f}" if fit else "–"
            lines.append(f"| {name} | {' | '.join(shown)} | {power} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
