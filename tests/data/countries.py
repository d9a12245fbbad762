"""A small graph of countries in English and Chinese, as the files that a user would have."""

import csv
from pathlib import Path

from burnish.data.graphs.graph import Graph
from burnish.data.graphs.graph_sources import Saying, Triples, load_graph

# id, English names, Chinese names, capital, continent, currency; the first name is the one to write.
_COUNTRIES = (
    ("FR", "France", "法国|法兰西", "Paris|巴黎", "europe", "eur"),
    ("CN", "China|PRC", "中国|中华人民共和国", "Beijing|北京", "asia", "cny"),
    ("JP", "Japan", "日本", "Tokyo|东京", "asia", "jpy"),
    ("BR", "Brazil", "巴西", "Brasilia|巴西利亚", "america", "brl"),
    ("EG", "Egypt", "埃及", "Cairo|开罗", "africa", "egp"),
    ("GB", "United Kingdom|Britain", "英国", "London|伦敦", "europe", "gbp"),
    ("GE", "Georgia", "格鲁吉亚", "Tbilisi|第比利斯", "asia", "gel"),
)
_OTHERS = (
    ("europe", "Europe|欧洲", "continent"),
    ("asia", "Asia|亚洲", "continent"),
    ("america", "South America|南美洲", "continent"),
    ("africa", "Africa|非洲", "continent"),
    ("eur", "euro|欧元", "currency"),
    ("cny", "renminbi|人民币", "currency"),
    ("jpy", "yen|日元", "currency"),
    ("brl", "real|雷亚尔", "currency"),
    ("egp", "Egyptian pound|埃及镑", "currency"),
    ("gbp", "pound sterling|英镑", "currency"),
    ("gel", "lari|拉里", "currency"),
)
_DESCRIPTIONS = (
    ("GE", "a country in the Caucasus by the Black Sea with vineyards, whose capital is Tbilisi"),
    ("US-GA", "a state of the United States with peaches, whose capital is Atlanta"),
)

SAYINGS = (
    Saying("capital", "The capital of {subject} is {object}.", "{subject}的首都是{object}。"),
    Saying("currency", "The currency of {subject} is the {object}.", "{subject}的货币是{object}。"),
    Saying("lies in", "{subject} lies in {object}.", "{subject}位于{object}。", is_inherited=True),
    Saying(
        "is the capital of", "{subject} is the capital of {object}.", "{subject}是{object}的首都。", is_inherited=True
    ),
)


def rows() -> list[tuple[str, str, str]]:
    """Give the triples."""
    found = [(key, "kind", "country") for key, *_ in _COUNTRIES]
    for key, english, chinese, capital, continent, currency in _COUNTRIES:
        found += [(key, "name@en", name) for name in english.split("|")]
        found += [(key, "name@zh", name) for name in chinese.split("|")]
        city = f"{key}-capital"
        found += [
            (city, "name@en", capital.split("|")[0]),
            (city, "name@zh", capital.split("|")[1]),
            (city, "kind", "city"),
        ]
        found += [(key, "capital", city), (city, "is the capital of", key)]
        found += [(key, "lies in", continent), (key, "currency", currency)]
    for key, names, kind in _OTHERS:
        english, chinese = names.split("|")
        found += [(key, "name@en", english), (key, "name@zh", chinese), (key, "kind", kind)]
    found += [("US-GA", "name@en", "Georgia"), ("US-GA", "name@zh", "佐治亚州"), ("US-GA", "kind", "state")]
    found += [(key, "description", text) for key, text in _DESCRIPTIONS]
    return [*found, ("US-GA", "population", "11,180,878")]


def write_countries(folder: Path) -> Triples:
    """Write the triples as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "countries.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows())
    return Triples(folder / "countries.csv")


def countries(folder: Path) -> Graph:
    """Load the graph."""
    return load_graph(write_countries(folder), SAYINGS)
