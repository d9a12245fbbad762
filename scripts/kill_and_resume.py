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
from burnish.runtime.events import RunFinished, StageSealed, StageStarted, read_events


def main() -> int:
    """Run the drill; return 0 if the disturbed store equals the undisturbed one."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        calm = Path(folder) / "calm"
        start_s = time.monotonic()
        if start(options, calm).wait() != 0:
            print("error: the undisturbed run failed; see its output above")
            return 1
        seconds = time.monotonic() - start_s
        print(f"undisturbed run: {seconds:.1f} s")
        wild = kill_at_random(options, Path(folder), seconds)
        if start(options, wild[-1]).wait() != 0:
            print("error: the last run failed; see its output above")
            return 1
        return max(compare(calm, store) for store in wild)


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


def kill_at_random(options: argparse.Namespace, folder: Path, seconds: float) -> list[Path]:
    """Kill `options.kills` runs, each at a moment drawn over the first part of what a whole run takes.

    Each resumes what the one before left. Where one ends before its moment, the next begins in a new store, so that
    the kills spread over the whole chain. Gives the stores; the last one is not finished yet.
    """
    rng = random.Random(options.seed)
    stores = [folder / "wild-1"]
    num_killed = 0
    while num_killed < options.kills:
        process = start(options, stores[-1])
        moment_s = rng.uniform(0.5, 0.6 * seconds)
        try:
            process.wait(moment_s)
            print(f"a run ended before {moment_s:.1f} s; the next begins anew")
            stores.append(folder / f"wild-{len(stores) + 1}")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            num_killed += 1
            print(f"kill {num_killed} after {moment_s:.1f} s, during {at_work(stores[-1])}")
    return stores


def at_work(store: Path) -> str:
    """Name what the newest run of a store was doing."""
    runs = sorted(path for path in (store / "runs").glob("*/events.jsonl"))
    started = [event.label for _, event in read_events(runs[-1]) if isinstance(event, StageStarted)] if runs else []
    return started[-1] if started else "start-up"


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
