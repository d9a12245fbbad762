"""Keywords: every term found that a plain search finds, whole words alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.scoring.keywords import KeywordMatcher, Keywords, matcher_of
from burnish.data.text import normal_form
from burnish.errors import RecipeError

LETTERS = "ab 央行"
TERMS = st.lists(st.text(LETTERS, min_size=1, max_size=4).filter(normal_form), min_size=1, max_size=5)


def is_letter(character: str) -> bool:
    return character in "ab"


def plain_search(terms: list[str], text: str) -> list[tuple[str, int]]:
    """From left to right, the longest term that stands there and cuts no word, none overlapping."""
    found, place = [], 0
    while place < len(text):
        here = [
            term
            for term in terms
            if text.startswith(term, place)
            and not (place and is_letter(text[place - 1]) and is_letter(term[0]))
            and not (text[place + len(term) :][:1] and is_letter(text[place + len(term)]) and is_letter(term[-1]))
        ]
        if here:
            found.append((max(here, key=len), place))
            place += len(found[-1][0])
        else:
            place += 1
    return found


@given(TERMS, st.text(LETTERS, max_size=30))
def test_it_finds_what_a_plain_search_finds(terms: list[str], text: str) -> None:
    matcher = KeywordMatcher(dict.fromkeys(terms, 1.0))
    normal = normal_form(text)
    found = [(matcher.terms[match.term], match.start) for match in matcher.find(normal)]
    assert found == plain_search(list(matcher.terms), normal)


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("the price of rice", 1),
        ("Ｒｉｃｅ and RICE", 2),
        ("prices and licorice", 0),
        ("央行下调存款准备金率", 1),  # the longer of two terms that overlap
        ("使用GPU计算", 1),
        ("gpus", 0),
        ("", 0),
    ],
)
def test_words_are_whole_and_forms_do_not_count(text: str, hits: int) -> None:
    matcher = KeywordMatcher({"rice": 1.0, "准备金率": 1.0, "存款准备金率": 1.0, "GPU": 1.0})
    assert len(matcher.find(normal_form(text))) == hits


def test_the_score_is_weight_per_thousand_words_and_different_terms() -> None:
    scores = KeywordMatcher({"wheat": 2.0, "corn": 1.0}).score(["wheat and corn and corn", "no such word", "!?"])
    assert scores.tolist() == [[1000 * 4 / 5, 2.0], [0.0, 0.0], [0.0, 0.0]]


def test_a_file_lists_terms_with_weights_in_both_languages(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_text("\ufeff# finance\n央行\t2.5\nbond\n\n 国债 \n", encoding="utf-8")
    keywords = Keywords(("bond", "equity"), path)
    assert keywords.weights() == {"bond": 1.0, "equity": 1.0, "央行": 2.5, "国债": 1.0}
    assert matcher_of(keywords).score(["央行与国债"])[0].tolist() == [1000 * 3.5 / 5, 2.0]


@pytest.mark.parametrize(("line", "said"), [("央行\tmuch", "'much'"), ("bond\t-1", "'-1'"), ("bond\tinf", "'inf'")])
def test_a_weight_that_is_none_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "terms.txt"
    path.write_text(f"equity\n{line}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=f"line 2 of terms.txt has the weight {said}"):
        Keywords(path=path).weights()


def test_lists_without_terms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="neither terms nor a path"):
        Keywords()
    with pytest.raises(RecipeError, match=r"terms has '\?!'"):
        Keywords(("?!",))
    path = tmp_path / "empty.txt"
    path.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="lists no terms"):
        Keywords(path=path).weights()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="cannot be read as UTF-8"):
        Keywords(path=path).weights()
