"""The compression benchmark: which rows run, ratios, intervals, the table, and that a row which fails is still a row."""

import dataclasses
import importlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS / "compress_jobs")]
chain: Any = importlib.import_module("compress_chain")
jobs: Any = importlib.import_module("compress_bench")
report: Any = importlib.import_module("compress_report")
rows: Any = importlib.import_module("compress_rows")
read_job: Any = importlib.import_module("read")


def keys(*begin: str) -> list[str]:
    return [row.key for row in rows.chosen(begin, ())]


def test_rows_are_picked_by_the_beginning_of_their_key() -> None:
    assert keys("nncf_int4") == ["baseline", "nncf_int4_sym_g32", "nncf_int4_asym_g64", "nncf_int4_awq"]
    assert "llmcompressor_gptq" not in keys("")
    assert {"llmcompressor_gptq", "ours_int8_openvino"} <= set(keys("", "llmcompressor_gptq"))
    with pytest.raises(ValueError, match="no row begins with 'gguf'"):
        rows.chosen(["gguf"], ())


def test_every_row_names_an_engine_and_jobs_that_exist() -> None:
    engines = importlib.import_module("engines").ENGINES
    for row in rows.ROWS:
        assert row.runtime in engines
        assert row.make is None or (jobs.JOBS / row.make.job).exists()
    assert len({row.key for row in rows.ROWS}) == len(rows.ROWS)


def test_jobs_in_environments_of_peers_import_nothing_of_ours() -> None:
    foreign = {
        "read.py",
        "engines.py",
        "llama.py",
        *(row.make.job for row in rows.ROWS if row.make and row.make.environment),
    }
    assert len(foreign) == 5
    for name in foreign:
        assert not re.search(r"^\s*(from|import) burnish", (jobs.JOBS / name).read_text(encoding="utf-8"), re.MULTILINE)


def test_a_given_folder_is_exported_or_read_as_the_export_that_it_is(tmp_path: Path) -> None:
    model, export = tmp_path / "chain", tmp_path / "served"
    for folder, file in ((model, "model.safetensors"), (model, "tokenizer.json"), (export, "model.gguf")):
        folder.mkdir(exist_ok=True)
        (folder / file).touch()
    found = rows.chosen(["baseline"], [model, export])[1:]
    assert [row.key for row in found] == [
        "given_chain_openvino", "given_chain_gguf", "given_chain_onnx", "given_served_gguf",
    ]  # fmt: skip
    assert [row.folder for row in found] == [model.resolve()] * 3 + [None]
    assert found[0].make.settings == {"folder": str(model.resolve()), "forms": ["openvino"]}
    assert found[3].make is None
    assert found[3].path == str(export.resolve() / "model.gguf")
    with pytest.raises(ValueError, match="rename one"):
        rows.chosen(["baseline"], [model, model])
    with pytest.raises(ValueError, match="holds neither"):
        rows.given_rows(tmp_path)


def test_perplexity_ratio_is_of_all_tokens_and_its_interval_over_documents() -> None:
    base, tokens = [100.0, 220.0, 90.0, 60.0], [50, 100, 30, 20]
    mine = [loss + 0.1 * count for loss, count in zip(base, tokens, strict=True)]
    even = report.perplexity_ratio(mine, base, tokens)
    assert even == pytest.approx({"ratio": math.exp(0.1), "low": math.exp(0.1), "high": math.exp(0.1)})
    mine[1] += 40
    found = report.perplexity_ratio(mine, base, tokens)
    assert found["ratio"] == pytest.approx(math.exp(0.1 + 40 / 200))
    assert math.exp(0.1) <= found["low"] < found["ratio"] < found["high"] <= math.exp(0.1 + 40 / 100)
    assert set(report.perplexity_ratio(mine[:1], base[:1], tokens[:1])) == {"ratio"}


def test_speed_is_set_beside_the_baseline_of_the_same_round() -> None:
    base = {at: {"prefill_cpu_s": 1.0, "step_cpu_s": s} for at, s in enumerate((0.1, 0.4, 0.2))}
    mine = {at: {"prefill_cpu_s": 0.5, "step_cpu_s": s} for at, s in enumerate((0.02, 0.1, 0.05))}
    found = report.speed_of(mine, base)
    assert found["step_cpu_s"] == 0.05
    assert found["step_cpu_s: times_faster"] == pytest.approx(4)  # 5, 4, 4: the medians alone would be 0.2 / 0.05 too
    assert found["step_cpu_s: times_faster_max"] == pytest.approx(5)
    assert found["prefill_cpu_s: times_faster_min"] == pytest.approx(2)
    assert "step_cpu_s: times_faster" not in report.speed_of({7: mine[0]}, base)
    assert report.speed_of({}, base) == {}


def reading(key: str, **values: Any) -> Any:
    row = next(row for row in rows.ROWS if row.key == key)
    return report.Reading(row, **values)


def test_the_table_has_a_line_for_every_row_and_says_why_cells_are_empty() -> None:
    base = reading("baseline", size_bytes=400_000_000, losses={"a": [30.0, 40.0]})
    base.rounds[0] = {"prefill_cpu_s": 0.3, "step_cpu_s": 0.1}
    mine = reading("ours_int8_openvino", size_bytes=100_000_000, losses={"a": [31.0, 41.0]})
    mine.rounds[0] = {"prefill_cpu_s": 0.1, "step_cpu_s": 0.02}
    dense = reading("llmcompressor_rtn", size_bytes=200_000_000, losses={"a": [30.0, 40.0]})
    broken = reading("nncf_int8_asym", error="ended with 1: no such mode")
    readings = {each.row.key: each for each in (base, mine, dense, broken)}
    found = report.summary(readings, {"a": [10, 10]})
    assert found[1]["texts"]["a"]["perplexity"] == pytest.approx(math.exp(72 / 20))
    assert found[1]["times_smaller"] == 4
    lines = report.table(found, ["a"]).splitlines()
    assert lines[3].startswith("| burnish int8 a row, OpenVINO | 100.0 | 4.00 | 20.0 | 5.00 | 100.0 | 3.00 | 1.105 [")
    assert lines[4].startswith("| llm-compressor W4A16 g32 nearest | 200.0 | 2.00 |  |  |  |  | 1.000 [")
    assert lines[5] == "| NNCF int8 asym, OpenVINO (failed) |  |  |  |  |  |  |  |"
    assert "- NNCF int8 asym, OpenVINO: ended with 1: no such mode." in lines
    assert any("without a runtime on CPUs" in line for line in lines)


def test_the_loss_is_of_each_token_after_the_first() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [1.0, 1e-9, 1e-9]], dtype=np.float32))
    assert read_job.loss_of(logits + 7, [0, 1, 2]) == pytest.approx(-math.log(0.25) - math.log(0.8), rel=1e-5)
    with pytest.raises(FloatingPointError):
        read_job.loss_of(np.full((3, 3), np.nan, np.float32), [0, 1, 2])


class StubBench:
    """Read without jobs: one row fails at once, another when it is timed."""

    def __init__(self) -> None:
        self.prepared = {"tokens_sha256": "0"}
        self.tokens = {"a": [10]}
        self.order: list[str] = []

    def read(self, one: Any) -> None:
        self.order.append(f"read {one.row.key}")
        if one.row.key == "nncf_int8_asym":
            raise RuntimeError("ended with 1: ImportError")
        one.size_bytes, one.losses = 10, {"a": [20.0]}

    def time(self, one: Any, number: int) -> None:
        self.order.append(f"{number} {one.row.key}")
        if one.row.key == "nncf_int4_awq":
            raise RuntimeError("ended with -9: killed")
        one.rounds[number] = {"prefill_cpu_s": 1.0, "step_cpu_s": 1.0}


def test_rows_take_turns_and_those_that_fail_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, out = StubBench(), tmp_path / "results" / "r.json"
    monkeypatch.setattr(chain.Bench, "of", lambda _: bench)
    monkeypatch.setattr(chain, "ensure_environments", lambda *_: {"llmcompressor": "could not be made"})
    tools = "ours_int8,nncf_int8,nncf_int4_awq,torchao_int8_dynamic"
    assert chain.main(["--tools", tools, "--rounds", "2", "--out", str(out)]) == 0
    timed = [each for each in bench.order if not each.startswith("read ")]
    assert timed == ["0 baseline", "0 ours_int8_openvino", "0 nncf_int4_awq", "1 baseline", "1 ours_int8_openvino"]
    told = json.loads(out.read_text(encoding="utf-8"))
    errors = {row["key"]: row["error"] for row in told["rows"]}
    assert errors == {
        "baseline": "",
        "ours_int8_openvino": "",
        "nncf_int8_asym": "RuntimeError: ended with 1: ImportError",
        "nncf_int4_awq": "RuntimeError: ended with -9: killed",
        "torchao_int8_dynamic": "could not be made",
    }
    assert out.with_suffix(".md").read_text(encoding="utf-8").count("(failed)") == 3


def test_the_command_of_the_record_has_no_folders_of_this_machine(tmp_path: Path) -> None:
    given = chain.parse(["--tools", "ours", "--environments", str(tmp_path / "env"), "--out", "r.json"])
    line = chain.command_line(given)
    assert line == "python benchmarks/compress_chain.py --tools ours --environments env --out r.json"


@pytest.mark.parametrize(
    "wrong", [("--documents", "0"), ("--tokens", "1"), ("--decode-tokens", "1000"), ("--tools", "x")]
)
def test_what_would_fail_later_is_refused(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chain.parse([*wrong, "--out", "r.json"])
    assert "error:" in capsys.readouterr().err


def test_size_counts_weights_and_graph_alone(tmp_path: Path) -> None:
    for name, size in (("model.onnx", 3), ("model.onnx.data", 40), ("tokenizer.json", 500)):
        (tmp_path / name).write_bytes(bytes(size))
    assert jobs.weights_bytes(tmp_path) == 43
    assert jobs.weights_bytes(tmp_path / "model.onnx") == 3


def test_a_model_with_a_tokenizer_of_its_own_reads_the_same_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = chain.parse(["--work", str(tmp_path), "--out", "r.json"])
    texts = {"a": [{"text": "abc", "ids": [5, 6]}]}
    bench = jobs.Bench(given, tmp_path, {"texts": texts})
    weights = importlib.import_module("burnish.nn.weights")
    monkeypatch.setattr(weights, "open_tokenizer", lambda _: lambda text, **_: {"input_ids": [ord(c) for c in text]})
    base = rows.ROWS[0]
    assert bench.texts_of(base) == {"a": [[5, 6]]}
    assert bench.texts_of(dataclasses.replace(base, folder=tmp_path)) == {"a": [[97, 98, 99]]}
    assert bench.tokens == {"a": [1]}


def test_a_make_that_failed_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = chain.parse(["--work", str(tmp_path), "--out", "r.json"])
    bench = jobs.Bench(given, tmp_path, {"base": "b", "calibration": {}, "calibration_rows": []})
    tried = []

    def fails(*job: Any) -> float:
        tried.append(job)
        raise RuntimeError("ended with 1: no")

    monkeypatch.setattr(bench, "run", fails)
    make = rows.Make("with_burnish.py", {"scheme": "int8", "forms": ["openvino"]})
    for _ in range(2):
        with pytest.raises(RuntimeError, match="ended with 1: no"):
            bench.made(make)
    assert len(tried) == 1


def test_a_made_model_is_found_again_until_what_it_depends_on_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = chain.parse(["--work", str(tmp_path), "--out", "r.json"])
    bench = jobs.Bench(given, tmp_path / "work", {"base": "b", "calibration": {}, "calibration_rows": [[1, 2]]})
    monkeypatch.setattr(bench, "run", lambda *_: 1.5)
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(b"one")
    make = rows.Make("with_burnish.py", {"folder": str(weights.parent), "forms": ["gguf"]})
    first = bench.made(make)
    assert bench.made(make) == first
    assert json.loads((first / "made.json").read_text(encoding="utf-8"))["cpu_s"] == 1.5
    weights.write_bytes(b"another")
    assert bench.made(make) != first


def test_a_job_that_fails_gives_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "job.py").write_text("import sys\nprint('begun')\nsys.exit('no such scheme')\n", encoding="utf-8")
    monkeypatch.setattr(jobs, "JOBS", tmp_path)
    given = chain.parse(["--work", str(tmp_path), "--out", "r.json"])
    with pytest.raises(RuntimeError, match="ended with 1: no such scheme"):
        jobs.Bench(given, tmp_path).run("job.py", None, {}, tmp_path / "out")
    (tmp_path / "job.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    given.timeout_s = 0.1
    with pytest.raises(RuntimeError, match="stopped after"):
        jobs.Bench(given, tmp_path).run("job.py", None, {}, tmp_path / "out")


def test_the_environments_asked_for_are_made_and_no_others(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\n[ "$2" = venv ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python"\nexit 0\n')
    fake.chmod(0o755)
    script, env = BENCHMARKS / "peers" / "environments.sh", {**os.environ, "PYTHON": str(fake)}
    told = subprocess.run([script, tmp_path / "env", "nncf"], env=env, capture_output=True, text=True, check=True)
    assert "nncf==" in told.stdout
    assert [each.name for each in (tmp_path / "env").iterdir()] == ["nncf"]
    again = subprocess.run([script, tmp_path / "env", "nncf"], env=env, capture_output=True, text=True, check=True)
    assert "is ready" in again.stdout
    wrong = subprocess.run([script, tmp_path / "env", "numpy"], env=env, capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert "numpy is not known" in wrong.stderr
