"""Linking truth: what people marked becomes labels at the right places, and a real graph links real Chinese news."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_graph_packaged import DATA, INDEX, LICENCE

from burnish.data.graphs.graph import Graph
from burnish.data.graphs.graph_packaged import read_wordnet
from burnish.data.graphs.graph_sources import Territories, load_graph
from burnish.data.graphs.linking import Labelled, LinkConfig, Linker, measure_links
from burnish.data.graphs.linking_truth import marked_places, wordnet_examples
from burnish.data.graphs.mentions import NameRules

# Lines in the notation of the Peking University corpus; brackets open and close compounds.
NEWS = (
    "[中国/ns  人民/n  银行/n]nt  今天/t  在/p  北京/ns  说/v  ，/w  中国/ns  经济/n  稳定/a",
    "发展中国家/l  和/c  沿海/b  地区/n  受到/v  影响/vn",
    "俄罗斯/ns  总统/n  访问/v  日本/ns  ，/w  日本队/j  赢/v  了/u",
)


@pytest.fixture
def places() -> Graph:
    graph = load_graph(Territories())
    entities = {key: entity for key, entity in graph.entities.items() if entity.kind == "territory"}
    return replace(graph, entities=entities, facts=())


def test_territories_are_told_in_both_languages() -> None:
    graph = load_graph(Territories())
    english, chinese = ({graph.say(fact, language) for fact in graph.facts} for language in ("en", "zh"))
    assert {"The currency of Japan is the Japanese Yen.", "The official language of Brazil is Portuguese."} <= english
    assert {"日本的货币是日元。", "巴西的官方语言是葡萄牙语。", "法国的ISO 3166代码是FR。"} <= chinese
    assert "中华人民共和国" in graph.entities["CN"].all_names()
    assert sum(entity.kind == "territory" for entity in graph.entities.values()) > 240


def test_marked_places_are_labels_and_all_else_is_none(places: Graph, tmp_path: Path) -> None:
    (tmp_path / "news.txt").write_text("\n".join(NEWS), encoding="utf-8")
    labelled = {one.text: one for one in marked_places(tmp_path / "news.txt", places, at_most=9)}
    first = labelled["中国人民银行今天在北京说，中国经济稳定"]
    assert first.links == {(0, 2): "CN", (13, 15): "CN"}  # Beijing is no territory
    assert labelled["发展中国家和沿海地区受到影响"].links == {}
    assert first.is_complete
    assert len(marked_places(tmp_path / "news.txt", places, at_most=2)) == 2


def test_segmenting_keeps_names_out_of_other_words(places: Graph, tmp_path: Path) -> None:
    (tmp_path / "news.txt").write_text("\n".join(NEWS), encoding="utf-8")
    truth = marked_places(tmp_path / "news.txt", places, at_most=9)
    found = {
        is_segmented: {
            m.name: (m.value, m.n)
            for m in measure_links(Linker(places, LinkConfig(NameRules(is_segmented=is_segmented))), truth)
        }
        for is_segmented in (True, False)
    }
    assert found[True]["link_recall_frac"] == found[False]["link_recall_frac"] == (1.0, 4)
    assert found[False]["link_precision_frac"] == (4 / 7, 7)  # 中国, 海地 inside words, and the team
    assert found[True]["link_precision_frac"] == (4 / 5, 5)


def test_examples_label_the_word_that_they_illustrate(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(LICENCE + DATA)
    (tmp_path / "index.noun").write_text(LICENCE + INDEX)
    found = wordnet_examples(tmp_path, read_wordnet(tmp_path), at_most=9)
    assert sorted(found, key=lambda one: one.text) == [
        Labelled("that chap is your host", {(5, 9): "00000004"}, is_complete=False),
        Labelled("the dog barked all night", {(4, 7): "00000001"}, is_complete=False),
        Labelled("you lucky dog", {(10, 13): "00000002"}, is_complete=False),
    ]
