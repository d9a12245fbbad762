"""The served load, against a real server of a tiny model."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact, ReportArtifact
from burnish.artifacts.evidence import Measurement
from burnish.errors import BurnishError, RecipeError
from burnish.evaluate.closed_loop import Timing, tree_peak_bytes
from burnish.evaluate.latency import LoadConfig, load_evidence, load_prompts, load_served
from burnish.runtime import Run, Workdir
from conftest import HEADLINES, read_lines, sealed_records, served_form

BOTH = {
    "ttft_p50_ms", "ttft_p99_ms", "itl_p50_ms", "itl_p99_ms", "latency_p50_ms", "latency_p99_ms",
    "throughput_tokens_per_s", "memory_bytes", "num_requests", "concurrency",
}  # fmt: skip
SMALL = LoadConfig(concurrency=3, num_requests=8, max_tokens=12, threads=1)


@pytest.fixture
def compressed(run: Run, base: ModelArtifact) -> ModelArtifact:
    """The tiny model as compression leaves it."""
    return served_form(run, base)


def named(evidence: tuple[Measurement, ...]) -> dict[str, Measurement]:
    return {measurement.name: measurement for measurement in evidence}


def test_a_served_load_leaves_its_evidence(run: Run, compressed: ModelArtifact, headlines: DatasetArtifact) -> None:
    report = run(load_served, compressed, headlines, config=SMALL)
    found = named(report.evidence)
    assert found.keys() == BOTH | {"failed_requests", "ready_s"}
    assert found["num_requests"].value == 8
    assert found["failed_requests"].value == 0
    assert found["memory_bytes"].value > 5e7
    assert 0 < found["ready_s"].value < 60
    for name in ("ttft", "itl", "latency"):
        assert found[f"{name}_p50_ms"].value <= found[f"{name}_p99_ms"].value
    assert found["ttft_p50_ms"].value < found["latency_p50_ms"].value
    rows = read_lines(report.payload / "requests.jsonl")
    assert [row["num_tokens"] for row in rows] == [12] * 8
    for row in rows:
        assert row["ttft_s"] + sum(row["gaps_s"]) == pytest.approx(row["total_s"])
        assert len(row["gaps_s"]) <= 11  # fewer where tokens came together, as they do on a busy machine
    assert any(row["gaps_s"] for row in rows)


def test_requests_that_fail_are_counted(run: Run, compressed: ModelArtifact, headlines: DatasetArtifact) -> None:
    def load_and_kill(
        out: Workdir, model: ModelArtifact, data: DatasetArtifact, *, config: LoadConfig
    ) -> Draft[ReportArtifact]:
        def kill() -> None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                words = path.read_bytes().split(b"\0")
                if b"burnish.serve.engine.child" in words and str(model.payload.resolve()).encode() in words:
                    os.kill(int(path.parent.name), signal.SIGKILL)

        timer = threading.Timer(0, kill)
        seen: list[float] = []

        def watch(event: object) -> None:
            if type(event).__name__ == "Progress" and getattr(event, "done", 0) >= 3 and not seen:
                seen.append(1)
                timer.start()

        out.events.readers = (watch,)
        draft = load_served(out, model, data, config=config)
        return Draft(ReportArtifact, draft.evidence, draft.summary)

    config = LoadConfig(concurrency=3, num_requests=60, max_tokens=40, threads=1)
    found = named(run(load_and_kill, compressed, headlines, config=config).evidence)
    assert found["failed_requests"].value >= 1
    assert found["failed_requests"].value + found["num_requests"].value == 60


def test_prompts_are_the_seeds_and_come_from_the_test_split(headlines: DatasetArtifact) -> None:
    prompts = load_prompts(headlines, LoadConfig(num_requests=14))
    texts = [messages[0]["content"] for messages in prompts]
    assert len(texts) == 14
    for start in (0, 6):  # none comes again before all have come
        assert set(texts[start : start + 6]) == {text for text, _ in HEADLINES}
    assert load_prompts(headlines, LoadConfig(num_requests=14)) == prompts
    assert load_prompts(headlines, LoadConfig(num_requests=14, seed=1)) != prompts
    cut = load_prompts(headlines, LoadConfig(num_requests=14, max_prompt_characters=9))
    assert [each[0]["content"] for each in cut] == [each[0]["content"][:9] for each in prompts]


def test_records_without_text_are_no_prompts(run: Run) -> None:
    empty = {"id": "a", "text": "", "label": None}
    data = sealed_records(run, {"test": [empty, {"id": "b", "text": "said", "label": None}]})
    assert load_prompts(data, LoadConfig(num_requests=8)) == [[{"role": "user", "content": "said"}]] * 8
    with pytest.raises(BurnishError, match=r"no record in split 'test' .* has a text"):
        load_prompts(sealed_records(run, {"test": [empty]}), LoadConfig())


def test_known_timings_give_known_evidence() -> None:
    timings = [Timing(0.1 * i, [0.01, 0.03], 0.1 * i + 0.04, 3) for i in range(1, 11)]
    found = named(load_evidence(timings, 2.0, 1000, LoadConfig(concurrency=2, num_requests=10), "how"))
    assert found.keys() == BOTH
    assert found["throughput_tokens_per_s"].value == 15
    assert found["ttft_p50_ms"].value == pytest.approx(550)
    assert found["latency_p50_ms"].value == pytest.approx(590)
    assert found["itl_p50_ms"].value == pytest.approx(20)
    assert found["ttft_p50_ms"].low == pytest.approx(200)
    assert found["ttft_p50_ms"].high == pytest.approx(900)
    assert found["itl_p50_ms"].n == 20
    throughput = found["throughput_tokens_per_s"]
    assert throughput.low is not None
    assert throughput.high is not None
    assert throughput.low < 15 < throughput.high


def test_tokens_that_came_together_have_no_gap() -> None:
    found = named(load_evidence([Timing(0.1, [], 0.1, 3)], 1.0, 1, LoadConfig(1, 1), "how"))
    assert found["itl_p99_ms"].value == 0


def test_the_memory_of_a_tree_is_that_of_its_processes() -> None:
    code = (
        "import subprocess, sys; held = b'x' * 50_000_000; "
        "child = subprocess.Popen([sys.executable, '-c', \"import sys; held = b'x' * 80_000_000; print(1, flush=True); sys.stdin.read()\"]); "
        "child.wait()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert 130e6 < tree_peak_bytes(process.pid) < 200e6
        process.stdin.close()
    with pytest.raises(BurnishError, match="it has ended"):
        tree_peak_bytes(process.pid)


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"concurrency": 9, "num_requests": 8}, {"max_tokens": 1}])
def test_loads_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="need 1 <= concurrency"):
        LoadConfig(**wrong)
