"""The report of a search: it shows every trial, draws them to scale, and hands the recipe on."""

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from test_search import CONFIG_OF_SEARCH, PLAN, TRAIN, trials

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import RecipeError
from burnish.report.search_charts import importance_chart, trials_chart
from burnish.report.search_page import SearchReportConfig, write_search_report
from burnish.report.search_table import print_search
from burnish.report.search_view import SearchView, Trial, Tried, read_search_view
from burnish.runtime import Run
from burnish.train.search import SearchConfig, search


def test_the_page_shows_the_search(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    config = replace(CONFIG_OF_SEARCH, recipe={"name": "<b>bold</b>"})
    found = run(search, base, headlines, config=config)
    report = run(write_search_report, headlines, base, found, config=SearchReportConfig("Which <values>"))
    page = (report.payload / "index.html").read_text(encoding="utf-8")
    assert "Which &lt;values&gt;" in page
    assert "<b>bold" not in page
    assert "1.00 × 10⁻⁵ to 0.03, by magnitude" in page
    body = page.split('id="trials"')[1].split("</section>")[0]
    assert body.count("<tr") == 1 + len(trials(found))
    assert (report.payload / "best.yaml").read_bytes() == (found.payload / "best.yaml").read_bytes()
    best = found.measurement("best_validation_loss_nats").value
    facts = report.read_json("report.json")
    assert facts["best_validation_loss_nats"] == best
    assert facts["trials"] == {"complete": 9, "pruned": 0, "failed": 0}
    said = io.StringIO()
    print_search(facts, file=said, width=110)
    for each in facts["values"]:
        assert re.search(rf"^ *{each['name']} .*{re.escape(each['best'])}", said.getvalue(), re.MULTILINE)
    again = run(write_search_report, headlines, base, found, config=SearchReportConfig("Which <values>"))
    assert again.digest == report.digest


def test_what_is_no_search_is_refused(run: Run, base: ModelArtifact) -> None:
    with pytest.raises(RecipeError, match="no artifact given is a search"):
        run(write_search_report, base, config=SearchReportConfig())
    with pytest.raises(RecipeError, match="title is empty"):
        SearchReportConfig(" ")


def view(*trials: Trial) -> SearchView:
    tried = (Tried("rank", "shape", "2, 4", "2", "4", 0.75), Tried("dropout", "shape", "0, 0.1", "0", "0", 0.25))
    return SearchView("t", "today", trials, tried, 1.0, 2, 2.0, 0.5, 8, "", (), (), ())


def trial(number: int, state: str, loss: float | None, best: float | None) -> Trial:
    losses = () if loss is None else ((100, loss),)
    return Trial(number, "shape", state, {"rank": "4"}, losses, best, "too much" if state == "failed" else "")


def test_the_chart_draws_to_scale_and_caps_what_would_flatten_it() -> None:
    shown = view(
        trial(1, "complete", 2.0, 2.0),
        trial(2, "complete", 1.0, 1.0),
        trial(3, "pruned", 1.5, 1.0),
        trial(4, "complete", 90.0, 1.0),
        trial(5, "failed", None, 1.0),
    )
    drawn = ET.fromstring(trials_chart(shown, 500))
    dots = {dot[0].text: dot.attrib for dot in drawn.iter() if dot.tag.endswith("circle")}
    heights = [float(attributes["cy"]) for attributes in dots.values()]
    assert heights[1] - heights[0] == pytest.approx(2 * (heights[2] - heights[0]), abs=0.2)
    assert heights[3] == pytest.approx(30)  # the upper edge
    assert heights[0] > 30
    assert [attributes["class"] for attributes in dots.values()].count("trial-pruned") == 1
    assert max(float(attributes["r"]) for attributes in dots.values()) == float(list(dots.values())[1]["r"])
    assert len([path for path in drawn.iter() if path.get("class") == "lost"]) == 1
    assert any("too much" in (title.text or "") for title in drawn.iter() if title.tag.endswith("title"))


def test_bars_of_importance_are_to_scale() -> None:
    drawn = ET.fromstring(importance_chart(view(trial(1, "complete", 1.0, 1.0)), 500))
    bars = [float(bar.attrib["width"]) for bar in drawn.iter() if bar.get("class") == "bar-after"]
    room = next(float(bar.attrib["width"]) for bar in drawn.iter() if bar.get("class") == "bar-room")
    assert bars == [pytest.approx(0.75 * room, abs=0.1), pytest.approx(0.25 * room, abs=0.1)]


def test_a_search_without_its_own_values_or_importance_is_shown(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    plan = replace(PLAN, rates=None, shape={"rank": (2, 8)}, regularisation=None)
    found = run(search, base, headlines, config=SearchConfig(TRAIN, plan))
    shown = read_search_view((found,), title="t")
    assert shown is not None
    assert shown.own_nats is None
    assert [each.importance_frac for each in shown.tried] == [None]
    report = run(write_search_report, found, config=SearchReportConfig())
    assert "What mattered" not in (report.payload / "index.html").read_text(encoding="utf-8")
    assert json.loads((report.payload / "report.json").read_text())["own_validation_loss_nats"] is None
