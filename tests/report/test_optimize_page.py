"""The report of a search over the whole chain: marks to scale, states told without colour, figures from the artifacts."""

import io
import math
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from burnish.artifacts import Artifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.errors import RecipeError
from burnish.report.optimize_chart import pareto_chart
from burnish.report.optimize_found import Found, Row
from burnish.report.optimize_page import OptimizePageConfig, Optimum, write_optimize_page
from burnish.report.optimize_table import print_optimum
from burnish.report.optimize_view import OptimizeView, read_optimize
from burnish.runtime import Run, Workdir

SIZES = {0: 400e6, 1: 100e6, 2: 50e6, 3: 80e6}
QUALITY = {0: 1.0, 1: 0.96, 2: 0.75, 3: 0.9}
P99_MS = {0: 2000.0, 1: 900.0, 2: 500.0, 3: 1500.0}


def served(out: Workdir, *, config: int) -> Draft[ModelArtifact]:
    (out / "model.bin").write_bytes(b"x" * config)
    return Draft(ModelArtifact, (Measurement("size_bytes", SIZES[config], "bytes", 1),), "a model")


def load(out: Workdir, model: ModelArtifact, *, config: int) -> Draft[ReportArtifact]:
    (out / "requests.jsonl").write_text("")
    rows = (
        Measurement("latency_p99_ms", P99_MS[config], "ms", 16, 0.9 * P99_MS[config], 1.2 * P99_MS[config]),
        Measurement("throughput_tokens_per_s", 1e5 / P99_MS[config], "tokens/s", 16),
        Measurement("memory_bytes", 4 * SIZES[config], "bytes", 1),
    )
    return Draft(ReportArtifact, rows, "load")


def quality(out: Workdir, model: ModelArtifact, *, config: int) -> Draft[ReportArtifact]:
    value = QUALITY[config]
    (out / "documents.jsonl").write_text("")
    return Draft(
        ReportArtifact, (Measurement("text_kept_frac", value, "1", 24, value - 0.02, value + 0.02),), "quality"
    )


@pytest.fixture
def made(run: Run) -> tuple[list[Artifact], tuple[Row, ...]]:
    """Sealed figures of the base and three candidates, and the rows that name them; a fourth and a fifth have none."""
    names = ("base, float32", "int8", "30% of the FFN gone, <int4>", "int8, 1 thread")
    missed = {2: ("quality 0.75 (low end 0.73), at least 0.8 is asked",), 3: ("latency P99 1500 ms, at most 1000 ms",)}
    artifacts: list[Artifact] = []
    rows = []
    for number, words in enumerate(names):
        model = run(served, config=number)
        found = {
            "served": model,
            "load": run(load, model, config=number),
            "quality": run(quality, model, config=number),
        }
        artifacts += found.values()
        digests = (*tuple((name, artifact.digest) for name, artifact in found.items()), ("model", model.digest))
        rows.append(Row(number, words, "complete", "", 61.5, digests, missed.get(number, ())))
    rows.append(Row(4, "int4", "rejected", "quality 0.6 by the proxy, out of reach of 0.8", 3.0, proxy_frac=0.6))
    rows.append(Row(5, "7 layers dropped", "failed", "nothing would be left", 0.2))
    return artifacts, tuple(rows)


def found_of(rows: tuple[Row, ...], answer: int | None = 1) -> Found:
    return Found(
        rows=rows,
        answer=answer,
        nearest=None if answer else 2,
        verdict="" if answer else "None of 5 candidates meets the limits: quality binds.",
        quality="text_kept_frac",
        limits=("quality at least 0.8", "latency P99 at most 1000 ms"),
        prefer="speed",
        min_quality=0.8,
        max_p99_ms=1000.0,
        ended="every candidate of the space was tried",
        recipe="# <b>best</b>\nseed: 17\n" if answer else "",
    )


Made = tuple[list[Artifact], tuple[Row, ...]]


def viewed(made: Made, answer: int | None = 1) -> OptimizeView:
    return read_optimize(made[0], found_of(made[1], answer), title="t")


def test_the_page_holds_every_candidate_and_the_answer(run: Run, made: Made) -> None:
    artifacts, rows = made
    config = Optimum(OptimizePageConfig("Which <model>"), found_of(rows))
    report = run(write_optimize_page, *artifacts, config=config)
    page = (report.payload / "index.html").read_text(encoding="utf-8")
    assert "Which &lt;model&gt;" in page
    assert "&lt;int4&gt;" in page
    assert "<int4>" not in page
    assert "<b>best" not in page
    table = page.split('id="candidates"')[1].split("</section>")[0]
    assert table.count("<tr") == 1 + len(rows)
    for words in ("the answer", "out of reach of 0.8", "nothing would be left", "by the proxy", "low end 0.73"):
        assert words in table
    assert table.count("the answer") == 1
    headline = report.read_json("report.json")["headline"]
    assert headline.startswith(
        "int8: 2.2× the throughput and 4.0× smaller beside the base, text kept 0.960 (95 % interval"
    )
    assert "latency P99 900 ms" in headline
    assert "memory 400 MB" in headline
    assert "of 5 candidates within" in headline
    assert report.measurement("answer_text_kept_frac").low == pytest.approx(0.94)
    assert report.measurement("throughput_times").value == pytest.approx(2000 / 900)
    assert report.measurement("within_candidates").value == 1
    assert (report.payload / "best.yaml").read_text() == config.found.recipe
    said = io.StringIO()
    print_optimum(report.read_json("report.json"), file=said, width=80)
    assert re.search(r"→ +int8 +0.960 +900 ms +111 +400 MB +100 MB +within", said.getvalue())
    assert "→" in said.getvalue()
    assert "int8" in said.getvalue()
    assert "rejected" in said.getvalue()
    assert "outside" in said.getvalue()


def test_without_an_answer_the_verdict_is_the_headline(run: Run, made: Made) -> None:
    artifacts, rows = made
    report = run(write_optimize_page, *artifacts, config=Optimum(OptimizePageConfig(), found_of(rows, None)))
    body = report.read_json("report.json")
    assert body["headline"] == "None of 5 candidates meets the limits: quality binds."
    assert body["answer"] is None
    assert not (report.payload / "best.yaml").exists()
    page = (report.payload / "index.html").read_text(encoding="utf-8")
    assert 'id="recipe"' not in page
    assert "is-best" not in page.split("<body>")[1]
    print_optimum(body, file=io.StringIO(), width=80)


def test_a_page_needs_the_base(run: Run, made: Made) -> None:
    with pytest.raises(RecipeError, match="the first of 0 rows is not the measured base"):
        run(write_optimize_page, *made[0], config=Optimum(OptimizePageConfig(), found_of(())))


def test_the_chart_is_to_scale_and_tells_states_without_colour(made: Made) -> None:
    drawn = ET.fromstring(pareto_chart(viewed(made), 940))
    circles = [node for node in drawn.iter() if node.tag.endswith("circle")]
    marks = {node[0].text.split(":")[0]: node.attrib for node in circles if len(node)}  # type: ignore[union-attr]
    assert {number: mark["class"] for number, mark in marks.items()} == {"1": "within", "2": "outside", "3": "outside"}
    (base,) = [node for node in drawn.iter() if node.get("class") == "reference"]
    assert base.tag.endswith("rect")
    (ring,) = [node.attrib for node in circles if node.get("class") == "answer-ring"]
    assert (ring["cx"], ring["cy"]) == (marks["1"]["cx"], marks["1"]["cy"])
    # quality upwards, latency to the right, both linear; areas by memory
    x, y = ({number: float(mark[key]) for number, mark in marks.items()} for key in ("cx", "cy"))
    assert (x["3"] - x["2"]) / (x["1"] - x["2"]) == pytest.approx((1500 - 500) / (900 - 500), rel=0.01)
    assert (y["2"] - y["3"]) / (y["2"] - y["1"]) == pytest.approx(0.15 / 0.21, rel=0.01)
    assert float(base.attrib["width"]) ** 2 / (math.pi * float(marks["1"]["r"]) ** 2) == pytest.approx(4.0, rel=0.05)
    assert len([node for node in drawn.iter() if node.get("class") == "limit"]) == 2
    (front,) = [node.attrib["d"] for node in drawn.iter() if node.get("class") == "front"]
    assert front.count("L") == 2  # candidates 2, 1 and the base; 3 is beaten by 1
    assert len([node for node in drawn.iter() if node.get("class") == "whisker"]) == 4


def test_the_lineage_is_that_of_the_answer_and_the_base(made: Made) -> None:
    artifacts, _ = made
    shown = {node.digest for node in viewed(made).nodes}
    assert shown == {artifact.digest[:12] for artifact in artifacts[:6]}


def test_all_is_readable_in_a_browser(run: Run, made: Made, tmp_path: Path) -> None:
    from headless import browser

    artifacts, rows = made
    report = run(write_optimize_page, *artifacts, config=Optimum(OptimizePageConfig(), found_of(rows)))
    with browser() as page:
        for width in (1280, 375):
            page.open(report.payload / "index.html", width=width)
            assert page.ask("document.documentElement.scrollWidth <= window.innerWidth")
            assert page.complaints == []
            page.screenshot(tmp_path / f"optimize-{width}.png")
