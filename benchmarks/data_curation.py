"""Curation side by side: burnish, datatrove and data-juicer on one corpus of known faults, one worker each, in turn.

    benchmarks/peers/environments.sh
    python benchmarks/data_curation.py --corpus CORPUS --tools burnish,datatrove_tuned,data_juicer,datatrove:1 \
        --rounds 3 --same-kept 1,2,8 --out benchmarks/results/data_curation_HARDWARE_YYYYMM.json --gate

CORPUS is made by benchmarks/make_corpus.py. Each tool does the same job (repair text, mask personal data, quality and
repetition rules, exact and near copies, write JSONL) in a child process of one thread; rounds are interleaved. CPU
seconds count from the child's first instruction, so start-up is in them; before the first round each tool runs once on a
few documents, uncounted, so that none pays for cold files or a first compilation. What is kept is graded against the
corpus's truth file. Writes FILE.json, and FILE.md from it.
"""

import argparse
import datetime
import hashlib
import json
import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from curation_report import bars, failures, markdown, needs
from curation_runs import TOOLS, Outcome, interpreter, lines_of, reshard, run_once, run_rounds, warm_up

from burnish.runtime.hardware import fingerprint

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Corpus:
    """What a folder of the generator holds, as the results name it."""

    name: str
    docs: int
    text_bytes: int
    shards: int
    lines_sha256: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, grade, write, print; give 3 if the gate was asked for and is missed."""
    given = parse(arguments)
    result = measure(given)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    page = markdown(json.loads(given.out.read_text(encoding="utf-8")))
    given.out.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)
    missed = failures(result["gate"])
    for line in missed if given.gate else ():
        print(f"gate: {line}", file=sys.stderr)
    return 3 if given.gate and missed else 0


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Run everything that was asked for and gather it."""
    corpora = {name: given.corpus if name == "burnish" else given.peer_corpus for name in given.tools}
    known = {path: describe(path) for path in sorted(set(corpora.values()))}
    with tempfile.TemporaryDirectory(prefix="curation-") as folder:
        work = Path(folder)
        warm_up(given, corpora, work)
        outcomes = run_rounds(given, corpora, work)
        same_kept = {
            str(shards): asdict(
                run_once("burnish", reshard(given.corpus, shards, work / f"shards-{shards}"), given, work).reading
            )
            for shards in given.same_kept
        }
    result = {
        "benchmark": "data_curation",
        "command": command_line(given),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **fingerprint(),
        "corpora": [asdict(corpus) for corpus in known.values()],
        "warm_up_docs": given.warm_up_docs,
        "tools": {name: summarise(name, corpora[name], known[corpora[name]], outcomes[name]) for name in given.tools},
        "same_kept": same_kept,
    }
    return {**result, "gate": bars(result) if set(needs()) <= set(given.tools) else []}


def summarise(name: str, folder: Path, corpus: Corpus, outcomes: list[Outcome]) -> dict[str, Any]:
    """Give the medians of a tool's rounds, its quality, and every reading."""
    from grade import grade

    rounds = [outcome.reading for outcome in outcomes]
    megabytes = corpus.text_bytes / 1e6
    last = outcomes[-1]
    return {
        "title": TOOLS[name].title,
        "corpus": corpus.name,
        "num_rounds": len(rounds),
        "versions": last.versions,
        "settings": last.settings,
        "median": {
            "cpu_s": statistics.median(reading.cpu_s for reading in rounds),
            "mb_per_cpu_s": statistics.median(megabytes / reading.cpu_s for reading in rounds),
            "mb_per_cpu_s_after_start": statistics.median(megabytes / (r.cpu_s - r.start_cpu_s) for r in rounds),
            "docs_per_cpu_s": statistics.median(corpus.docs / reading.cpu_s for reading in rounds),
            "peak_memory_bytes": statistics.median(reading.peak_memory_bytes for reading in rounds),
        },
        "quality": grade(folder, last.kept, last.filtered),
        "rounds": [asdict(reading) for reading in rounds],
    }


def describe(corpus: Path) -> Corpus:
    """Count a corpus. The digest is of its lines in order: another number of shards has the same."""
    docs, text_bytes, digest = 0, 0, hashlib.sha256()
    for line in lines_of(corpus / "jsonl"):
        digest.update(line)
        docs += 1
        text_bytes += len(json.loads(line)["text"].encode())
    shards = len(list((corpus / "jsonl").glob("*.jsonl")))
    return Corpus(corpus.resolve().name, docs, text_bytes, shards, digest.hexdigest())


def command_line(given: argparse.Namespace) -> str:
    """Give the command for the record: a folder outside the repository by its name alone."""
    words = [Path(word).name if word.startswith((os.sep, "..", "~")) else word for word in given.command]
    return shlex.join(["python", "benchmarks/data_curation.py", *words])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; `tools` becomes a dict of name to number of rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, type=Path, help="folder made by the generator; burnish curates it")
    parser.add_argument("--peer-corpus", type=Path, help="a smaller one for the peers (default: the same)")
    parser.add_argument("--tools", default="burnish,datatrove_tuned", help=f"NAME or NAME:ROUNDS of {', '.join(TOOLS)}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each tool that names no number of its own")
    parser.add_argument("--out", required=True, type=Path, help="the JSON to write; the table goes beside it as .md")
    parser.add_argument("--environments", type=Path, default=ROOT / ".peers", help="made by peers/environments.sh")
    parser.add_argument("--warm-up-docs", type=int, default=50, help="documents of the uncounted first run; 0 = none")
    parser.add_argument("--same-kept", default="", help="shard counts, as 1,2,8, for which burnish must keep the same")
    parser.add_argument("--timeout-s", type=float, default=3600, help="longest that one run of one tool may take")
    parser.add_argument("--gate", action="store_true", help="exit 3 unless every bar of the gate is met")
    given = parser.parse_args(arguments)
    given.command = list(sys.argv[1:] if arguments is None else arguments)
    given.peer_corpus = given.peer_corpus or given.corpus
    try:
        given.tools = dict(_rounds_of(part, given.rounds) for part in given.tools.split(","))
        given.same_kept = [int(part) for part in given.same_kept.split(",") if part]
    except ValueError as problem:
        parser.error(str(problem))
    _refuse(parser, given)
    return given


def _rounds_of(part: str, otherwise: int) -> tuple[str, int]:
    name, _, number = part.strip().partition(":")
    if name not in TOOLS:
        raise ValueError(f"tool {name!r} is not known; choose from {', '.join(TOOLS)}")
    rounds = int(number) if number else otherwise
    if rounds < 1:
        raise ValueError(f"{name} has {rounds} rounds; at least 1 is needed")
    return name, rounds


def _refuse(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse before the first minute is spent what would fail later."""
    for corpus in (given.corpus, given.peer_corpus):
        if not list((corpus / "jsonl").glob("*.jsonl")) or not (corpus / "truth.jsonl").exists():
            parser.error(f"{corpus} lacks jsonl/*.jsonl or truth.jsonl; make it with benchmarks/make_corpus.py")
    for name in given.tools:
        python = interpreter(name, given.environments)
        if not Path(python).exists():
            parser.error(f"{name} needs {python}; run benchmarks/peers/environments.sh {given.environments}")
    if given.gate and (missing := [name for name in needs() if name not in given.tools]):
        parser.error(f"the gate compares with {', '.join(missing)}, which --tools lacks")
    if given.same_kept and "burnish" not in given.tools:
        parser.error("--same-kept runs burnish, which --tools lacks")
    if any(shards < 1 for shards in given.same_kept):
        parser.error(f"--same-kept has {given.same_kept}; each must be at least 1")


if __name__ == "__main__":
    sys.exit(main())
