"""Inflection of English nouns and verbs: from a lemma to a form and back, silent where the form is in doubt.

Rules for the regular, lists for the closed classes that follow none. Past tense and participle are one form here, so
verbs in which they differ (`went`, `gone`) have neither.
"""

import re
from collections.abc import Iterator
from typing import Literal

Form = Literal["plural", "third", "past", "ing"]
FORMS: tuple[Form, ...] = ("plural", "third", "past", "ing")

_VOWELS = "aeiou"
_HISSING = re.compile(r"(?:[sxz]|[cs]h)$")
_ONE_SYLLABLE = re.compile(r"^[^aeiou]*(?:qu)?[aeiou][^aeiouwxy]$")  # stop, plan: doubles its last letter
_LAST_STRESSED = re.compile(
    r"(?:(?:ad|com|per|sub|trans|o|e|re|inter)mit|(?:re|pre|de|con|in|trans)fer|(?:oc|in|re|con)cur|(?:com|dis|ex|im|pro|re)pel"
    r"|(?:al|b)lot|(?:ab|de)hor|(?:be|re)fit|be(?:fog|get|set)|re(?:run|set|fit)|(?:em|im)bed|(?:over|kid|handi)(?:lap|nap|cap)|patrol|control"
    r"|equip|acquit|regret|abet|rebel|rebut|deter|demur|forbid|forget|begin|worship|program|zigzag|underpin|outstrip|format)$"
)
_COMPOUND = re.compile(r"^(?:over|under|out|up|off|side|quick|weather|short|down)(?=[a-z]{3})")


def _pairs(*lines: str) -> dict[str, str]:
    return dict(pair.split() for line in lines for pair in line.split(","))


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_PLURALS = _pairs(
    "man men,woman women,child children,person people,foot feet,tooth teeth,goose geese,mouse mice,ox oxen",
    "life lives,wife wives,knife knives,leaf leaves,half halves,shelf shelves,self selves,thief thieves",
    "wolf wolves,loaf loaves,calf calves,elf elves,hoof hooves,scarf scarves,phenomenon phenomena",
    "criterion criteria,hero heroes,potato potatoes,tomato tomatoes,echo echoes,veto vetoes,cargo cargoes",
    "torpedo torpedoes,quiz quizzes,series series,species species,sheep sheep,deer deer,fish fish",
    "aircraft aircraft,offspring offspring,bus buses,gas gases,lens lenses",
)
_PASTS = _pairs(
    "bend bent,bind bound,bleed bled,breed bred,bring brought,build built,buy bought,catch caught,cling clung",
    "slink slunk,creep crept,deal dealt,dig dug,feed fed,feel felt,fight fought,find found,flee fled,hang hung",
    "have had,hear heard,hold held,keep kept,fling flung,grind ground,string strung,rend rent,beseech besought",
    "inlay inlaid,waylay waylaid,lay laid,lead led,leave left,lend lent,lose lost,make made,mean meant,meet met",
    "pay paid,say said,seek sought,sell sold,send sent,shine shone,shoot shot,sit sat,sleep slept,slide slid",
    "sling slung,spend spent,spin spun,stand stood,stick stuck,sting stung,strike struck,sweep swept,swing swung",  # codespell:ignore sting
    "teach taught,tell told,think thought,weep wept,win won,wind wound,wring wrung,bet bet,burst burst,cast cast",
    "cost cost,cut cut,hit hit,hurt hurt,let let,put put,quit quit,read read,rid rid,set set,beset beset",
    "reset reset,shed shed,shut shut,slit slit,split split,spread spread,thrust thrust,upset upset",
)
_TWO_PASTS = _words(
    "abide arise awake be bear beat become befall beget begin behold bespeak bid bite blow break browbeat can",
    "chide choose cleave come dive do draw dream drink drive eat fall fly forbid forego forget forgive forgo",
    "forsake forswear freeze get give go grow hew hide kneel know lean leap learn lie light may mow must outdo",
    "partake prove ride ring rise rive run saw see sew shake shall shave shear show shrink sing sink slay smell",
    "smite sow speak speed spell spill spit spoil spring steal stink strew stride strive swear swell swim take",
    "tear thrive throw tread undo wake wear weave wed wet will write",  # codespell:ignore tread
)
_PREFIX = re.compile(r"^(?:over|under|misunder|out|fore|m[i]s|re|un|up|with|inter|off|broad|tele|spot)(?=[a-z]{3})")
_NO_PREFIX = ("relay",)  # a message is relayed, not relaid
_OS = _words(
    "auto avocado burrito casino combo condo demo disco dynamo ego euro hippo kilo logo memo photo piano pro taco",
    "turbo",
)
_COMPOUND_PLURALS = ("child", "wife", "shelf", "foot", "tooth", "person")


def inflect(lemma: str, form: Form) -> str | None:
    """Give a form of a lemma in lower case, or None where it is in doubt."""
    match form:
        case "plural":
            return _plural(lemma)
        case "third":
            return None if lemma in ("be", "have", "do", "go") else _with_s(lemma)
        case "past":
            return _past(lemma)
        case "ing":
            return _ing(lemma)


def analyses(word: str) -> Iterator[tuple[str, Form]]:
    """Give the lemmas that a word in lower case may be a form of: those whose form it is again."""
    for form in FORMS:
        for lemma in sorted(_stems(word, form)):
            if len(lemma) > 1 and inflect(lemma, form) == word and lemma != word:
                yield lemma, form


def with_article(article: str, word: str) -> str:
    """Give `a` or `an` as the word after it asks, by its letters; the article's case stays."""
    is_vowel = word[:1].lower() in _VOWELS and not re.match(r"(?:eu|uni(?!n|m)|us[aeiu]|one\b|once)", word.lower())
    is_vowel = is_vowel or bool(re.match(r"(?:hour|honest|honou?r|heir)", word.lower()))
    fitting = "an" if is_vowel else "a"
    return fitting.capitalize() if article[0].isupper() else fitting


def _stems(word: str, form: Form) -> set[str]:
    match form:
        case "plural" | "third":
            stems = {word[:-1], word[:-2]} if word.endswith("s") else set()
            stems |= {f"{word[:-3]}y"} if word.endswith("ies") else set()
            stems |= {f"{word[:-2]}is"} if word.endswith("ses") else set()
            irregular = ((single, plural) for single, plural in _PLURALS.items() if word.endswith(plural))
            return stems | {f"{word.removesuffix(plural)}{single}" for single, plural in irregular}
        case "past":
            stems = {word[:-1], word[:-2], word[:-3]} if word.endswith("ed") else set()
            stems |= {f"{word[:-3]}y"} if word.endswith("ied") else set()
            return stems | {
                f"{word.removesuffix(past)}{lemma}" for lemma, past in _PASTS.items() if word.endswith(past)
            }
        case "ing":
            stem = word[:-3]
            stems = {stem, f"{stem}e", stem[:-1]} if word.endswith("ing") else set()
            return stems | ({f"{stem[:-1]}ie"} if stem.endswith("y") else set())


def _plural(lemma: str) -> str | None:
    if lemma in _PLURALS:
        return _PLURALS[lemma]
    if lemma.endswith("man"):
        return f"{lemma[:-3]}men" if lemma not in ("human", "german", "roman", "talisman") else f"{lemma}s"
    for last in _COMPOUND_PLURALS:
        if lemma.endswith(last):
            return f"{lemma.removesuffix(last)}{_PLURALS[last]}"
    if re.search(r"[^aeiou]o$", lemma) and lemma not in _OS:
        return None  # heroes, but tacos
    if lemma.endswith("sis"):
        return f"{lemma[:-2]}es"
    if lemma.endswith(("us", "is", "ics", "ss's")) or (lemma.endswith("s") and not lemma.endswith("ss")):
        return None
    return _with_s(lemma)


def _with_s(lemma: str) -> str:
    if _HISSING.search(lemma):
        return f"{lemma}es"
    if lemma.endswith("y") and lemma[-2:-1] not in _VOWELS:
        return f"{lemma[:-1]}ies"
    return f"{lemma}es" if lemma in ("go", "do", "undo", "redo", "outdo", "forgo", "veto", "echo") else f"{lemma}s"


def _past(lemma: str) -> str | None:
    bare = lemma if lemma in _NO_PREFIX else _PREFIX.sub("", lemma)
    if lemma in _PASTS:
        return _PASTS[lemma]
    if bare in _PASTS:
        return f"{lemma.removesuffix(bare)}{_PASTS[bare]}"
    if lemma in _TWO_PASTS or bare in _TWO_PASTS:
        return None
    if lemma.endswith("e"):
        return f"{lemma}d"
    if lemma.endswith("y") and lemma[-2:-1] not in _VOWELS:
        return f"{lemma[:-1]}ied"
    return f"{_doubled(lemma)}ed"


def _ing(lemma: str) -> str | None:
    if lemma == "be":
        return None
    if lemma.endswith("ie"):
        return f"{lemma[:-2]}ying"
    if lemma.endswith("e") and not re.search(r"(?:[eoy]e|^[st]inge)$", lemma):
        return f"{lemma[:-1]}ing"
    return f"{_doubled(lemma)}ing"


def _doubled(lemma: str) -> str:
    doubles = _ONE_SYLLABLE.search(_COMPOUND.sub("", lemma)) or _LAST_STRESSED.search(lemma)
    if lemma.endswith("c"):
        return f"{lemma}k" if lemma in ("panic", "picnic", "mimic", "traffic", "frolic", "politic") else lemma
    return f"{lemma}{lemma[-1]}" if doubles else lemma
