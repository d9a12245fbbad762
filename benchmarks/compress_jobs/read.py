"""Read one model with one engine on one thread: the loss of texts, or the CPU seconds of a prompt and of the steps after it.

    python read.py SPEC.json OUT.json

Runs in the engine's own environment. CPU seconds are of the whole process, so that threads of the engine count too.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from engines import ENGINES, Engine, versions


def main() -> int:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    settings = spec["settings"] | {"last_only": spec["speed"] is not None}
    engine = ENGINES[spec["runtime"]](Path(spec["path"]), settings)
    found: dict[str, Any] = {"size_bytes": engine.size_bytes}
    if spec["speed"] is None:
        found["losses"] = {
            name: [loss_of(engine.logits(ids), ids) for ids in documents] for name, documents in spec["texts"].items()
        }
    else:
        found |= timed(engine, **spec["speed"])
    found["versions"] = versions(engine)
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
    return 0


def loss_of(logits: np.ndarray, ids: Sequence[int]) -> float:
    """Sum the loss of each token but the first, in nats; logits are (tokens, vocabulary)."""
    rows = logits[:-1].astype(np.float64)
    if not np.isfinite(rows).all():
        raise FloatingPointError("the engine gave logits that are not finite")
    top = rows.max(1, keepdims=True)
    whole = np.log(np.exp(rows - top).sum(1)) + top[:, 0]
    return float((whole - rows[np.arange(len(ids) - 1), list(ids[1:])]).sum())


def timed(engine: Engine, ids: Sequence[int], prefill_tokens: int, passes: int) -> dict[str, list[float]]:
    """Time passes over the same tokens; the first is uncounted, since kernels are chosen and compiled in it."""
    prefill_s, step_s = [], []
    for _ in range(passes + 1):
        start_s = time.process_time()
        engine.prefill(ids[:prefill_tokens])
        read_s = time.process_time()
        for token in ids[prefill_tokens:]:
            engine.step(token)
        prefill_s.append(read_s - start_s)
        step_s.append((time.process_time() - read_s) / (len(ids) - prefill_tokens))
    return {"prefill_cpu_s": prefill_s[1:], "step_cpu_s": step_s[1:]}


if __name__ == "__main__":
    sys.exit(main())
