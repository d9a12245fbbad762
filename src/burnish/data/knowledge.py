"""Knowledge: link each record's text to a graph, and tell the facts that fit: in the text, as a prompt, or beside it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement, counted
from burnish.data.engine import Engine, Local, run_shards
from burnish.data.flow import num_records
from burnish.data.graphs.graph import Graph
from burnish.data.graphs.graph_sources import GraphSource, Saying, load_graph
from burnish.data.graphs.knowledge_shard import FOLDERS, STEP, KnowledgeShard, fact_row
from burnish.data.graphs.knowledge_text import InPrompt, Mode, OwnRecords
from burnish.data.graphs.linking import LinkConfig, linker_of, measure_links, read_labelled
from burnish.data.shards import ShardWriter, Split, kept_schema, of_split, shard_paths
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need
from burnish.runtime.recipes import choice_name

_FACTS_AT_ONCE = 8192


@dataclass(frozen=True)
class KnowledgeConfig:
    """Say which facts are told, where and how many.

    Attributes:
        graph: where facts come from; it is held in memory by every worker.
        sayings: how relations are spoken, where the source does not say or says it otherwise.
        mode: in the training text, as a block before it, or as records of their own.
        max_facts: of one record, at least 1.
        num_hops: 1 tells of the entities that a text names, 2 also of what they inherit from, and so on.
        relations: tell facts of these alone; empty is all.
        splits: of a split dataset, which parts get facts; the rest stay as they are.
        labelled: JSON lines of texts with their true links, to measure linking on; see `linking.read_labelled`.
        seed: draws among facts that are equally relevant.
        engine: where shards are worked on.
    """

    graph: GraphSource
    sayings: tuple[Saying, ...] = ()
    linking: LinkConfig = field(default_factory=LinkConfig)
    mode: Mode = field(default_factory=InPrompt)
    max_facts: int = 3
    num_hops: int = 1
    relations: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ("train", "validation", "test")
    labelled: Path | None = None
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        for name in ("max_facts", "num_hops"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.splits:
            raise RecipeError("splits is empty; name at least one of train, validation, test")


def inject_knowledge(out: Workdir, records: DatasetArtifact, *, config: KnowledgeConfig) -> Draft[DatasetArtifact]:
    """Write every record with the facts that fit it; `links/` has a row a link, the ledger one a record with facts.

    Raises:
        RecipeError: the graph cannot be read, or no record names any of its entities.
        ArtifactError: a packaged graph is not in the cache and cannot be downloaded.
    """
    graph = load_graph(config.graph, config.sayings)
    _check_relations(graph, config.relations)
    work = KnowledgeShard(
        config.graph,
        config.sayings,
        config.linking,
        config.mode,
        config.relations,
        config.max_facts,
        config.num_hops,
        config.splits,
        config.seed,
    )
    counts, told = Counter[str](), Counter[str]()
    shards = shard_paths(records)
    for shard, folder in run_shards(out, shards, work, step=STEP, engine=config.engine):
        found = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        counts.update(found["counts"])
        told.update(found["facts"])
        for name in FOLDERS:
            (folder / f"{name}.parquet").rename(out / f"{name}/{shard.name}")
    if not counts["linked"]:
        raise RecipeError(
            f"none of {counts['in']:,} records names any of the graph's {len(graph.entities):,} entities; "
            "check the language of its names, or lower linking.min_score"
        )
    if isinstance(config.mode, OwnRecords):
        _write_facts(out, graph, told, shards)
    evidence = (*_evidence(graph, counts, told), *_link_quality(graph, config))
    summary = (
        f"{counts['facts']:,} facts told to {counts['told']:,} of {counts['in']:,} records, "
        f"{choice_name(type(config.mode)).replace('_', ' ')}, from a graph of {len(graph.facts):,}."
    )
    return Draft(DatasetArtifact, evidence, summary)


def _check_relations(graph: Graph, relations: Sequence[str]) -> None:
    there = {fact.relation for fact in graph.facts}
    for relation in relations:
        if relation not in there:
            raise RecipeError(
                f"relation {relation!r} is in no fact of the graph; there are: {', '.join(sorted(there))}"
            )


def _write_facts(out: Workdir, graph: Graph, told: Counter[str], shards: Sequence[Path]) -> None:
    """Write one record a fact, and language, in the graph's order; of a split dataset they train."""
    is_split = any(of_split(shard.name, ("train",)) for shard in shards)
    arrow = need("pyarrow", extra="data")
    with ShardWriter(out / f"data/{'train-facts' if is_split else 'facts'}.parquet", kept_schema()) as shard:
        keys = sorted(told, key=lambda key: (int(key.split(" ")[0]), key))
        for start in range(0, len(keys), _FACTS_AT_ONCE):
            rows = [fact_row(graph, key, told[key]) for key in keys[start : start + _FACTS_AT_ONCE]]
            shard.write(arrow.Table.from_pylist(rows, schema=kept_schema()))


def _link_quality(graph: Graph, config: KnowledgeConfig) -> tuple[Measurement, ...]:
    if config.labelled is None:
        return ()
    return measure_links(linker_of(graph, config.linking), read_labelled(config.labelled), seed=config.seed)


def _evidence(graph: Graph, counts: Counter[str], told: Counter[str]) -> Iterator[Measurement]:
    of = counts["in"]
    yield num_records("records_in", of, of=of, how="count, of the splits that get facts")
    yield num_records("linked_records", counts["linked"], of=of, how="records with at least one link")
    yield counted("linked_frac", counts["linked"], of=of, how="records with at least one link")
    yield Measurement("links_per_record", counts["links"] / of, "1", of, how="mean over all records; exact")
    yield Measurement("injected_facts", counts["facts"], "1", of, how="facts told, counted once a record")
    yield Measurement("distinct_facts", len(told), "1", of, how="facts told at least once")
    yield num_records("injected_records", counts["told"], of=of, how="records with at least one fact")
    size = len(graph.facts) + graph.num_skipped
    yield Measurement("graph_entities", len(graph.entities), "1", size, how="count")
    yield Measurement("graph_facts", len(graph.facts), "1", size, how="count")
    yield Measurement("graph_skipped_rows", graph.num_skipped, "1", size, how="rows that made no fact")
