"""Function words of English and Chinese: the closed classes that join all others, and that random text lacks.

English words are matched in normal form, without apostrophes. Chinese ones are single characters, simplified and
traditional; a pair of characters with one of them in it counts.
"""

LANGUAGES = ("en", "zh")

_ENGLISH = (
    "a an the this that these those each such some any all most more no own",
    "i me my we us our you your he him his she her hers it its they them their im",
    "about after as at before by down for from in into of off on out over through to under until up with without",
    "and but if nor or so than then while because",
    "am is are was were be been being do does did doing has have had can could may might must shall should will would",
    "aren't can't couldn't didn't doesn't don't isn't wasn't won't wouldn't s",
    "who whom whose what when where which why how there here not now only just too",
)
_CHINESE = (
    "的了是在不有和我这他就也都人们说要会对到一个与为之其而以及于上中下被把给让向从但如果因所很还没吗呢吧啊"
    "這個們說會對與為於從還沒嗎讓給"
)

_WORDS = frozenset(word.replace("'", "") for line in _ENGLISH for word in line.split())
_CHARACTERS = frozenset(_CHINESE)


def english_words() -> frozenset[str]:
    """Give the English words, without apostrophes."""
    return _WORDS


def chinese_characters() -> frozenset[str]:
    """Give the Chinese characters."""
    return _CHARACTERS


def is_function_word(unit: str) -> bool:
    """Tell a function word, or a run of Chinese characters with one in it."""
    return unit in _WORDS or not _CHARACTERS.isdisjoint(unit)
