"""Kill a training run with SIGKILL at random moments, resume it each time, and compare its end with an undisturbed run.

    .venv/bin/python scripts/kill_training.py [--kills 20] [--seed 0] [--method lora|full] [--every 2]

Trained is a small model of random weights with dropout, in a process of its own that is killed in its steps and in the
writing of snapshots. Compared are the bytes of the final weights and of the training log: every loss, norm and rate of
every step. Takes about three minutes on two cores, most of it for starting 21 processes.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from burnish.artifacts.digest import file_digest
from burnish.runtime.events import EventLog, Metrics, Warned, read_events
from burnish.runtime.workdir import fresh

STEPS_PER_KILL = 4  # so many at most lie between a start and the moment of its kill
START_S = 120  # a process that has not trained by then never will
RESUMED = "resumed from the snapshot of step "
RESULTS = ("weights.safetensors", "log.json")


@dataclass(frozen=True)
class Kill:
    """One kill: where training stood, what was being written, and where the next process went on."""

    resumed_from: int
    step: int
    writing: str


def main() -> int:
    """Run the drill; return 0 if the disturbed run ended with the bytes of the undisturbed one."""
    options = parse()
    if options.train is not None:
        train(options, options.train)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        calm, wild = Path(folder) / "calm", Path(folder) / "wild"
        kills = []
        if start(options, calm).wait() != 0:
            print("error: the undisturbed run failed; see its output above")
            return 1
        for kill in kill_at_random(options, wild):
            kills.append(kill)
            print(
                f"kill {len(kills)} of {options.kills}: resumed from {kill.resumed_from}, at step {kill.step}",
                flush=True,
            )
        if len(kills) < options.kills or start(options, wild).wait() != 0:
            print("error: a run ended or failed before its kill; see its output above")
            return 1
        same = {name: file_digest(calm / name) == file_digest(wild / name) for name in RESULTS}
        show(options, kills, same)
        return 0 if all(same.values()) else 1


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--method", choices=("lora", "full"), default="lora")
    parser.add_argument("--every", type=int, default=2, help="steps from a snapshot to the next")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)  # the process that is killed
    return parser.parse_args()


def start(options: argparse.Namespace, folder: Path) -> "subprocess.Popen[bytes]":
    """Train in a process of its own."""
    command = [sys.executable, __file__, "--train", str(folder), "--method", options.method]
    return subprocess.Popen([*command, "--kills", str(options.kills), "--every", str(options.every)])


def kill_at_random(options: argparse.Namespace, folder: Path) -> Iterator[Kill]:
    """Kill `options.kills` processes, each a few steps and a random part of a step after it has resumed."""
    rng = random.Random(options.seed)
    for _ in range(options.kills):
        done = folder / "events.jsonl"
        before = done.stat().st_size if done.exists() else 0
        process = start(options, folder)
        goal = rng.randint(1, STEPS_PER_KILL)
        step_s = wait_for_steps(process, done, before, goal)
        if step_s is None:
            process.kill()
            process.wait()
            return
        time.sleep(rng.uniform(0, step_s))
        process.kill()
        process.wait()
        yield found_in(folder, before)


def wait_for_steps(process: "subprocess.Popen[bytes]", path: Path, before: int, goal: int) -> float | None:
    """Wait for `goal` steps of a process; give the seconds a step, None where it ended first."""
    deadline_s = time.monotonic() + START_S
    times: list[float] = []
    while time.monotonic() < deadline_s and process.poll() is None:
        num_steps = path.read_bytes()[before:].count(b'"event": "Metrics"') if path.exists() else 0
        times += [time.monotonic()] * (num_steps - len(times))
        if num_steps >= goal:
            return max(0.05, times[-1] - times[0])
        time.sleep(0.002)
    return None


def found_in(folder: Path, before: int) -> Kill:
    """Read what a killed process has left."""
    torn = folder / "events.jsonl"
    own = folder / "own.jsonl"
    own.write_bytes(torn.read_bytes()[before:])
    events = [event for _, event in read_events(own)]
    torn.write_bytes(torn.read_bytes()[: torn.read_bytes().rfind(b"\n") + 1])
    resumed = [int(e.message.removeprefix(RESUMED)) for e in events if isinstance(e, Warned) and RESUMED in e.message]
    steps = [event.step for event in events if isinstance(event, Metrics)]
    writing = [path.name for path in (folder / "work.snapshots").glob("*partial")]
    return Kill(resumed[0] if resumed else 0, steps[-1], "a snapshot" if writing else "")


def show(options: argparse.Namespace, kills: list[Kill], same: dict[str, bool]) -> None:
    """Print the table."""
    table = Table("kill", "resumed from step", "killed after step", "was writing", title=f"{options.method}, kill -9")
    for number, kill in enumerate(kills, start=1):
        table.add_row(str(number), str(kill.resumed_from), str(kill.step), kill.writing)
    console = Console(width=100)
    console.print(table)
    for name, is_same in same.items():
        console.print(f"{name}: {'equal, byte for byte' if is_same else 'DIFFERENT'}")


def train(options: argparse.Namespace, folder: Path) -> None:
    """Train the small model, or go on with it, and write its weights and log."""
    import torch
    import transformers
    from safetensors.torch import save_file

    from burnish.learn.loop import LoopConfig, fit
    from burnish.learn.packing import Sample, pack
    from burnish.learn.task import TokenTask
    from burnish.train.methods import Full, Lora, prepare

    os.nice(5)
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # two threads would share a sum out in another order when one is late
    shape = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(vocab_size=256, num_key_value_heads=2, attention_dropout=0.1, **shape)
    model = transformers.LlamaForCausalLM(config)
    method = Full() if options.method == "full" else Lora(rank=8, dropout=0.1)
    model, groups = prepare(model, method, folder)
    rng = random.Random(0)
    texts = [tuple(rng.randrange(256) for _ in range(rng.randint(40, 200))) for _ in range(50)]
    samples = [Sample(ids, (0.0,) + (1.0,) * (len(ids) - 1)) for ids in texts]
    loop = LoopConfig(
        num_steps=(options.kills + 1) * (STEPS_PER_KILL + 2),
        row_tokens=256,
        learning_rate=1e-3,
        snapshot_every_steps=options.every,
        validate_every_steps=10_000,
    )
    out = fresh(folder / "work", "kill_training", EventLog(folder / "events.jsonl"))
    fitted = fit(model, pack(samples, row_tokens=256, seed=0), (), TokenTask(), loop, out, groups)
    (folder / RESULTS[1]).write_text(json.dumps(fitted.log))
    save_file({name: p.detach().contiguous() for name, p in model.named_parameters()}, folder / RESULTS[0])


if __name__ == "__main__":
    sys.exit(main())
