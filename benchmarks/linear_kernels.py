"""Time linear layers of quantised weights on a GPU: ours, torch's own, and bf16, by shape and number of rows.

    python benchmarks/linear_kernels.py --out benchmarks/results/linear_kernels_HARDWARE_YYYYMM.json
    python benchmarks/linear_kernels.py --tune --rows 1 16 64 --out benchmarks/results/linear_tiles_HARDWARE_YYYYMM.json

Calls are replayed in CUDA graphs, over copies of the weights that the L2 cache cannot hold; rounding of activations is
part of a call. A time is the median of the replays, taken twice. Before it is timed, every copy's product is compared with
its answer in float32, and a wrong kernel is not timed. The floor is the larger of two times: the fewest bytes over the
measured rate of a copy, and the operations over the measured rate of the unit that does them; `roofline_frac` is floor
over time. `--tune` times the 4-bit kernel under a list of tiles in place of the comparison, and prints the fastest for
each number of rows. What the budget has no time for is listed as left out.
"""

import argparse
import datetime
import functools
import itertools
import json
import math
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from linear_contestants import NAMES, Call, Contestant, Unfit, contestant
from linear_tables import write
from linear_timing import ceilings, num_copies, timed

from burnish.compress.grids import IntGrid, place
from burnish.nn.kernels.int4_linear import MAX_ROWS, Tile, launch_int4, pack_int4
from burnish.runtime.hardware import fingerprint

SHAPES = ((4096, 14336), (4096, 4096), (14336, 4096))  # inputs, outputs: Llama-3-8B's up, attention and down
ROWS = (1, 16, 64, 256, 2048)
# relative to the answer, by unit; rounding to bf16 costs 2e-3, e4m3 products keep fewer bits of sums, a wrong index costs 1
MAX_ERROR = {"bf16": 1e-2, "int8": 1e-2, "fp8": 2e-2}
TILES = [
    Tile(block_n, block_k, split_k, num_warps, num_stages)
    for (block_n, num_warps), block_k, split_k, num_stages in itertools.product(
        ((32, 2), (64, 2), (64, 4), (128, 4)), (128, 256), (2, 4, 8), (3, 5)
    )
]

Row = dict[str, Any]
Step = tuple[Row, Callable[[], Row]]  # what is measured, and what measures it


def main() -> int:
    """Measure, write, print."""
    given = arguments(sys.argv[1:])
    if not torch.cuda.is_available():
        print(f"error: linear_kernels times a CUDA GPU, and torch {torch.__version__} sees none", file=sys.stderr)
        return 2
    torch.backends.cuda.matmul.allow_tf32 = False  # answers are float32's own
    until_s = time.monotonic() + given.budget_s
    found = ceilings()
    body = header(found)
    for label, run in (tune if given.tune else compare)(given, found):
        if time.monotonic() > until_s:
            body["left_out"].append(label)
            continue
        body["rows"].append(label | outcome(run))
        print(json.dumps(body["rows"][-1]), file=sys.stderr)
        write(given.out, body)
    write(given.out, body)
    print(given.out.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=shape, nargs="+", default=list(SHAPES), metavar="INPUTSxOUTPUTS")
    parser.add_argument(
        "--rows", type=int, nargs="+", help=f"of activations (default: {ROWS}; to {MAX_ROWS} with --tune)"
    )
    parser.add_argument("--kernels", choices=NAMES, nargs="+", help="of the comparison (default: all)")
    parser.add_argument("--group", type=int, choices=(32, 64, 128), default=128, help="of 4-bit weights (default: 128)")
    parser.add_argument("--tune", action="store_true", help="time the 4-bit kernel's tiles in place of the comparison")
    parser.add_argument("--budget-s", type=float, default=420, help="start nothing after so long (default: 420)")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(words)
    given.rows = given.rows or [each for each in ROWS if each <= MAX_ROWS or not given.tune]
    if given.tune and given.kernels:
        parser.error("--tune times the 4-bit kernel alone; drop --kernels")
    given.kernels = given.kernels or list(NAMES)
    if min(given.rows) < 1:
        parser.error(f"--rows {min(given.rows)}: at least 1")
    if given.tune and max(given.rows) > MAX_ROWS:
        parser.error(f"--rows {max(given.rows)}: the 4-bit kernel, which --tune times, takes at most {MAX_ROWS}")
    return given


def shape(text: str) -> tuple[int, int]:
    """Read inputs and outputs."""
    inputs, _, outputs = text.partition("x")
    if not (inputs.isdigit() and outputs.isdigit()) or int(inputs) % 128 or int(outputs) % 16:
        raise argparse.ArgumentTypeError(f"{text}: write it as 4096x14336, multiples of 128 and 16")
    return int(inputs), int(outputs)


def compare(given: argparse.Namespace, found: dict[str, float]) -> Iterator[Step]:
    """List the kernels at every shape and number of rows."""
    for (inputs, outputs), rows, name in itertools.product(given.shapes, given.rows, given.kernels):
        label = {"rows": rows, "inputs": inputs, "outputs": outputs, "kernel": name}
        yield label, functools.partial(one_kernel, name, (rows, inputs, outputs), given.group, found)


def one_kernel(name: str, sizes: tuple[int, int, int], group: int, found: dict[str, float]) -> Row:
    """Check and time a kernel."""
    rows, inputs, outputs = sizes
    bits = 16 if name == "bf16" else 4 if name.endswith("int4") else 8
    x, weight = random_rows(rows, inputs), random_weight(inputs, outputs)
    return checked_and_timed(contestant(name, x, weight, num_copies(inputs * outputs * bits // 8), group), sizes, found)


def tune(given: argparse.Namespace, found: dict[str, float]) -> Iterator[Step]:
    """List the tiles, each at every shape and number of rows."""
    for tile, (inputs, outputs), rows in itertools.product(TILES, given.shapes, given.rows):
        label = {"rows": rows, "inputs": inputs, "outputs": outputs, "kernel": "ours int4", "tile": asdict(tile)}
        yield label, functools.partial(one_tile, tile, (rows, inputs, outputs), given.group, found)


def one_tile(tile: Tile, sizes: tuple[int, int, int], group: int, found: dict[str, float]) -> Row:
    """Check and time a tile of the 4-bit kernel."""
    rows, inputs, outputs = sizes
    x = random_rows(rows, inputs)
    placed, held = packed_copies(inputs, outputs, group)
    calls: list[Call] = [functools.partial(launch_int4, x, weight, tile=tile) for weight in held]
    answer = x.float() @ placed.dequantize().t()
    return checked_and_timed(Contestant("int4_kernel", calls, answer, placed.num_bytes, "bf16"), sizes, found)


@functools.cache
def packed_copies(inputs: int, outputs: int, group: int) -> tuple[Any, list[Any]]:
    """Give a weight on its grid, and packed copies of it."""
    placed = place(random_weight(inputs, outputs), IntGrid(4, group))
    return placed, [pack_int4(placed.values_OI, placed.scale_OG) for _ in range(num_copies(inputs * outputs // 2))]


def random_rows(rows: int, inputs: int) -> Any:
    """Draw activations."""
    return torch.randn(rows, inputs, device="cuda", dtype=torch.bfloat16)


def random_weight(inputs: int, outputs: int) -> Any:
    """Draw a weight."""
    return torch.randn(outputs, inputs, device="cuda") / math.sqrt(inputs)


def outcome(run: Callable[[], Row]) -> Row:
    """Run a measurement; what breaks is noted, and the others go on."""
    try:
        return run()
    except Unfit as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001  # out of memory, no such tile: the row says so
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def checked_and_timed(one: Contestant, sizes: tuple[int, int, int], found: dict[str, float]) -> Row:
    """Compare every copy's product with the answer; time them where all are right."""
    errors = [relative_error(call, one.answer) for call in one.calls]
    error = max(errors, key=lambda each: math.inf if math.isnan(each) else each)
    if not error <= MAX_ERROR[one.unit]:
        return {"way": one.way, "error": f"wrong, so not timed: relative error {error:.3g}"}
    return {"way": one.way, "relative_error": error} | figures(timed(one.calls), one, sizes, found)


def relative_error(call: Call, answer: Any) -> float:
    """Compare a call with its answer, on memory that held no numbers where the allocator gives the same again."""
    poison = torch.full(answer.shape, math.nan, dtype=torch.bfloat16, device=answer.device)
    del poison
    return float((call().float() - answer).norm() / answer.norm())


def figures(medians_us: Any, one: Contestant, sizes: tuple[int, int, int], found: dict[str, float]) -> Row:
    """Set a time beside its floor."""
    rows, inputs, outputs = sizes
    num_bytes = one.weight_bytes + 2 * rows * (inputs + outputs)
    num_ops = 2 * rows * inputs * outputs
    floor_us = 1e6 * max(num_bytes / found["copy_bytes_per_s"], num_ops / found[f"{one.unit}_ops_per_s"])
    time_us = statistics.mean(medians_us)
    return {
        "time_us": time_us,
        "medians_us": list(medians_us),
        "num_bytes": num_bytes,
        "num_ops": num_ops,
        "floor_us": floor_us,
        "roofline_frac": floor_us / time_us,
    }


def header(found: dict[str, float]) -> dict[str, Any]:
    """Say what was measured where, and how."""
    import triton

    device = torch.cuda.get_device_properties(0)
    return {
        "benchmark": "linear_kernels",
        "what": "one linear layer; CUDA graphs; weights rotated past the L2 cache; rounding of activations included",
        "command": shlex.join(["python", "benchmarks/linear_kernels.py", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": {"name": device.name, "l2_bytes": device.L2_cache_size, "num_sms": device.multi_processor_count},
        "versions": {"torch": torch.__version__, "cuda": torch.version.cuda, "triton": triton.__version__},
        "ceilings": found,
        "rows": [],
        "left_out": [],
        "fingerprint": fingerprint(),
    }


if __name__ == "__main__":
    sys.exit(main())
