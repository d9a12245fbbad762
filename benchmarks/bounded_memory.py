"""Prove that memory stays bounded: curate a corpus of gigabytes, and read the peak of every process.

    python benchmarks/bounded_memory.py --base CORPUS --gb 4 --work DIR --out benchmarks/results/bounded_memory_....json

The corpus is made from CORPUS/jsonl (`make_corpus.py`): each of its documents comes again and again, every time with
another quarter of its words left out, so that it is new text and no near copy of itself.
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from burnish.runtime.hardware import fingerprint

_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+|\W", re.UNICODE)
_DROPPED_FRAC = 0.25  # of words: two versions share (0.75^2)^5 of their runs of five words, about 6 %
_SHARD_BYTES = 64 << 20
_SAMPLE_S = 0.2


def main() -> int:
    """Make the corpus, run the command, and write the reading; exit code 1 if the bound was passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, type=Path, help="folder with jsonl/*.jsonl")
    parser.add_argument("--gb", type=float, default=4.0, help="size of the text (default: 4)")
    parser.add_argument("--work", required=True, type=Path, help="folder for corpus and store; needs 4x the size")
    parser.add_argument(
        "--max-gb", type=float, default=2.0, help="bound on resident memory, all processes (default: 2)"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    corpus = given.work / "corpus"
    num_bytes, num_documents = make(given.base, corpus, round(given.gb * 1e9))
    store = given.work / "store"
    if store.exists():
        parser.error(f"{store} is there already, so nothing would be measured; remove it")
    command = [str(Path(sys.executable).with_name("burnish")), "data", "run"]
    command += [str(recipe(given.work, corpus, given.workers)), "--plain", "--store", str(store)]
    start_s = time.monotonic()
    peak_bytes, code = watch(command)
    if code == 0 and not list(store.glob("report/*/payload/index.html")):
        parser.error(f"{command} made no report; nothing was measured")
    reading = {
        "what": "peak resident memory of all processes of `burnish data run`, sampled five times a second",
        "text_bytes": num_bytes,
        "documents": num_documents,
        "peak_resident_bytes": peak_bytes,
        "bound_bytes": round(given.max_gb * 1e9),
        "peak_bytes_a_document": round(peak_bytes / num_documents),
        "wall_s": round(time.monotonic() - start_s, 1),
        "workers": given.workers,
        "exit_code": code,
        "command": f"python benchmarks/bounded_memory.py --gb {given.gb} --workers {given.workers}",
        "fingerprint": fingerprint(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(reading, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(reading, indent=1))
    return int(code != 0 or peak_bytes > given.max_gb * 1e9)


def make(base: Path, corpus: Path, size: int) -> tuple[int, int]:
    """Write JSONL shards of `size` bytes of text; give the bytes and the number of documents."""
    done = corpus / "done.json"
    if done.exists():
        found = json.loads(done.read_text(encoding="utf-8"))
        return found["bytes"], found["documents"]
    corpus.mkdir(parents=True, exist_ok=True)
    num_bytes = num_documents = turn = 0
    sink = None
    while num_bytes < size:
        for path in sorted((base / "jsonl").glob("*.jsonl")):
            for line in path.open(encoding="utf-8"):
                row = json.loads(line)
                text = version(row["text"], turn, num_documents)
                if sink is None or sink.tell() > _SHARD_BYTES:
                    sink = (corpus / f"part-{num_bytes:014d}.jsonl").open("w", encoding="utf-8")
                sink.write(json.dumps({"id": f"{row['id']}-{turn}", "text": text}, ensure_ascii=False) + "\n")
                num_bytes, num_documents = num_bytes + len(text.encode()), num_documents + 1
            if num_bytes >= size:
                break
        turn += 1
    done.write_text(json.dumps({"bytes": num_bytes, "documents": num_documents}), encoding="utf-8")
    return num_bytes, num_documents


def version(text: str, turn: int, seed: int) -> str:
    """Leave out a quarter of the words, another one each turn; turn 0 is the text itself."""
    if turn == 0:
        return text
    tokens = _TOKEN.findall(text)
    kept = np.random.default_rng(seed).random(len(tokens)) >= _DROPPED_FRAC
    return "".join([token for token, keep in zip(tokens, kept, strict=True) if keep or not token.isalnum()])


def recipe(work: Path, corpus: Path, workers: int) -> Path:
    """Write the recipe."""
    path = work / "bounded.yaml"
    engine = f"{{kind: local, workers: {workers}}}"
    path.write_text(
        f"collect:\n  sources:\n    - {{kind: files, path: {corpus}, pattern: '*.jsonl', id_key: id}}\n"
        f"clean: {{engine: {engine}}}\nselect: {{engine: {engine}}}\n",
        encoding="utf-8",
    )
    return path


def watch(command: list[str]) -> tuple[int, int]:
    """Run a command; give the peak of its and its children's resident memory together, and its exit code."""
    process = subprocess.Popen(command)
    peak = 0
    stopped = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not stopped.wait(_SAMPLE_S):
            peak = max(peak, sum(map(resident_bytes, family(process.pid))))

    sampler = threading.Thread(target=sample)
    sampler.start()
    code = process.wait()
    stopped.set()
    sampler.join()
    return peak, code


def family(root: int) -> list[int]:
    """List a process and its descendants."""
    found = [root]
    for process in found:
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text(encoding="ascii").split()]
            except OSError:
                continue
    return found


def resident_bytes(process: int) -> int:
    """Read a process's resident memory; 0 once it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)


if __name__ == "__main__":
    sys.exit(main())
