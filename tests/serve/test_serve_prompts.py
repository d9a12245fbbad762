"""Text to tokens and back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.errors import ArtifactError, RecipeError
from burnish.serve.prompts import Prompts

HARD = ("今天天气怎么样？", "😀👩‍👩‍👧‍👦", "é ñ ü", "naïve 你好 world 🇨🇳", "a\n\n  b")


@pytest.fixture(scope="module")
def prompts(tiny_model: Path) -> Prompts:
    return Prompts(tiny_model)


def pieces_of(prompts: Prompts, tokens: tuple[int, ...], step: int = 1) -> list[str]:
    detokenizer = prompts.detokenizer()
    pieces = [detokenizer.add(tokens[start : start + step]) for start in range(0, len(tokens), step)]
    return [*pieces, detokenizer.flush()]


@pytest.mark.parametrize("text", HARD)
@pytest.mark.parametrize("step", [1, 2, 5])
def test_no_piece_holds_half_a_character(prompts: Prompts, text: str, step: int) -> None:
    tokens = prompts.plain(text)
    pieces = pieces_of(prompts, tokens, step)
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)
    if step == 1 and not text.isascii():
        assert "" in pieces  # some token was held back, or nothing was tested


@given(st.text(), st.integers(1, 4))
def test_pieces_of_any_text_are_the_text(prompts: Prompts, text: str, step: int) -> None:
    assert "".join(pieces_of(prompts, prompts.plain(text), step)) == text


@given(st.lists(st.integers(0, 319)))
def test_pieces_of_any_tokens_are_their_text(prompts: Prompts, tokens: list[int]) -> None:
    assert "".join(pieces_of(prompts, tuple(tokens))) == prompts.decode(tokens)


def test_special_tokens_are_spelled_but_not_decoded(prompts: Prompts) -> None:
    assert prompts.decode([1, 2]) == ""
    assert prompts.spell(2) == "<|im_end|>"


def test_a_model_without_a_template_completes_only(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((tiny_model / "tokenizer.json").read_bytes())
    prompts = Prompts(tmp_path)
    with pytest.raises(RecipeError, match="/v1/completions"):
        prompts.chat([{"role": "user", "content": "x"}])


def test_a_malformed_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json cannot be read"):
        Prompts(tmp_path)
