"""The report of a compression: every form with what was measured of it, drawn to scale."""

import io
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from sealed_chain import Chain, number, spread

from burnish.artifacts import Artifact, ReportArtifact
from burnish.errors import RecipeError
from burnish.report.forms_charts import quality_chart
from burnish.report.forms_page import FormsConfig, NamedForms, write_forms_page
from burnish.report.forms_table import print_forms
from burnish.report.forms_view import FormsView, read_forms
from burnish.runtime import Run
from burnish.runtime.events import EventLog

NAMES = ("base", "quantized <4 bits>", "openvino")
QUALITY = "burnish.evaluate.text_quality.compare_on_text"
HOW = "bootstrap over documents"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    chain = Chain(tmp_path)
    chain.seal("data", "burnish.data.split.split", "dataset")
    size = (number("size_bytes", 540e6, "bytes"), number("num_parameters", 134_515_008, "1"))
    chain.seal("base", "burnish.train.base.take_base", "model", size, parents="data")
    chain.seal(
        "quantized",
        "burnish.compress.quantize.quantize",
        "model",
        (number("size_bytes", 90e6, "bytes"), number("num_bits_mean", 5.35, "bits")),
        parents="base",
    )
    evidence = (
        spread("perplexity_ratio", 1.21, 0.04, "1", 40, HOW),
        spread("kl_nats", 0.11, 0.02, "nats", 40, HOW),
        spread("top1_agreement_frac", 0.86, 0.01, "1", 40, HOW),
    )
    chain.seal("quality", QUALITY, "report", evidence, parents="base quantized data")
    chain.seal(
        "openvino",
        "burnish.compress.export.write.export",
        "model",
        (number("size_bytes", 95e6, "bytes"),),
        parents="quantized",
    )
    check = (number("logit_difference_max", 0.0004, "1"),)
    chain.seal("parity", "burnish.evaluate.exported.check_export", "report", check, parents="quantized openvino data")
    load = (number("throughput_tokens_per_s", 700, "tokens/s"),)
    chain.seal("load", "burnish.evaluate.latency.load_served", "report", load, parents="openvino data")
    return chain


def view_of(chain: Chain) -> FormsView:
    view = read_forms(chain.passed(), NAMES, title="t")
    assert view is not None
    return view


def page_of(chain: Chain, *artifacts: Artifact) -> ReportArtifact:
    run = Run(chain.store, EventLog(chain.root / "more.jsonl"))
    return run(write_forms_page, *artifacts, config=NamedForms(FormsConfig("Forms <all>"), NAMES))


def test_every_figure_stands_in_the_line_of_the_form_that_it_was_measured_on(chain: Chain) -> None:
    base, quantized, openvino = view_of(chain).forms
    assert base.is_reference
    assert base.shown("perplexity_ratio") == "–"
    assert quantized.value("perplexity_ratio") == 1.21
    assert quantized.interval("perplexity_ratio") == "1.17 – 1.25"
    assert quantized.value("throughput_tokens_per_s") is None
    assert openvino.value("throughput_tokens_per_s") == 700
    assert openvino.value("logit_difference_max") == 0.0004
    assert openvino.value("perplexity_ratio") is None


def test_the_page_and_the_terminal_say_the_same(chain: Chain) -> None:
    report = page_of(chain, *chain.passed())
    page = (report.payload / "index.html").read_text(encoding="utf-8")
    assert "Forms &lt;all&gt;" in page
    assert "quantized &lt;4 bits&gt;" in page
    assert not re.search(r"(?:src|href)=.https?:", page)
    facts = report.read_json("report.json")
    assert facts["headline"] == (
        "The smallest of 3 forms, quantized <4 bits>, is 6.0× smaller than base, at 1.21× its perplexity on held-out "
        "text (95\u00a0% interval 1.17 – 1.25)."
    )
    said = io.StringIO()
    print_forms(facts, file=said, width=180)
    assert facts["headline"].split(",")[0] in said.getvalue()
    for form in facts["forms"]:
        line = next(line for line in said.getvalue().splitlines() if line.strip().startswith(form["name"]))
        assert all(cell in line for cell in form["shown"])
    narrow = io.StringIO()
    print_forms(facts, file=narrow, width=60)
    assert max(map(len, narrow.getvalue().splitlines())) <= 60
    assert "90.0 MB" in narrow.getvalue()
    assert "A wider terminal shows more: Bits a weight, KL" in " ".join(narrow.getvalue().split())
    body = page.split('id="forms"')[1].split("</section>")[0]
    for cell in ("540 MB", "90.0 MB", "1.21", "86.0 %", "700 tokens/s"):
        assert cell in body


def test_an_export_of_the_same_name_speaks_for_what_it_was_made_from(chain: Chain) -> None:
    view = read_forms(chain.passed(), ("base", "int4", "int4"), title="t")
    assert view is not None
    assert [form.name for form in view.forms] == ["base", "int4"]
    assert view.forms[1].shown("throughput_tokens_per_s") == "700 tokens/s"
    assert view.forms[1].shown("size_bytes") == "90.0 MB"


def test_the_chart_is_drawn_to_scale(chain: Chain) -> None:
    drawing = ET.fromstring(quality_chart(view_of(chain), 940.0))
    marks = {
        title.text.split(":")[0]: (float(mark.get("cx", 0)), float(mark.get("cy", 0)))
        for mark in drawing.iter("circle")
        for title in mark.iter("title")
        if title.text
    }
    assert set(marks) == {"base", "quantized <4 bits>"}  # an export without a quality of its own is not drawn
    assert marks["quantized <4 bits>"][0] < marks["base"][0]
    assert marks["quantized <4 bits>"][1] < marks["base"][1]


def test_of_forms_as_large_as_each_other_the_best_is_named(chain: Chain) -> None:
    """A line more in a configuration makes no larger model; a form that is as small and worse is not the answer."""
    for name, size, ratio in (("pruned", 80_000_000.0, 3.2), ("healed", 80_001_000.0, 1.5), ("larger", 82e6, 1.1)):
        made = (number("size_bytes", size, "bytes"),)
        chain.seal(name, "burnish.compress.prune.prune", "model", made, parents="base data")
        measured = (spread("perplexity_ratio", ratio, 0.05, "1", 40, HOW),)
        chain.seal(f"{name} quality", QUALITY, "report", measured, parents=f"base {name} data")
    view = read_forms(chain.passed(), (*NAMES, "pruned", "healed", "larger"), title="t")
    assert view is not None
    assert view.smallest.name == "healed"
    assert view.headline.startswith(
        "The smallest of 6 forms, healed, is 6.7× smaller than base, at 1.50× its perplexity"
    )


def test_a_form_as_large_as_the_reference_is_called_smaller_by_nobody(tmp_path: Path) -> None:
    for ratio, words in (
        (1.3, "2 forms of the model, side by side."),
        (0.9, "The best of 2 forms, sparse, is as large as b"),
    ):
        chain = Chain(tmp_path / str(ratio))
        size = (number("size_bytes", 540e6, "bytes"),)
        chain.seal("base", "burnish.train.base.take_base", "model", size)
        chain.seal("sparse", "burnish.compress.sparsify.sparsify", "model", size, parents="base")
        measured = (spread("perplexity_ratio", ratio, 0.05, "1", 40, HOW),)
        chain.seal("quality", QUALITY, "report", measured, parents="base sparse")
        view = read_forms(chain.passed(), ("base", "sparse"), title="t")
        assert view is not None
        assert view.headline.startswith(words)


@pytest.mark.parametrize("width", [327.0, 940.0])
def test_intervals_lie_within_the_frame_and_names_beside_each_other(chain: Chain, width: float) -> None:
    for name, ratio, half in (("pruned", 3.9, 2.5), ("control", 1.31, 0.4), ("healed", 1.30, 0.4)):
        chain.seal(
            name, "burnish.compress.prune.prune", "model", (number("size_bytes", 400e6, "bytes"),), parents="base"
        )
        measured = (spread("perplexity_ratio", ratio, half, "1", 40, HOW),)
        chain.seal(f"{name} quality", QUALITY, "report", measured, parents=f"base {name} data")
    view = read_forms(chain.passed(), (*NAMES, "pruned", "control", "healed"), title="t")
    assert view is not None
    drawing = ET.fromstring(quality_chart(view, width))
    grid = [float(line.get("y1", 0)) for line in drawing.iter("line") if line.get("class") == "grid"]
    whiskers = [line for line in drawing.iter("line") if line.get("class") == "whisker"]
    assert len(whiskers) == 4
    for line in whiskers:
        assert min(grid) <= float(line.get("y2", 0)) < float(line.get("y1", 0)) <= max(grid)
    lines = {text.text: float(text.get("y", 0)) for text in drawing.iter("text") if text.get("class") == "form-name"}
    heights = sorted(lines[name] for name in ("pruned", "control", "healed"))
    assert all(below - above >= 14 for above, below in pairwise(heights))
    said = drawing.get("aria-label", "")
    assert "control: 400 MB, 1.31× the perplexity; " in said
    assert "××" not in said
    assert "–" not in said


def test_what_cannot_be_shown_is_refused(chain: Chain) -> None:
    with pytest.raises(RecipeError, match="no artifact given is a model"):
        page_of(chain, chain.artifacts["data"])
    with pytest.raises(RecipeError, match="title is empty"):
        FormsConfig(" ")
