"""Territories: countries and regions in English and Chinese, with their currency, official language and code.

The names and facts are those of Unicode's CLDR, as the package `babel` carries them.
"""

import re
from collections.abc import Iterator
from typing import Any

from burnish.data.graphs.graph import Graph, Relation
from burnish.data.graphs.graph_builder import GraphBuilder
from burnish.runtime import need

_LANGUAGES = ("en", "zh")
_CODE = re.compile("[A-Z]{2}$")
_NO_TERRITORY = ("EU", "EZ", "QO", "UN", "XA", "XB", "ZZ")  # unions, an outlying rest, pseudo-locales, "unknown"
# Names that CLDR keeps apart from its plain ones (short), or does not have (long).
_ALIASES = {
    "CN": ("中华人民共和国",),
    "GB": ("Britain",),
    "HK": ("香港", "Hong Kong"),
    "MO": ("澳门", "Macao"),
    "US": ("美利坚合众国", "USA"),
}
_RELATIONS = (
    Relation("currency", {"en": "The currency of {subject} is the {object}.", "zh": "{subject}的货币是{object}。"}),
    Relation(
        "official language",
        {"en": "The official language of {subject} is {object}.", "zh": "{subject}的官方语言是{object}。"},
    ),
    Relation(
        "code", {"en": "The ISO 3166 code of {subject} is {object}.", "zh": "{subject}的ISO 3166代码是{object}。"}
    ),
)


def read_territories() -> Graph:
    """Make the graph; of several currencies or languages the first that CLDR lists."""
    core = need("babel", extra="data")
    locales = {language: core.Locale(language) for language in _LANGUAGES}
    builder = GraphBuilder()
    for code in sorted(locales["en"].territories):
        if not _CODE.match(code) or code in _NO_TERRITORY:
            continue
        builder.kind(code, "territory")
        builder.fact(code, "code", code, is_literal=True)
        for language, locale in locales.items():
            builder.name(code, locale.territories.get(code, ""), language)
        for alias in _ALIASES.get(code, ()):
            builder.name(code, alias, "en" if alias.isascii() else "zh")
        for kind, key, names in _facts(code, locales):
            builder.kind(f"{kind}:{key}", kind)
            for language, name in names.items():
                builder.name(f"{kind}:{key}", name, language)
            builder.fact(code, kind, f"{kind}:{key}")
    for relation in _RELATIONS:
        builder.relate(relation)
    return builder.build()


def _facts(code: str, locales: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    spoken = need("babel.languages", extra="data").get_official_languages(code)
    paid = need("babel.numbers", extra="data").get_territory_currencies(code)
    for relation, keys, table in (("official language", spoken, "languages"), ("currency", paid, "currencies")):
        for key in keys[:1]:
            names = {language: getattr(locale, table).get(key) for language, locale in locales.items()}
            if all(names.values()):
                yield relation, key, names
