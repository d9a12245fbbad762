"""Synonyms: the database read as it is written, words changed where that is safe, the rest left alone."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_wordnet import LICENCE, write_chinese, write_wordnet

from burnish.data.augmenting import wordnet as wordnet_module
from burnish.data.augmenting.chinese_synonyms import open_chinese_synonyms
from burnish.data.augmenting.inflection import FORMS, Form, analyses, inflect, with_article
from burnish.data.augmenting.synonyms import Sources, Synonyms, with_synonyms
from burnish.data.augmenting.word_spans import num_negations, words_with_places
from burnish.data.augmenting.wordnet import WordNet
from burnish.data.text import words
from burnish.errors import ArtifactError, MissingExtra, RecipeError
from burnish.runtime.assets import ASSETS, cached_path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder = tmp_path_factory.mktemp("synonyms")
    return Sources(WordNet(write_wordnet(folder / "dict")), open_chinese_synonyms(write_chinese(folder / "sets.txt")))


def changed(
    sources: Sources, text: str, frac: float = 1.0, keep: frozenset[str] = frozenset(), **options: int
) -> set[str]:
    config = Synonyms(frac, **options)
    return {with_synonyms(text, config, sources, random.Random(seed), keep) for seed in range(30)}


def test_entries_are_read_from_the_files(sources: Sources) -> None:
    net = sources.wordnet
    entry = net.entry("picture", "noun")
    assert entry is not None
    assert (len(entry.synsets), entry.num_tagged) == (2, 1)
    assert net.members(entry.synsets[1], "noun") == ["movie", "film", "picture", "motion picture", "pic"]
    assert net.entry("motion picture", "noun") is not None
    assert net.entry("picture", "verb") is None
    assert (net.is_name("china"), net.is_name("movie")) == (True, False)


def test_only_words_whose_commonest_sense_it_is_are_synonyms(sources: Sources) -> None:
    def of(lemma: str, max_senses: int = 4) -> list[str]:
        return list(sources.wordnet.synonyms(lemma, "noun", max_senses=max_senses))

    assert of("movie") == [
        "film",
        "motion picture",
    ]  # pic is in no tagged text; picture's is listed first, but is its own
    assert of("picture", max_senses=1) == []
    assert of("nothing at all") == []
    assert list(sources.wordnet.synonyms("completely", "adv", max_senses=4)) == []  # a phrase is no adverb's synonym


@given(
    st.sets(st.text(alphabet="ab'_-z0", min_size=1, max_size=5)), st.text(alphabet="ab'_-z0", min_size=1, max_size=5)
)
def test_a_line_is_found_where_there_is_one(lemmas: set[str], word: str) -> None:
    lines = "".join(f"{lemma} n 1\n" for lemma in sorted(lemmas))
    found = wordnet_module._find((LICENCE + lines).encode(), word.encode())  # type: ignore[arg-type]
    assert found == (f"{word} n 1".encode() if word in lemmas else None)
    for lemma in lemmas:
        assert wordnet_module._find(lines.encode(), lemma.encode()) == f"{lemma} n 1".encode()  # type: ignore[arg-type]


def test_a_database_whose_bytes_moved_is_refused(tmp_path: Path) -> None:
    folder = write_wordnet(tmp_path / "dict")
    data = folder / "data.noun"
    data.write_bytes(data.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(ArtifactError, match="has no synset at byte"):
        list(WordNet(folder).synonyms("film", "noun", max_senses=4))
    data.unlink()
    with pytest.raises(ArtifactError, match="must be a file of WordNet's dict folder"):
        WordNet(folder)


@pytest.mark.parametrize(
    ("lemma", "forms"),
    [
        ("stop", "stops stops stopped stopping"),
        ("make", "makes makes made making"),
        ("study", "studies studies studied studying"),
        ("offer", "offers offers offered offering"),
        ("admit", "admits admits admitted admitting"),
        ("lie", "lies lies - lying"),
        ("child", "children - - -"),
        ("crisis", "crises - - -"),
        ("housewife", "housewives - - -"),
        ("box", "boxes boxes boxed boxing"),
        ("go", "- - - going"),
        ("understand", "- understands understood understanding"),
        ("panic", "panics panics panicked panicking"),
        ("agree", "- agrees agreed agreeing"),
        ("hero", "heroes - - -"),
        ("status", "- - - -"),
    ],
)
def test_forms(lemma: str, forms: str) -> None:
    for form, expected in zip(FORMS, forms.split(), strict=True):
        if expected != "-":
            assert inflect(lemma, form) == expected
            assert (lemma, form) in list(analyses(expected))
    if lemma in ("go", "lie"):
        assert inflect(lemma, "past") is None  # went and gone, lay and lied
    if lemma == "status":
        assert inflect(lemma, "plural") is None


@given(st.text(alphabet="abcdegilnopqrstuy", min_size=2, max_size=8), st.sampled_from(FORMS))
def test_an_analysis_is_undone_by_inflecting(word: str, form: Form) -> None:
    for lemma, found in analyses(word):
        assert inflect(lemma, found) == word
    made = inflect(word, form)
    if made is not None and made != word and len(word) > 1:
        assert (word, form) in list(analyses(made))


def test_articles_follow_the_sound_that_letters_show() -> None:
    pairs = "an hour,a university,a euro,an apple,a one-off,an umbrella,an unimportant,a useful,an honest,a movie"
    for pair in pairs.split(","):
        article, word = pair.split()
        assert with_article("a", word) == article
        assert with_article("An", word) == article.capitalize()


def test_english_keeps_form_case_and_article(sources: Sources) -> None:
    assert changed(sources, "The children bought apples.") == {
        f"The {kids} purchased apples." for kids in ("kids", "youngsters")
    }
    assert changed(sources, "she was postponing victories") == {
        f"she was {verb} triumphs" for verb in ("deferring", "putting off")
    }
    assert changed(sources, "an apple, a movie, A HUGE mistake") >= {"an apple, a film, AN IMMENSE error"}
    assert changed(sources, "Victory at last") == {"Triumph at last"}


def test_what_is_in_doubt_stays(sources: Sources) -> None:
    for text in (
        "china rises",  # also a name
        "they met Lawyer Kid",  # capitals within a clause
        "shop",  # a noun or a verb
        "not never none nice",  # negations; and what is alone in its set
        "movie-like 3film",
        "映画が好きです",  # Japanese
        "",
    ):
        assert changed(sources, text) == {text}
    assert changed(sources, "the shop") == {"the store"}  # after an article it is a noun
    assert changed(sources, "I will shop") == {"I will shop"}
    assert changed(sources, "a nice movie", keep=frozenset(["movie"])) == {"a nice movie"}


def test_the_share_of_words_bounds_the_changes(sources: Sources) -> None:
    text = "the lawyer, the movie, the child, the victory, the mistake"
    for frac, wanted in ((0.1, 1), (0.3, 3), (1.0, 5)):
        for made in changed(sources, text, frac):
            assert sum(a != b for a, b in zip(words(text), words(made.replace("motion ", "")), strict=True)) == wanted
    assert changed(sources, text, 0.1, max_senses=1) != {text}
    with pytest.raises(RecipeError, match="frac_words is 0"):
        Synonyms(0.0)


def test_chinese_changes_whole_words_with_a_common_translation(sources: Sources) -> None:
    assert changed(sources, "房间很大,早餐不好。") == {"屋子很大,早饭不好。"}
    for text in (
        "性能很好",  # 性质 is in its set, but CC-CEDICT translates it otherwise
        "东西很多",  # in two sets: two meanings
        "星期一见",  # of one kind only
        "上海很大",  # a name
        "我的电脑",
    ):
        assert changed(sources, text) == {text}
    mixed = changed(sources, "这个movie的价钱很高,the child agrees")
    assert mixed == {
        f"这个{m}的价格很高,the {k} agrees" for m in ("film", "motion picture") for k in ("kid", "youngster")
    }


def test_what_is_no_list_of_sets_or_not_installed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    path.write_text("房间 屋子\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="no list of coded synonym sets"):
        open_chinese_synonyms(path)
    monkeypatch.setattr("burnish.data.augmenting.chinese_synonyms.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match="pip install 'burnish"):
        open_chinese_synonyms(write_chinese(tmp_path / "good.txt"))


@pytest.mark.parametrize(
    ("text", "negations"),
    [
        ("it isn't good", 1), ("it is not good, never", 2), ("a knot, nothing", 1), ("He can’t", 1),
        ("不好", 1), ("没有早餐", 1), ("特别好,非常不错", 0), ("区别很大", 0), ("买不到票", 1), ("未来的无线电", 0), ("别去", 1),
    ],
)  # fmt: skip
def test_negations_are_counted(text: str, negations: int) -> None:
    assert num_negations(text) == negations


@given(st.text(alphabet="ab 中国不好吃,。.'-\n3", max_size=30))
def test_words_stand_where_they_say(text: str) -> None:
    found = words_with_places(text)
    assert all(text[word.start : word.end] == word.text for word in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert {c for c in text if c.isalnum()} == {c for word in found for c in word.text if c.isalnum()}


@pytest.mark.skipif(not cached_path(ASSETS["wordnet"]).exists(), reason="the asset is not in the cache")
def test_the_real_database_has_the_film_and_the_lawyer() -> None:
    net = WordNet(cached_path(ASSETS["wordnet"]))
    assert list(net.synonyms("lawyer", "noun", max_senses=4)) == ["attorney"]
    assert set(net.synonyms("movie", "noun", max_senses=4)) == {"film", "motion picture"}
    assert net.is_name("bush")
