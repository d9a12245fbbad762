"""Compression side by side: ours and the tools that people use, on SmolLM2-135M, on one thread of the CPU.

    python benchmarks/compress_chain.py --out benchmarks/results/compress_chain_HARDWARE_YYYYMM.json
    python benchmarks/compress_chain.py --tools ours,nncf_int8,llmcompressor_gptq --ours MODEL_FOLDER --out FILE.json

Rows: transformers in float32 (the baseline), burnish, llama.cpp's quantiser, NNCF, torchao, llm-compressor. Who calibrates
does so on the same rows of the Linux manual pages. Perplexity is of the same tokens of Python's help topics and of articles
and web pages, in each engine's own arithmetic, with an interval over documents. Speed is CPU seconds of the process, a
prompt of 128 tokens and 32 steps after it, rows in turn. Every row runs in processes of its own and is written as soon as
it is measured; one that fails says why. Peers' environments are made on first use (peers/environments.sh).

`--ours` adds a model that burnish compressed, exported to each form or as the export that it is. If its tokenizer is
another, that one cuts the same texts, and its loss counts over the baseline's number of tokens.
"""

import argparse
import datetime
import json
import os
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from compress_bench import Bench, ensure_environments
from compress_report import Reading, summary, table
from compress_rows import BASELINE, chosen

from burnish.runtime.hardware import fingerprint

ROOT = Path(__file__).resolve().parents[1]
MAX_TOKENS = 1024  # of the longest row: compress_jobs/llama.py makes room for no more


def main(arguments: Sequence[str] | None = None) -> int:
    """Make and read each model, then time them in turn; write after every job."""
    given = parse(arguments)
    readings = {row.key: Reading(row) for row in given.rows}
    refused = ensure_environments(given.rows, given.environments)
    bench = Bench.of(given)
    for reading in readings.values():
        reading.error = next((refused[name] for name in sorted(reading.row.environments & set(refused))), "")
        if not reading.error:
            _attempt(reading, lambda reading=reading: bench.read(reading))
        write(given, bench, readings)
    for number in range(given.rounds):
        for reading in readings.values():
            if not reading.error and not reading.row.no_speed:
                _attempt(reading, lambda reading=reading, number=number: bench.time(reading, number))
                write(given, bench, readings)
    print(given.out.with_suffix(".md").read_text(encoding="utf-8"))
    return 1 if readings[BASELINE].error else 0


def _attempt(reading: Reading, job: Any) -> None:
    """Run a row's job; what breaks is its result, and the others go on."""
    try:
        job()
    except Exception as error:  # noqa: BLE001
        reading.error = f"{type(error).__name__}: {error}"
    rounds = [each["step_cpu_s"] for each in reading.rounds.values()]
    shown = f"{1000 * statistics.median(rounds):.1f} ms a token" if rounds else "read"
    print(f"{reading.row.key}: {reading.error or shown}", file=sys.stderr, flush=True)


def write(given: argparse.Namespace, bench: Bench, readings: dict[str, Reading]) -> None:
    """Write JSON and a table of what is there so far."""
    begun = {key: each for key, each in readings.items() if key == BASELINE or each.error or each.losses}
    rows = summary(begun, bench.tokens)
    body = {
        "benchmark": "compress_chain",
        "command": command_line(given),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **fingerprint(),
        "num_threads": 1,
        "tokens_sha256": bench.prepared["tokens_sha256"],
        "predicted_tokens": {name: sum(counts) for name, counts in bench.tokens.items()},
        "calibration_tokens": given.calibration_rows * given.calibration_tokens,
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    given.out.with_suffix(".md").write_text(table(rows, list(bench.tokens)), encoding="utf-8")


def command_line(given: argparse.Namespace) -> str:
    """Give the command for the record: a folder outside the repository by its name alone."""
    words = [Path(word).name if word.startswith((os.sep, "..", "~")) else word for word in given.command]
    return shlex.join(["python", "benchmarks/compress_chain.py", *words])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line and refuse what would fail later."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", default="", help="beginnings of row keys, by commas (default: all but slow ones)")
    parser.add_argument("--ours", type=Path, action="append", default=[], help="a model folder to add; may be repeated")
    parser.add_argument("--documents", type=int, default=24, help="of each text")
    parser.add_argument("--tokens", type=int, default=256, help="of each document")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=3, help="of a round, after one uncounted")
    parser.add_argument("--prefill-tokens", type=int, default=128)
    parser.add_argument("--decode-tokens", type=int, default=32)
    parser.add_argument("--calibration-rows", type=int, default=32)
    parser.add_argument("--calibration-tokens", type=int, default=512, help="of each calibration row")
    parser.add_argument("--environments", type=Path, default=ROOT / ".peers", help="folder of the peers' environments")
    parser.add_argument("--work", type=Path, default=ROOT / ".peers" / "compress_chain", help="made models; about 3 GB")
    parser.add_argument("--timeout-s", type=float, default=7200, help="longest that one job may take")
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write; the table goes beside it as .md")
    given = parser.parse_args(arguments)
    given.command = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("documents", "rounds", "passes", "prefill_tokens", "decode_tokens", "calibration_rows"):
        if getattr(given, name) < 1:
            parser.error(f"{name} is {getattr(given, name)}; it must be at least 1")
    if given.tokens < 2 or max(given.tokens, given.prefill_tokens + given.decode_tokens) > MAX_TOKENS:
        parser.error(f"rows have 2 to {MAX_TOKENS} tokens")
    try:
        given.rows = chosen(given.tools.split(","), given.ours)
    except ValueError as problem:
        parser.error(str(problem))
    return given


if __name__ == "__main__":
    sys.exit(main())
