"""Kill a run with SIGKILL at random moments, resume it each time, and compare the end with an undisturbed run.

    .venv/bin/python scripts/kill_and_resume.py [--kills 20] [--seed 0] [--recipe recipes/quickstart.yaml] [key=value …]

Compared are the final artifact's digest and the payload bytes of every dataset and model on the way. Payloads of
reports hold times and differ by their nature. Also checked: no sealed artifact was made twice, none is corrupt.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from burnish.artifacts import Store
from burnish.runtime.events import RunFinished, StageSealed, read_events


def main() -> int:
    """Run the drill; return 0 if the disturbed store equals the undisturbed one."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        calm, wild = Path(folder) / "calm", Path(folder) / "wild"
        start_s = time.monotonic()
        if start(options, calm).wait() != 0:
            print("error: the undisturbed run failed; see its output above")
            return 1
        seconds = time.monotonic() - start_s
        print(f"undisturbed run: {seconds:.1f} s")
        kill_until_tired(options, wild, seconds)
        while start(options, wild).wait() != 0:
            print("the last run failed; once more")
        return compare(calm, wild)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", default="recipes/quickstart.yaml")
    parser.add_argument("overrides", nargs="*", default=["profile=tiny"])
    return parser.parse_args()


def start(options: argparse.Namespace, store: Path) -> "subprocess.Popen[bytes]":
    """Start a run in its own process group, so that a kill reaches its children too."""
    command = [sys.executable, "-m", "burnish", "run", options.recipe, "--plain", "--store", str(store)]
    return subprocess.Popen([*command, *options.overrides], stdout=subprocess.DEVNULL, start_new_session=True)


def kill_until_tired(options: argparse.Namespace, store: Path, seconds: float) -> None:
    """Kill `options.kills` runs, each at a moment that lets all of them together get about through the whole."""
    rng = random.Random(options.seed)
    for number in range(1, options.kills + 1):
        process = start(options, store)
        moment_s = rng.uniform(0.5, max(3.0, 2.0 * seconds / options.kills))
        try:
            process.wait(moment_s)
            print(f"kill {number}: the run had ended before {moment_s:.1f} s")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            sealed = sum(1 for _ in Store(store).all())
            print(f"kill {number} after {moment_s:.1f} s: {sealed} artifacts sealed so far")


def compare(calm: Path, wild: Path) -> int:
    """Compare two stores; print what differs."""
    problems = []
    stores = [Store(calm), Store(wild)]
    digests = [{artifact.digest for artifact in store.all()} for store in stores]
    if digests[0] != digests[1]:
        problems.append(f"artifacts differ: {sorted(digests[0] ^ digests[1])}")
    compared = 0
    for digest in digests[0] & digests[1]:
        one, other = (store.find(digest) for store in stores)  # opening verifies every byte
        if one is None or other is None:
            problems.append(f"{digest[:12]} vanished")
        elif one.kind != "report":
            compared += 1
            if one.manifest.payload_digest != other.manifest.payload_digest:
                problems.append(f"{one.label}: payload bytes differ")
    problems += made_twice(wild)
    print(json.dumps({"artifacts": len(digests[1]), "payloads_compared": compared, "problems": problems}, indent=1))
    return 1 if problems else 0


def made_twice(store: Path) -> list[str]:
    """Find artifacts that were sealed more than once over all runs of a store."""
    sealed: Counter[str] = Counter()
    finished = 0
    for path in (store / "runs").glob("*/events.jsonl"):
        for _, event in read_events(path):
            if isinstance(event, StageSealed):
                sealed[event.digest] += 1
            finished += isinstance(event, RunFinished) and event.status == "ok"
    problems = [f"{digest[:12]} was made {count} times" for digest, count in sealed.items() if count > 1]
    return problems if finished else [*problems, "no run finished"]


if __name__ == "__main__":
    sys.exit(main())
