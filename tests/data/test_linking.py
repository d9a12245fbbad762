"""Linking: names are found whole, in two languages; what a shared name means follows from the text around it."""

import json
import re
from pathlib import Path

import pytest
from countries import countries
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.graphs.disambiguate import Meaning
from burnish.data.graphs.graph import Entity, Fact, Graph
from burnish.data.graphs.linking import Labelled, Link, LinkConfig, Linker, measure_links, read_labelled
from burnish.data.graphs.mentions import NameIndex, NameRules, fold
from burnish.data.scoring.embed import HashedNgrams
from burnish.errors import RecipeError


def named(**names: str) -> Graph:
    """Make a graph of entities with names parted by bars."""
    entities = {key: Entity(key, "", {"": tuple(listed.split("|"))}) for key, listed in names.items()}
    return Graph(entities, (Fact(next(iter(names)), "is", "x", is_literal=True),), {})


def found(graph: Graph, text: str, **config: object) -> list[tuple[str, str]]:
    (links,) = Linker(graph, LinkConfig(**config)).link([text])  # type: ignore[arg-type]
    return [(text[link.start : link.end], link.entity) for link in links]


def test_the_longest_name_that_begins_leftmost_is_linked() -> None:
    graph = named(york="York", ny="New York", nyt="New York Times", times="Times Square")
    assert found(graph, "In New York the New York Times Square is not.") == [
        ("New York", "ny"),
        ("New York Times", "nyt"),
    ]
    assert found(graph, "New Yorkers read in York") == [("York", "york")]


def test_latin_names_are_whole_words_and_plurals_count() -> None:
    graph = named(rice="rice", child="child", art="art", artist="artist")
    assert found(graph, "The price of rice, rice-cakes and ricers") == [("rice", "rice"), ("rice", "rice")]
    assert found(graph, "Children's artistic arts") == [("Children", "child"), ("arts", "art")]


def test_a_name_inside_another_word_does_not_hide_one_that_is_whole() -> None:
    graph = named(ny="New York", nyc="New York C")
    assert found(graph, "New York City") == [("New York", "ny")]


def test_chinese_names_need_no_spaces_but_fit_words() -> None:
    graph = named(cn="中国", ht="海地", us="美国", tw="台湾")
    text = "发展中国家的沿海地区,会见美国防部长,中国政府与台湾当局,中国iPhone"
    assert found(graph, text) == [("中国", "cn"), ("台湾", "tw"), ("中国", "cn")]
    loose = found(graph, text, names=NameRules(is_segmented=False))
    assert [name for name, _ in loose] == ["中国", "海地", "美国", "中国", "台湾", "中国"]


def test_mixed_text_links_both_scripts() -> None:
    graph = named(apple="Apple", cn="中国")
    assert found(graph, "Apple在中国销售iPhone") == [("Apple", "apple"), ("中国", "cn")]


def test_case_width_and_line_ends_do_not_matter_and_places_stay() -> None:
    graph = named(ny="New York", i="İzmir")
    text = "İİ NEW\nYORK and ＮＥＷ　ＹＯＲＫ"
    assert found(graph, text) == [("NEW\nYORK", "ny"), ("ＮＥＷ　ＹＯＲＫ", "ny")]


def test_capitals_alone_are_an_acronym() -> None:
    graph = named(who="WHO", it="IT")
    assert found(graph, "who said that it is the WHO's IT?") == [("WHO", "who"), ("IT", "it")]


def test_short_names_function_words_and_stop_names_are_passed_over() -> None:
    graph = named(a="a", he="he", indium="in", at="this", water="water", cell="细", ab="ab", aspirin="aspirin")
    text = "In this water he took a aspirin ab 细胞"
    assert found(graph, text) == [("water", "water"), ("aspirin", "aspirin")]
    without = NameRules(stop_names=("WATER",), min_latin_chars=2)
    assert found(graph, text, names=without) == [("aspirin", "aspirin"), ("ab", "ab")]
    with pytest.raises(RecipeError, match="no name of the graph passes the rules"):
        found(named(x="x"), "x")


def test_a_shared_name_is_told_by_the_words_around_it(tmp_path: Path) -> None:
    graph = countries(tmp_path)
    peaches = "Georgia's peaches are sold in Atlanta and other states."
    vineyards = "The vineyards of Georgia lie between the Caucasus and Tbilisi."
    assert found(graph, peaches)[0] == ("Georgia", "US-GA")
    assert found(graph, vineyards)[0] == ("Georgia", "GE")


def test_a_shared_name_without_a_hint_is_linked_only_if_one_is_likelier(tmp_path: Path) -> None:
    graph = countries(tmp_path)
    assert found(graph, "They went to Georgia.", min_score=0.6) == []
    (links,) = Linker(graph, LinkConfig(min_score=0.0)).link(["They went to Georgia."])
    assert [(link.num_candidates, link.score) for link in links] == [(2, 0.5)]
    likelier = Graph(graph.entities, graph.facts, graph.relations, {("Georgia", "US-GA"): 9.0})
    assert found(likelier, "They went to Georgia.", min_score=0.6) == [("Georgia", "US-GA")]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.sampled_from(["rice", "Rice", "ab", "price", "中国", "中国家", "发展", "New", "York\n.", "'s", "s"]),
        max_size=12,
    )
)
def test_mentions_are_what_a_slow_search_finds(words: list[str]) -> None:
    names = ("rice", "new york", "中国", "york")
    forms = (*names, "rices", "new yorks", "yorks")  # the plurals that are looked for too
    text = "".join(words)
    index = NameIndex(named(**{f"e{n}": name for n, name in enumerate(names)}), NameRules(is_segmented=False))
    low, slow, at = fold(text), [], 0
    while at < len(low):
        best = max((form for form in forms if is_whole(low, at, form)), key=len, default="")
        slow += [(at, at + len(best))] if best else []
        at += len(best) or 1
    assert [(mention.start, mention.end) for mention in index.find(text)] == slow


def is_whole(text: str, at: int, name: str) -> bool:
    sides = (text[max(0, at - 1) : at], text[at + len(name) :][:1])
    return text.startswith(name, at) and not (name.isascii() and any(re.match("[a-z0-9]", side) for side in sides))


def test_measures_count_wrong_missing_and_unlabelled_links(tmp_path: Path) -> None:
    linker = Linker(countries(tmp_path), LinkConfig())
    labelled = [
        Labelled("Paris is in France.", {(0, 5): "FR-capital", (12, 18): "FR"}),
        Labelled("Tokyo and Cairo", {(0, 5): "JP-capital", (10, 15): None}),  # Cairo, Illinois, say
        Labelled("Peking is not known.", {(0, 6): "CN-capital"}),
        Labelled("Japan or Brazil", {(0, 5): "JP"}, is_complete=False),  # Brazil is not judged
    ]
    measured = {m.name: m for m in measure_links(linker, labelled)}
    assert measured["link_precision_frac"].value == pytest.approx(4 / 5)
    assert measured["link_precision_frac"].n == 5
    assert measured["link_recall_frac"].value == pytest.approx(4 / 5)
    f1 = measured["link_f1_frac"]
    assert f1.low is not None
    assert f1.high is not None
    assert f1.value == pytest.approx(0.8)
    assert f1.low <= f1.value <= f1.high


def test_labelled_files_are_read_and_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    good = {"text": "Paris", "links": [{"start": 0, "end": 5, "entity": "FR-capital"}]}
    path.write_text(json.dumps(good) + "\n\n" + json.dumps({**good, "is_complete": False}), encoding="utf-8")
    assert read_labelled(path) == [
        Labelled("Paris", {(0, 5): "FR-capital"}),
        Labelled("Paris", {(0, 5): "FR-capital"}, is_complete=False),
    ]
    path.write_text(json.dumps(good) + "\n" + json.dumps({"text": "x", "links": [{"start": 0}]}), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"line 2 of truth\.jsonl must have"):
        read_labelled(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="holds no labelled text"):
        read_labelled(path)


@pytest.mark.parametrize("wrong", [{"min_score": 1.1}, {"window_chars": 0}])
def test_config_is_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=f"{next(iter(wrong))} is {next(iter(wrong.values()))}"):
        LinkConfig(**wrong)  # type: ignore[arg-type]


def test_links_carry_no_text() -> None:
    assert Link.__slots__ == ("start", "end", "entity", "score", "num_candidates")


def test_an_encoder_tells_what_a_shared_name_means(tmp_path: Path) -> None:
    graph = countries(tmp_path)
    fit = Meaning(HashedNgrams(), weight=20.0)
    assert found(graph, "Peaches from Georgia go to Atlanta.", fit=fit)[0] == ("Georgia", "US-GA")
    assert found(graph, "Georgia, in the Caucasus: Tbilisi, the Black Sea.", fit=fit)[0] == ("Georgia", "GE")
    with pytest.raises(RecipeError, match="weight is 0; it must be above 0"):
        Meaning(weight=0)


def test_texts_are_linked_together_as_they_are_alone(tmp_path: Path) -> None:
    linker = Linker(countries(tmp_path), LinkConfig())
    texts = ["Georgia's peaches in Atlanta", "", "法国与Georgia", "Georgia, Tbilisi, the Caucasus"]
    assert linker.link(texts) == [linker.link([text])[0] for text in texts]


def test_chinese_contexts_tell_too() -> None:
    entities = {
        "company": Entity("company", "", {"zh": ("小米",)}, "生产手机和家电的科技公司"),
        "grain": Entity("grain", "", {"zh": ("小米",)}, "一种可以煮粥的粮食,又叫粟"),
    }
    graph = Graph(entities, (Fact("grain", "是", "粮食", is_literal=True),), {})
    assert found(graph, "早上用小米煮粥,养胃。") == [("小米", "grain")]
    assert found(graph, "小米发布了新款手机。") == [("小米", "company")]
