from pathlib import Path
from xml.etree import ElementTree as ET

from quickstart_chain import quickstart
from sealed_chain import Chain, number

from burnish.report.cast import assign
from burnish.report.flow import Drop, Flow, Step, flow_chart, trace


def test_the_flow_adds_up_from_collected_to_split(tmp_path: Path) -> None:
    flow = trace(assign(quickstart(tmp_path).passed()))
    assert flow is not None
    before = flow.num_collected
    for step in flow.steps:
        assert step.num_in == before
        assert step.num_in - step.num_kept == sum(drop.num_records for drop in step.drops)
        before = step.num_kept
    assert sum(part.num_records for part in flow.parts) == before == flow.num_kept == 5487
    assert flow.steps[0].note == "96 repaired and kept"
    assert flow.steps[1].drops[0] == Drop("exact copy", 188)
    assert flow.steps[1].quiet == ("ellipses",)
    assert [round(m.value, 3) for _, m in flow.planted] == [0.988, 0.99, 0.002]


def test_records_that_no_rule_accounts_for_are_shown(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    evidence = (number("records_in", 100), number("records_kept", 90), number("dropped_empty_records", 4))
    chain.seal("clean", "burnish.data.clean.clean", "dataset", evidence)
    flow = trace(assign(chain.passed()))
    assert flow is not None
    assert flow.num_collected == 100
    assert flow.steps[0].drops == (Drop("empty", 4), Drop("no reason given", 6))


def test_a_run_without_curation_has_no_flow(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.seal("base", "burnish.train.base.take_base", "model")
    assert trace(assign(chain.passed())) is None


def test_of_two_collections_the_flow_takes_the_one_that_was_cleaned(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    collect = "burnish.data.collect.collect"
    chain.seal("general", collect, "dataset", (number("collected_records", 7),))
    chain.seal("domain", collect, "dataset", (number("collected_records", 50),))
    evidence = (number("records_in", 50), number("records_kept", 50))
    chain.seal("clean", "burnish.data.clean.clean", "dataset", evidence, parents="domain")
    flow = trace(assign(chain.passed()))
    assert flow is not None
    assert flow.num_collected == 50


def test_the_stream_is_as_wide_as_its_records() -> None:
    flow = Flow(100, (Step("Clean", 100, 25, (Drop("empty", 75),), ()),), (Drop("train", 25),), ())
    root = ET.fromstring(flow_chart(flow, 640.0))
    streams = [float(rect.get("width", "")) for rect in root.iter("rect") if rect.get("class") == "stream"]
    assert streams[1] / streams[0] == 0.25
    words = [text.text for text in root.iter("text")]
    assert "Collected · 100" in words
    assert "75" in words
    assert (
        root.get("aria-label")
        == "Flow of records: 100 records collected; Clean: 25 kept, dropped: 75 empty; 25 to train."
    )


def test_bands_stay_inside_the_stream_when_a_record_breaks_several_rules() -> None:
    drops = (Drop("short", 40), Drop("empty", 40))
    root = ET.fromstring(flow_chart(Flow(100, (Step("Clean", 100, 60, drops, ()),), (), ()), 640.0))
    bands = [path.get("d", "") for path in root.iter("path") if path.get("class") == "drop"]
    stream = 640 * 0.44
    starts = [float(band[1:].split()[0]) for band in bands]
    assert starts == [round(stream, 1), round(stream * 0.8, 1)]


def test_names_from_data_are_escaped_and_cut() -> None:
    drop = Drop("</svg><script>alert(1)</script>" + "x" * 500, 3)
    drawn = flow_chart(Flow(10, (Step("Clean", 10, 7, (drop,), ()),), (), ()), 327.0)
    assert "<script" not in drawn
    shown = [text.text or "" for text in ET.fromstring(drawn).iter("text") if text.get("class") == "flow-reason"]
    assert len(shown[0]) < 40
