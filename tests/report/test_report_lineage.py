from pathlib import Path
from xml.etree import ElementTree as ET

from quickstart_chain import quickstart

from burnish.report.cast import assign
from burnish.report.lineage import lineage, rail


def test_parents_stand_above_their_children_in_any_order_given(tmp_path: Path) -> None:
    passed = quickstart(tmp_path).passed()
    for given in (passed, tuple(reversed(passed))):
        nodes = lineage(assign(given))
        assert len(nodes) == len(passed)
        assert all(parent < index for index, node in enumerate(nodes) for parent in node.parents)


def test_a_parent_that_was_not_passed_is_shown_without_times(tmp_path: Path) -> None:
    chain = quickstart(tmp_path)
    nodes = lineage(assign(chain.passed(without="general")))
    (general,) = [node for node in nodes if node.words == "General text"]
    assert general.digest == chain.artifacts["general"].digest[:12]
    assert (general.time, general.memory) == ("–", "")


def test_the_trunk_leads_to_the_compressed_model_and_no_further(tmp_path: Path) -> None:
    nodes = lineage(assign(quickstart(tmp_path).passed()))
    trunk = {node.words for node in nodes if node.is_trunk}
    assert {
        "Collected records",
        "Base model",
        "Tuned model",
        "Merged model",
        "Quantised model",
        "Exported model",
    } <= trunk
    assert not trunk & {"General text", "Served model, load", "Hand-over parity"}


def test_every_edge_is_drawn_once_and_named(tmp_path: Path) -> None:
    nodes = lineage(assign(quickstart(tmp_path).passed()))
    paths = list(ET.fromstring(rail(nodes)).iter("path"))
    drawn = {path.get("data-edge") for path in paths}
    assert drawn == {f"{parent} {child}" for child, node in enumerate(nodes) for parent in node.parents}
    assert len(paths) == len(drawn)
    titles = {title.text for path in paths for title in path.iter("title")}
    assert "Quantised model → Exported model" in titles


def test_bars_are_shares_of_the_longest_stage(tmp_path: Path) -> None:
    nodes = {node.words: node for node in lineage(assign(quickstart(tmp_path).passed()))}
    assert nodes["Tuned model"].seconds_frac == 1.0
    assert nodes["Tuned model"].time == "2 min 33 s"
    assert 0 < nodes["Collected records"].seconds_frac < 0.02
