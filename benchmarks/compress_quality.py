"""What compression costs and what training takes back: perplexity on texts that no training saw, over the float model's.

    python benchmarks/compress_quality.py --model SMOLLM2_FOLDER --train train.txt --held-out pydoc.txt Persuasion.txt \
        --tokens 3000000 --out benchmarks/results/compress_quality_HARDWARE_YYYYMM.json

Rows: rounding to nearest and GPTQ on 4-bit grids, quantisation-aware training, pruning (40 % of the FFN, a fifth of the
layers) healed by distillation, each beside a control that reads the same tokens by plain cross-entropy. Every row is
measured alone and written at once, so that a stopped run loses one row at most; a row that fails says why. `--only` takes
the rows whose names begin so.
"""

import argparse
import gc
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from burnish.compress.bits import Bits, ByKind, Uniform, grid_for
from burnish.compress.clip import Clip, MseClip, NoClip, clip_of
from burnish.compress.fake_quant import LoraQat, matrices
from burnish.compress.grids import IntGrid, place
from burnish.compress.pair import open_reader
from burnish.compress.qat import QatConfig, put_on_grids
from burnish.compress.student import StudentConfig, keep_layers
from burnish.learn.ahead import made_ahead
from burnish.learn.distillation import DistillTask, measure_rows
from burnish.learn.feature_matching import Features, matching_features
from burnish.learn.groups import Group
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import Row, pack, pack_once
from burnish.learn.records import Record
from burnish.learn.running_text import Ends, Pieces
from burnish.nn.compiled import compile_layers
from burnish.nn.divergence_loss import Matching
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Workdir
from burnish.runtime.events import EventLog
from burnish.runtime.hardware import fingerprint

DOCUMENT_CHARACTERS = 400_000
W4, W4_G64, W4_ROW = (Uniform(IntGrid(4, size), None) for size in (32, 64, None))
MIXED = ByKind(IntGrid(8), IntGrid(4, 64), None)


@dataclass
class Bench:
    """Text, the float model, and what was measured so far."""

    given: argparse.Namespace
    out: Workdir
    held_out: dict[str, list[Row]]
    pieces: Pieces
    teacher: Any
    rows: list[dict[str, Any]] = field(default_factory=list)

    def student(self, precision: str | None = None) -> Any:
        """Open the float model anew."""
        return open_reader(self.given.model, precision or self.given.precision)

    def calibration(self) -> list[list[int]]:
        """Take 64 rows of 512 training tokens."""
        size = min(512, self.given.row_tokens)
        return [list(self.pieces[at * len(self.pieces) // 64].ids[:size]) for at in range(64)]

    def measure(self, model: Any) -> dict[str, float]:
        """Compare with the float model on every held-out text."""
        found: dict[str, float] = {}
        for name, rows in self.held_out.items():
            kl, mine, theirs, agreed, weight = measure_rows(model, self.teacher, rows).sum(0).tolist()
            found |= {
                f"{name}: ratio": math.exp((mine - theirs) / weight),
                f"{name}: perplexity": math.exp(mine / weight),
                f"{name}: kl_nats": kl / weight,
                f"{name}: top1_agreement_frac": agreed / weight,
            }
        return found

    def train(
        self,
        model: Any,
        *,
        matching: Matching | None,
        lr: float,
        groups: tuple[Group, ...] = (),
        features: Features | None = None,
    ) -> dict[str, float]:
        """Train on the rows that all see; None learns by cross-entropy alone."""
        given = self.given
        steps = max(2, given.tokens // (given.row_tokens * given.rows_per_step))
        loop = LoopConfig(
            num_steps=steps, row_tokens=given.row_tokens, rows_per_step=given.rows_per_step, learning_rate=lr,
            snapshot_every_steps=10**9, validate_every_steps=10**9,
        )  # fmt: skip
        packed = pack(self.pieces, row_tokens=given.row_tokens, seed=0, is_filled=True)
        items = made_ahead(packed, 2 * given.rows_per_step)
        if loop.should_compile:
            compile_layers(model)
        if features is not None:
            features = replace(features, num_steps=max(1, steps // 10))
            with matching_features(model, self.teacher, features) as matcher:
                task = DistillTask(self.teacher, matching or Matching(), (matcher, features.num_steps))
                fitted = fit(model, items, [], task, loop, self.out, groups)
        else:
            task = DistillTask(self.teacher if matching else None, matching or Matching(ce_frac=1.0))
            fitted = fit(model, items, [], task, loop, self.out, groups)
        return {"trained_tokens": fitted.log[-1]["tokens"], "tokens_per_s": fitted.num_tokens / fitted.seconds}


Make = Callable[[Bench], tuple[Any, dict[str, float]]]


def rounded(bits: Bits, clip: Clip) -> Make:
    """Round to the nearest values."""

    def make(bench: Bench) -> tuple[Any, dict[str, float]]:
        import torch

        model = bench.student()
        with torch.no_grad():
            for name, (module, *_) in matrices(model):
                grid = grid_for(name, bits)
                if grid is not None:
                    weight = module.weight.detach().float()
                    module.weight.copy_(place(weight, grid, clip=clip_of(weight, grid, clip)).dequantize())
        return model, {}

    return make


def gptq_rounded(bits: Bits) -> Make:
    """Round by GPTQ, on calibration text."""

    def make(bench: Bench) -> tuple[Any, dict[str, float]]:
        from burnish.compress.gptq import Gptq
        from burnish.compress.rounding import place_layers

        model = open_model(bench.given.model, precision="fp32")
        grids = {name: grid for name, _ in matrices(model) if (grid := grid_for(name, bits)) is not None}
        place_layers(bench.out, model, bench.calibration(), grids, Gptq(), lambda: None)
        return with_weights_of(model, bench), {}

    return make


def with_weights_of(model: Any, bench: Bench) -> Any:
    """Give the same weights to a model that reads packed rows in the bench's precision."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return open_reader(Path(folder), bench.given.precision)


def qat(bits: Bits, *, lr: float = 5e-5, heat: float = 1.0, **changes: Any) -> Make:
    """Train on the grids."""

    def make(bench: Bench) -> tuple[Any, dict[str, float]]:
        from burnish.compress.fake_quant import range_names

        config = QatConfig(bits=bits, **changes)
        model = bench.student()
        put_on_grids(model, config)
        ranges = range_names(model)
        groups = (Group(ranges, config.range_rate),) if ranges else ()
        return model, bench.train(model, matching=Matching(temperature=heat), lr=lr, groups=groups)

    return make


def shallow(bench: Bench) -> Any:
    """Take a fifth of the layers away, evenly."""
    model = bench.student()
    keep_layers(model, StudentConfig(max(2, round(0.8 * model.config.num_hidden_layers))))
    return model


def narrow_ffn(bench: Bench) -> Any:
    """Take 40 % of the FFN channels away: Fisher, least squares, one shot."""
    from burnish.compress.pruning.layout import Shape
    from burnish.compress.pruning.narrow import narrow
    from burnish.compress.pruning.refit import LeastSquares
    from burnish.compress.sensitivity import Fisher, score_units

    model, rows = open_model(bench.given.model, precision="fp32"), bench.calibration()
    shape = Shape.of(model.config)
    wanted = replace(shape, ffn_channels=max(32, round(0.6 * shape.ffn_channels / 32) * 32))
    narrow(model, score_units(model, rows, Fisher()), wanted, rows, LeastSquares())
    return with_weights_of(model, bench)


def healed(
    cut: Callable[[Bench], Any], matching: Matching | None, *, lr: float = 2e-4, features: Features | None = None
) -> Make:
    """Distil what was cut; None is the control."""

    def make(bench: Bench) -> tuple[Any, dict[str, float]]:
        model = cut(bench)
        return model, bench.train(model, matching=matching, lr=lr, features=features)

    return make


ROWS: dict[str, Make] = {
    "float": lambda bench: (bench.teacher, {}),
    "rtn w4 g32": rounded(W4, NoClip()),
    "rtn w4 g32, mse": rounded(W4, MseClip()),
    "rtn w4 g64": rounded(W4_G64, NoClip()),
    "rtn w4 g64, mse": rounded(W4_G64, MseClip()),
    "rtn w4 row, mse": rounded(W4_ROW, MseClip()),
    "rtn attention 8, ffn 4 g64": rounded(MIXED, MseClip()),
    "gptq w4 g32": gptq_rounded(W4),
    "gptq w4 g64": gptq_rounded(W4_G64),
    "qat w4 g32": qat(W4),
    "qat w4 g32, scales fixed": qat(W4, range_rate=0.0),
    "qat w4 g32, lr 1e-4": qat(W4, lr=1e-4),
    "qat w4 g32, lr 2e-5": qat(W4, lr=2e-5),
    "qat w4 g32, temperature 2": qat(W4, heat=2.0),
    "qat w4 g64": qat(W4_G64),
    "qat w4 row": qat(W4_ROW),
    "qat attention 8, ffn 4 g64, inputs 8": qat(MIXED, activation_bits=8),
    "qat w4 g32, inputs 8": qat(W4, activation_bits=8),
    "qat w4 g32, lora 16": qat(W4, lr=2e-4, lora=LoraQat(16)),
    "qat w3 g32": qat(Uniform(IntGrid(3, 32), None)),
    "control: float by cross-entropy": healed(lambda bench: bench.student(), None, lr=5e-5),
    "ffn -40 %, untrained": lambda bench: (narrow_ffn(bench), {}),
    "ffn -40 %, distilled": healed(narrow_ffn, Matching(temperature=1.0)),
    "ffn -40 %, distilled at temperature 2": healed(narrow_ffn, Matching(temperature=2.0)),
    "ffn -40 %, features first": healed(narrow_ffn, Matching(temperature=1.0), features=Features()),
    "ffn -40 %, control": healed(narrow_ffn, None),
    "layers -20 %, untrained": lambda bench: (shallow(bench), {}),
    "layers -20 %, distilled": healed(shallow, Matching(temperature=1.0)),
    "layers -20 %, features first": healed(shallow, Matching(temperature=1.0), features=Features()),
    "layers -20 %, control": healed(shallow, None),
}


def main() -> int:
    """Measure row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True, help="plain text")
    parser.add_argument("--held-out", type=Path, nargs="+", required=True)
    parser.add_argument("--tokens", type=int, default=1_500_000, help="of each training")
    parser.add_argument("--held-out-tokens", type=int, default=49_152, help="of each text")
    parser.add_argument("--row-tokens", type=int, default=4096)
    parser.add_argument("--rows-per-step", type=int, default=2)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--only", default="", help="beginnings of row names, by ';'")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = open_bench(given, Path(folder))
        for name, make in ROWS.items():
            if name.startswith(tuple(given.only.split(";"))):
                bench.rows.append(measured(bench, name, make))
                write(bench)
    return 0


def open_bench(given: argparse.Namespace, folder: Path) -> Bench:
    """Read the texts and open the float model."""
    import torch

    torch.manual_seed(0)
    root = folder / "work"
    (root / "payload").mkdir(parents=True)
    out = Workdir(root, "bench", EventLog(folder / "events.jsonl", ()))
    ends = Ends.of(open_tokenizer(given.model), None)
    size = given.row_tokens
    held_out = {}
    for path in given.held_out:
        pieces = Pieces(ends.documents(out, path.stem, records_of(path)), row_tokens=size)
        held_out[path.stem] = pack_once(pieces, row_tokens=size, is_filled=True)[
            : max(1, given.held_out_tokens // size)
        ]
    pieces = Pieces(ends.documents(out, "train", records_of(given.train)), row_tokens=size)
    teacher = open_reader(given.model, given.precision).requires_grad_(False)
    if LoopConfig().should_compile:
        compile_layers(teacher)
    print(f"{pieces.num_learnt:,} training tokens", flush=True)
    return Bench(given, out, held_out, pieces, teacher)


def records_of(path: Path) -> list[Record]:
    """Cut a text into documents."""
    text = path.read_text(encoding="utf-8")
    starts = range(0, len(text), DOCUMENT_CHARACTERS)
    return [Record(f"{path.stem}-{at}", text[at : at + DOCUMENT_CHARACTERS], None) for at in starts]


def measured(bench: Bench, name: str, make: Make) -> dict[str, Any]:
    """Measure a row; what goes wrong is its result."""
    import torch

    start_s = time.perf_counter()
    row: dict[str, Any] = {"row": name}
    try:
        torch.manual_seed(0)
        model, extra = make(bench)
        row |= bench.measure(model.eval()) | extra
        row["parameters"] = sum(p.numel() for p in model.parameters())
    except Exception as error:  # noqa: BLE001  # the other rows are still worth having
        row["error"] = f"{type(error).__name__}: {error}"
    row["seconds"] = round(time.perf_counter() - start_s, 1)
    model = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    shown = {key: round(value, 4) for key, value in row.items() if isinstance(value, float)}
    print(f"{name:40}", row.get("error") or shown, flush=True)
    return row


def write(bench: Bench) -> None:
    """Write what is there so far."""
    given = bench.given
    body = {
        "benchmark": "compress_quality",
        "command": f"python {' '.join(sys.argv)}",
        "rows": bench.rows,
        "fingerprint": fingerprint(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    texts = list(bench.held_out)
    lines = [
        f"| row | {' | '.join(f'{text}: times the perplexity' for text in texts)} | seconds |",
        "|---" * (len(texts) + 2) + "|",
    ]
    for row in bench.rows:
        cells = [f"{row[f'{text}: ratio']:.3f}" if "error" not in row else row["error"][:60] for text in texts]
        lines.append(f"| {row['row']} | {' | '.join(cells)} | {row['seconds']} |")
    given.out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
