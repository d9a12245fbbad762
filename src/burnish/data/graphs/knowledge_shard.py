"""Knowledge shard: what knowledge injection does to one shard: link, choose facts, tell them, say what was done."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.data.graphs.graph import Graph
from burnish.data.graphs.graph_sources import GraphSource, Saying, load_graph
from burnish.data.graphs.knowledge_text import Mode, OwnRecords, tell
from burnish.data.graphs.linking import Link, LinkConfig, Linker, linker_of
from burnish.data.graphs.relevance import Chosen, choose_facts, language_of
from burnish.data.ledger import ledger_schema
from burnish.data.shard_parts import Row, write_parts
from burnish.data.shards import Split, kept_schema, of_split
from burnish.runtime import need

STEP = "knowledge"
FOLDERS = ("data", "ledger", "links")
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class KnowledgeShard:
    """Write a shard's rows with their facts; the arguments are those of the stage's configuration."""

    graph: GraphSource
    sayings: tuple[Saying, ...]
    linking: LinkConfig
    mode: Mode
    relations: tuple[str, ...]
    max_facts: int
    num_hops: int
    splits: tuple[Split, ...]
    seed: int

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        """Read the shard, write `data`, `ledger`, `links` and the counts into the folder."""
        counts, told = Counter[str](), Counter[str]()
        write_parts(
            shard,
            folder,
            dict(zip(FOLDERS, (kept_schema(), ledger_schema(), links_schema()), strict=True)),
            lambda rows: self._tell_table(rows, counts, told),
            is_left=of_split(shard.name, _SPLITS) and not of_split(shard.name, self.splits),
            advance=advance,
        )
        (folder / "counts.json").write_text(json.dumps({"counts": counts, "facts": told}), encoding="utf-8")

    def _tell_table(
        self, rows: list[Row], counts: Counter[str], told: Counter[str]
    ) -> tuple[list[Row], list[Row], list[Row]]:
        linker = linker_of(load_graph(self.graph, self.sayings), self.linking)
        decisions, linked = list[Row](), list[Row]()
        for at, (row, links) in enumerate(zip(rows, linker.link([row["text"] for row in rows]), strict=True)):
            facts = self._choose(linker, row, links)
            counts.update(
                {"in": 1, "linked": bool(links), "links": len(links), "facts": len(facts), "told": bool(facts)}
            )
            told.update(f"{fact.number} {language_of(row['text'])}" for fact in facts)
            linked += [_link_row(row["id"], row["text"], link) for link in links]
            if facts:
                rows[at] = self._told(row, facts)
                decisions.append(_decision(row["id"], len(facts), self.max_facts))
        return rows, decisions, linked

    def _choose(self, linker: Linker, row: Row, links: Sequence[Link]) -> list[Chosen]:
        return choose_facts(
            linker,
            row["id"],
            row["text"],
            links,
            relations=self.relations,
            max_facts=self.max_facts,
            num_hops=self.num_hops,
            seed=self.seed,
        )

    def _told(self, row: Row, facts: list[Chosen]) -> Row:
        """Give a row with its facts; in `meta` stands what was told, or nothing where facts are records of their own."""
        if isinstance(self.mode, OwnRecords):
            return row
        language = language_of(row["text"])
        meta = {**json.loads(row["meta"] or "{}"), "knowledge": [fact.sentence for fact in facts]}
        return {
            **row,
            "text": tell(row["text"], facts, self.mode, language),
            "meta": json.dumps(meta, ensure_ascii=False),
        }


def links_schema() -> Any:
    """Give the columns of `links/`: one row a link."""
    arrow = need("pyarrow", extra="data")
    kinds = {"id": arrow.string(), "start": arrow.int64(), "end": arrow.int64(), "name": arrow.string()}
    kinds |= {"entity": arrow.string(), "score": arrow.float64(), "num_candidates": arrow.int64()}
    return arrow.schema([arrow.field(name, kind, nullable=False) for name, kind in kinds.items()])


def fact_row(graph: Graph, key: str, times: int) -> Row:
    """Give the record of a fact in one language, named `<number> <language>`, that `times` records called for."""
    number, language = key.split(" ")
    fact = graph.facts[int(number)]
    meta = {"fact": [fact.subject, fact.relation, fact.object], "asked_by_records": times, "lang": language}
    return {
        "id": f"fact:{number}:{language}",
        "text": graph.say(fact, language),
        "label": None,
        "source": "knowledge",
        "planted": "",
        "meta": json.dumps(meta, ensure_ascii=False),
    }


def _link_row(identity: str, text: str, link: Link) -> Row:
    return {
        "id": identity,
        "start": link.start,
        "end": link.end,
        "name": text[link.start : link.end],
        "entity": link.entity,
        "score": link.score,
        "num_candidates": link.num_candidates,
    }


def _decision(identity: str, num_facts: int, max_facts: int) -> Row:
    return {
        "id": identity,
        "step": STEP,
        "rule": "facts_told",
        "value": float(num_facts),
        "threshold": float(max_facts),
        "kept": True,
    }
