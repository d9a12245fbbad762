"""The benchmark of linear kernels: its arguments, its check before a time, its shares and tables. No time is taken here."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
linear: Any = importlib.import_module("linear_kernels")
contestants: Any = importlib.import_module("linear_contestants")
tables: Any = importlib.import_module("linear_tables")

CEILINGS = {"copy_bytes_per_s": 1e12, "bf16_ops_per_s": 1e14, "int8_ops_per_s": 2e14, "fp8_ops_per_s": 2e14}


def test_arguments() -> None:
    given = linear.arguments(["--out", "x.json"])
    assert given.rows == [1, 16, 64, 256, 2048]
    assert given.shapes == [(4096, 14336), (4096, 4096), (14336, 4096)]
    assert given.kernels == list(contestants.NAMES)
    assert linear.arguments(["--out", "x.json", "--tune"]).rows == [1, 16, 64]
    given = linear.arguments(
        ["--out", "x.json", "--shapes", "256x48", "--rows", "3", "--kernels", "bf16", "--group", "32"]
    )
    assert (given.shapes, given.rows, given.kernels, given.group) == ([(256, 48)], [3], ["bf16"], 32)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "--out"),
        ("--out x --shapes 4096", "write it as 4096x14336"),
        ("--out x --shapes 100x160", "multiples of 128 and 16"),
        ("--out x --rows 0", "at least 1"),
        ("--out x --tune --rows 65", "takes at most 64"),
        ("--out x --tune --kernels bf16", "drop --kernels"),
        ("--out x --kernels marlin", "marlin"),
    ],
)
def test_arguments_that_cannot_be(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        linear.arguments(words.split())
    assert says in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_at_once(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/linear_kernels.py"), "--out", str(tmp_path / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "times a CUDA GPU, and torch" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["bf16", "ours int4", "ours int8", "ours fp8", "torch int8"])
@pytest.mark.parametrize("rows", [1, 17])
def test_contestants_give_their_answers(name: str, rows: int) -> None:
    x = torch.randn(rows, 256).bfloat16()
    if name == "torch int8" and rows == 1:
        with pytest.raises(contestants.Unfit, match="17 rows"):
            contestants.contestant(name, x, torch.randn(48, 256), 2, 64)
        return
    one = contestants.contestant(name, x, torch.randn(48, 256), 2, 64)
    assert len(one.calls) == 2
    for call in one.calls:
        assert linear.relative_error(call, one.answer) < 5e-3
    assert one.weight_bytes == {"bf16": 2 * 48 * 256, "int4": 48 * 128 + 2 * 48 * 4, "int8": 48 * 256 + 2 * 48, "fp8": 48 * 256 + 4 * 48}[name.split()[-1]]  # fmt: skip
    assert one.unit == (
        "bf16" if rows == 1 and "fp8" not in name else {"ours int4": "bf16"}.get(name, name.split()[-1])
    )


def test_a_wrong_kernel_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "timed", lambda calls: (2.0, 4.0))
    answer = torch.randn(4, 32)
    right, off, unwritten = answer.clone(), answer * 1.02, answer.clone()
    unwritten[3, 31] = float("nan")
    for outputs, is_timed in (([right, right], True), ([right, off], False), ([unwritten, right], False)):
        calls = [lambda output=output: output for output in outputs]
        one = contestants.Contestant("way", calls, answer, 100, "bf16")
        row = linear.checked_and_timed(one, (4, 64, 32), CEILINGS)
        assert ("time_us" in row) == is_timed
        assert ("wrong, so not timed" in row.get("error", "")) != is_timed


def test_the_floor_is_the_larger_of_bytes_and_operations() -> None:
    one = SimpleNamespace(weight_bytes=1_000_000, unit="bf16")
    few = linear.figures((2.0, 4.0), one, (1, 1000, 1000), CEILINGS)
    assert few["num_bytes"] == 1_004_000
    assert few["floor_us"] == pytest.approx(1.004)
    assert few["time_us"] == 3.0
    assert few["roofline_frac"] == pytest.approx(1.004 / 3)
    many = linear.figures((100.0, 100.0), one, (1000, 1000, 1000), CEILINGS)
    assert many["floor_us"] == pytest.approx(20.0)
    one.unit = "fp8"
    assert linear.figures((100.0, 100.0), one, (1000, 1000, 1000), CEILINGS)["floor_us"] == pytest.approx(10.0)


def test_what_breaks_is_noted() -> None:
    def breaks() -> Any:
        raise RuntimeError("out of\n  memory")

    def unfit() -> Any:
        raise contestants.Unfit("no such rows")

    assert linear.outcome(breaks) == {"error": "RuntimeError: out of memory"}
    assert linear.outcome(unfit) == {"error": "no such rows"}
    assert linear.outcome(lambda: {"time_us": 1.0}) == {"time_us": 1.0}


def test_steps_are_every_kernel_and_every_tile() -> None:
    given = linear.arguments(["--out", "x", "--shapes", "256x48", "--rows", "1", "17"])
    labels = [label for label, _ in linear.compare(given, CEILINGS)]
    assert [(label["rows"], label["kernel"]) for label in labels] == [
        (rows, name) for rows in (1, 17) for name in contestants.NAMES
    ]
    given = linear.arguments(["--out", "x", "--tune", "--shapes", "256x48", "--rows", "1", "16"])
    labels = [label for label, _ in linear.tune(given, CEILINGS)]
    assert len(labels) == 2 * len(linear.TILES)
    assert len({json.dumps(label) for label in labels}) == len(labels)


def test_a_whole_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All but the GPU: kernels are those of the CPU, and the clock is a fixed one."""
    out = tmp_path / "out.json"
    words = f"linear_kernels.py --out {out} --shapes 256x48 --rows 1 17 --kernels bf16".split()
    monkeypatch.setattr(sys, "argv", [*words, "ours int4", "torch int8"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(linear, "ceilings", lambda: CEILINGS)
    monkeypatch.setattr(linear, "header", lambda found: {"ceilings": found, "rows": [], "left_out": []})
    monkeypatch.setattr(linear, "num_copies", lambda weight_bytes: 2)
    monkeypatch.setattr(linear, "timed", lambda calls: (2.0, 4.0))
    monkeypatch.setattr(linear, "random_rows", lambda rows, inputs: torch.randn(rows, inputs).bfloat16())
    monkeypatch.setattr(linear, "random_weight", lambda inputs, outputs: torch.randn(outputs, inputs))
    assert linear.main() == 0
    body = json.loads(out.read_text())
    assert len(body["rows"]) == 6
    assert [each.get("error", "") for each in body["rows"]] == ["", "", "torch._int_mm takes no fewer than 17 rows", "", "", ""]  # fmt: skip
    assert "| 256 x 48 | 17 | ours int4 | int4_kernel | 3.0 | 1.00x |" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*words, "--budget-s", "-1"])
    assert linear.main() == 0
    body = json.loads(out.read_text())
    assert (body["rows"], [each["rows"] for each in body["left_out"]]) == ([], [1, 17])


def row(kernel: str, time_us: float, *, rows: int = 1, outputs: int = 64, **rest: Any) -> dict[str, Any]:
    place = {"rows": rows, "inputs": 128, "outputs": outputs, "kernel": kernel, "way": "w"}
    return place | {"time_us": time_us, "roofline_frac": 0.5, "relative_error": 0.001} | rest


def test_table(tmp_path: Path) -> None:
    wrong = {"rows": 1, "inputs": 128, "outputs": 64, "kernel": "torch int8", "error": "takes no fewer than 17 rows"}
    rows = [row("bf16", 60.0), row("ours int4", 20.0), row("ours int4", 30.0, rows=16), wrong]
    out = tmp_path / "deep" / "out.json"
    tables.write(out, {"rows": rows, "ceilings": CEILINGS, "left_out": [{"rows": 64}]})
    assert json.loads(out.read_text())["rows"] == rows
    text = out.with_suffix(".md").read_text()
    assert "| 128 x 64 | 1 | ours int4 | w | 20.0 | 3.00x | 50% | 1.0e-03 |" in text
    assert "| 128 x 64 | 16 | ours int4 | w | 30.0 |  | 50% | 1.0e-03 |" in text
    assert "| 128 x 64 | 1 | torch int8 |  | takes no fewer than 17 rows | | | |" in text
    assert "copy_bytes_per_s 1e+12" in text
    assert "Left out for want of time: 1 measurements" in text


def test_table_of_tiles(tmp_path: Path) -> None:
    small, large, rare = ({"block_n": size} for size in (32, 64, 128))
    rows = [
        row("ours int4", 10.0, tile=small),
        row("ours int4", 40.0, outputs=96, tile=small),
        row("ours int4", 12.0, tile=large),
        row("ours int4", 20.0, outputs=96, tile=large),
        row("ours int4", 5.0, tile=rare),
        {"rows": 1, "inputs": 128, "outputs": 96, "kernel": "ours int4", "tile": rare, "error": "out of memory"},
    ]
    tables.write(tmp_path / "out.json", {"rows": rows, "ceilings": CEILINGS, "left_out": []})
    text = (tmp_path / "out.md").read_text()
    assert "| 1 | 128 x 64 | block_n 128 | 5.0 | 50% |" in text
    assert "| 1 | 128 x 96 | block_n 64 | 20.0 | 50% |" in text
    assert "| 1 | all | block_n 64 | 1.55 x the fastest of each | |" in text  # sqrt(12 / 5 * 20 / 20)
    assert "5 timed, 1 wrong or refused" in text
    assert "Left out" not in text
