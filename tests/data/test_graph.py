"""Graph: the same facts from triples, RDF and packaged files; what cannot be read is counted or refused."""

from pathlib import Path

import pytest
from countries import SAYINGS, countries, rows, write_countries
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.graphs.graph import Entity, Fact, Graph, Relation
from burnish.data.graphs.graph_sources import Rdf, Saying, Triples, load_graph
from burnish.errors import RecipeError
from burnish.runtime.recipes import fill

TURTLE = """
@prefix : <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
:Q142 a :Country ; rdfs:label "France"@en , "法国"@zh-Hans ; skos:altLabel "法兰西"@zh ; :capital :Q90 ;
      rdfs:comment "a country in Europe" ; :population 68000000 ; :flag [ :colour "blue" ] .
:Q90 a :City ; rdfs:label "Paris"@en ; rdfs:subClassOf :Settlement .
"""


def said(graph: Graph, language: str = "en") -> set[str]:
    return {graph.say(fact, language) for fact in graph.facts}


def test_triples_name_entities_in_two_languages(tmp_path: Path) -> None:
    graph = countries(tmp_path)
    assert "The capital of France is Paris." in said(graph)
    assert "法国的首都是巴黎。" in said(graph, "zh")
    assert graph.entities["CN"].names == {"en": ("China", "PRC"), "zh": ("中国", "中华人民共和国")}
    assert graph.entities["GE"].kind == "country"
    assert graph.num_skipped == 0


def test_an_object_nobody_speaks_about_is_a_literal(tmp_path: Path) -> None:
    graph = countries(tmp_path)
    (population,) = [fact for fact in graph.facts if fact.relation == "population"]
    assert population == Fact("US-GA", "population", "11,180,878", is_literal=True)
    assert graph.say(population, "en") == "Georgia: population: 11,180,878."
    assert graph.say(population, "zh") == "佐治亚州的population是11,180,878。"


def test_ids_serve_as_names_in_plain_triples(tmp_path: Path) -> None:
    (tmp_path / "plain.tsv").write_text("巴黎\t位于\t法国\n法国\t货币\t欧元\n", encoding="utf-8")
    graph = load_graph(Triples(tmp_path / "plain.tsv"))
    assert said(graph, "zh") == {"巴黎的位于是法国。", "法国的货币是欧元。"}
    assert [fact.is_literal for fact in graph.facts] == [False, True]


def test_rows_that_are_no_triples_are_counted(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\na,likes,b\n,likes,b\na,likes,b,c\na,likes,b\n", encoding="utf-8")
    graph = load_graph(Triples(tmp_path / "bad.csv"))
    assert graph.num_skipped == 3
    assert graph.facts == (Fact("a", "likes", "b", is_literal=True),)  # the same row again adds nothing


@pytest.mark.parametrize("suffix", ["ttl", "nt", "rdf"])
def test_rdf_gives_names_kinds_and_facts(tmp_path: Path, suffix: str) -> None:
    import pyoxigraph

    forms = {
        "ttl": pyoxigraph.RdfFormat.TURTLE,
        "nt": pyoxigraph.RdfFormat.N_TRIPLES,
        "rdf": pyoxigraph.RdfFormat.RDF_XML,
    }
    quads = pyoxigraph.parse(TURTLE, format=pyoxigraph.RdfFormat.TURTLE)
    path = tmp_path / f"graph.{suffix}"
    pyoxigraph.serialize((quad.triple for quad in quads), path, format=forms[suffix])
    graph = load_graph(Rdf(path), (Saying("capital", en="{object} is the capital of {subject}."),))
    france = graph.entities["http://example.org/Q142"]
    assert france.names == {"en": ("France",), "zh": ("法国", "法兰西")}
    assert (france.kind, france.description) == ("Country", "a country in Europe")
    assert said(graph) == {
        "Paris is the capital of France.",
        "France: population: 68000000.",
        "Paris is a kind of Settlement.",
    }
    assert graph.num_skipped == 2  # the blank node, as object and as subject


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.ttl").write_text("<a> <b> .", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"broken\.ttl cannot be read as Turtle"):
        load_graph(Rdf(tmp_path / "broken.ttl"))
    (tmp_path / "broken.csv").write_bytes(b"a,b,\xff\xfe")
    with pytest.raises(RecipeError, match=r"broken\.csv cannot be read"):
        load_graph(Triples(tmp_path / "broken.csv"))
    with pytest.raises(RecipeError, match=r"missing\.csv cannot be read"):
        load_graph(Triples(tmp_path / "missing.csv"))
    with pytest.raises(RecipeError, match=r"its suffix must be one of: \.csv, \.tsv"):
        Triples(tmp_path / "graph.ttl")


def test_a_graph_without_facts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("a,name,b\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="holds no fact"):
        load_graph(Triples(tmp_path / "names.csv"))


def test_sayings_change_how_a_relation_is_spoken_and_no_other(tmp_path: Path) -> None:
    source = write_countries(tmp_path)
    assert "France: capital: Paris." in said(load_graph(source))
    assert "The capital of France is Paris." in said(load_graph(source, SAYINGS))
    with pytest.raises(
        RecipeError, match="relation 'capitol' is in no fact of the graph; there are: capital, currency"
    ):
        load_graph(source, (Saying("capitol", en="{subject} {object}"),))
    with pytest.raises(RecipeError, match=r"must hold \{subject\} and \{object\}, once each"):
        Saying("capital", en="The capital is {object}.")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "graph.csv"
    path.write_text("a,likes,b\n", encoding="utf-8")
    assert said(load_graph(Triples(path))) == {"a: likes: b."}
    path.write_text("a,likes,c\n", encoding="utf-8")
    import os

    os.utime(path, ns=(1, 1))  # a clock too coarse to tell the two writings apart must not fail the test
    assert said(load_graph(Triples(path))) == {"a: likes: c."}


def test_names_with_braces_stay_as_they_are() -> None:
    entities = {"a": Entity("a", "", {"": ("{object}",)}), "b": Entity("b", "", {"": ("{subject}",)})}
    graph = Graph(entities, (Fact("a", "r", "b"),), {"r": Relation("r", {"en": "{object} of {subject}!"})})
    assert graph.say(graph.facts[0], "en") == "{subject} of {object}!"


def test_facts_of_an_entity_are_found_from_both_ends(tmp_path: Path) -> None:
    graph = countries(tmp_path)
    facts = [graph.facts[number] for number in graph.facts_of["asia"]]
    assert {fact.subject for fact in facts} == {"CN", "JP", "GE"}
    own = [graph.facts[number].subject == "CN" for number in graph.facts_of["CN"]]
    assert own == sorted(own, reverse=True)  # its own first


@given(st.permutations(rows()))
def test_the_order_of_triples_changes_no_fact(shuffled: list[tuple[str, str, str]]) -> None:
    from burnish.data.graphs.graph_builder import GraphBuilder

    def build(given: list[tuple[str, str, str]]) -> set[Fact]:
        builder = GraphBuilder()
        for subject, relation, target in given:
            if relation.partition("@")[0] in ("name", "kind", "description"):
                builder.name(subject, target) if relation.startswith("name") else builder.kind(subject, target)
            else:
                builder.fact(subject, relation, target)
        return set(builder.build(lambda one: one, are_objects_open=True).facts)

    assert build(list(shuffled)) == build(rows())


def test_yaml_names_a_source() -> None:
    from burnish.data.knowledge import KnowledgeConfig

    config = fill(KnowledgeConfig, {"graph": {"kind": "triples", "path": "a.csv"}, "mode": {"kind": "in_text"}})
    assert config.graph == Triples(Path("a.csv"))
