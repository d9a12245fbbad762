"""Set rules of gradient clipping side by side: how steadily and how fast a small model learns under each.

    python benchmarks/clipping_stability.py --work DIR --out benchmarks/results/clipping_stability_....json

Six rules in four settings (a good or too high a learning rate, with and without steps of random bytes), every rule from
the same start on the same text, seed by seed; the same stages as `burnish claims T6`, which takes fewer of them. A
stopped run goes on where it was. Needs the extras `data` and `train`, and no GPU.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from burnish.artifacts import Store
from burnish.claims.clipping_trial import (
    CALM,
    HOT,
    NOISY,
    ROUGH,
    RULES,
    TrialConfig,
    read_trials,
    train_under_rules,
)
from burnish.claims.t6_clipping import compare, make_start
from burnish.runtime import Run
from burnish.runtime.events import EventLog
from burnish.runtime.hardware import fingerprint

_SETTINGS = (CALM, NOISY, HOT, ROUGH)


def main() -> int:
    """Train, compare, and write the reading."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, type=Path, help="folder for the store")
    parser.add_argument("--seeds", type=int, default=10, help="trainings of each rule in each setting (default: 10)")
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error(f"--seeds is {given.seeds}; an interval needs at least 2")
    start_s = time.monotonic()
    given.work.mkdir(parents=True, exist_ok=True)
    run = Run(Store(given.work / "store"), EventLog(given.work / "events.jsonl"))
    start, text = make_start(run, 0)
    reports = []
    for seed in range(given.seeds):
        reports.append(run(train_under_rules, start, text, config=TrialConfig(tuple(RULES), _SETTINGS, seed=seed)))
        print(f"seed {seed + 1} of {given.seeds}: {time.monotonic() - start_s:.0f} s", file=sys.stderr)
    trials = read_trials(reports)
    reading = {
        "what": "gains over a fixed bound of 1, seed by seed; jumps, divergence and last loss of each rule and setting",
        "rules": {name: {"kind": type(rule).__name__, **asdict(rule)} for name, rule in RULES.items()},
        "settings": [asdict(setting) for setting in _SETTINGS],
        "seeds": given.seeds,
        "measured": [asdict(measurement) for measurement in compare(trials, 0.95)],
        "command": f"python benchmarks/clipping_stability.py --seeds {given.seeds}",
        "wall_s": round(time.monotonic() - start_s, 1),
        "fingerprint": fingerprint(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(reading, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for row in compare(trials, 0.95):
        print(f"{row.name:42} {row}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
