"""Write the rows in random order, in as many shards as asked for, with the truth beside them."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpus.build import Row


def ordered(rows: Sequence[Row], rng: random.Random) -> list[int]:
    """Draw the order of the rows; the ids follow it, so that no id tells what a row is."""
    order = list(range(len(rows)))
    rng.shuffle(order)
    return order


def write(out: Path, rows: Sequence[Row], order: Sequence[int], *, num_shards: int, seed: int) -> dict[str, Any]:
    """Write `jsonl/`, `parquet/` (where pyarrow is), `truth.jsonl`, `originals.jsonl`, `summary.json`; give the summary.

    The rows, their ids and their order do not depend on `num_shards`, nor does the digest of the JSONL.
    """
    ids = {number: f"d{position:07d}" for position, number in enumerate(order)}
    documents = [_document(ids[number], rows[number]) for number in order]
    digest = _write_shards(out, documents, num_shards)
    truth = [
        {"id": ids[number], "kind": row.kind, "of": None if row.of is None else ids[row.of], **row.truth}
        for number, row in ((number, rows[number]) for number in order)
    ]
    (out / "truth.jsonl").write_bytes(as_lines(truth))
    originals = [
        {"id": ids[number], "how": row.original[1], "text": row.original[0]}
        for number, row in ((number, rows[number]) for number in order)
        if row.original is not None
    ]
    (out / "originals.jsonl").write_bytes(as_lines(originals))
    summary = _summary(rows, order, seed, digest)
    (out / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False), encoding="utf-8")
    return summary


def _document(name: str, row: Row) -> dict[str, str]:
    return {"id": name, "text": _valid(row.text), "source": row.source, "lang": row.lang}


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def as_lines(rows: Sequence[object]) -> bytes:
    """Write JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _write_shards(out: Path, documents: Sequence[dict[str, str]], num_shards: int) -> str:
    shards: list[list[dict[str, str]]] = [[] for _ in range(num_shards)]
    for position, document in enumerate(documents):
        shards[position * num_shards // len(documents)].append(document)
    digest = hashlib.sha256()
    (out / "jsonl").mkdir(parents=True, exist_ok=True)
    for stale in (*out.glob("jsonl/part-*.jsonl"), *out.glob("parquet/part-*.parquet")):
        stale.unlink()  # of an earlier call with more shards
    for number, shard in enumerate(shards):
        body = as_lines(shard)
        digest.update(body)
        (out / "jsonl" / f"part-{number:03d}.jsonl").write_bytes(body)
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return digest.hexdigest()
    (out / "parquet").mkdir(exist_ok=True)
    for number, shard in enumerate(shards):
        path = out / "parquet" / f"part-{number:03d}.parquet"
        pq.write_table(pa.Table.from_pylist(shard), path, compression="zstd", row_group_size=4096)
    return digest.hexdigest()


def _summary(rows: Sequence[Row], order: Sequence[int], seed: int, digest: str) -> dict[str, Any]:
    num_bytes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for number in order:
        row = rows[number]
        kinds[row.kind] += 1
        num_bytes[row.lang if row.lang in ("zh", "en") else "xx"] += len(_valid(row.text).encode())
    near = [row.truth["jaccard"] for row in rows if row.kind == "near"]
    return {
        "docs": len(rows),
        "text_mb": round(sum(num_bytes.values()) / 1e6, 1),
        "mb_by_lang": {lang: round(count / 1e6, 1) for lang, count in num_bytes.items()},
        "kinds": dict(kinds),
        "near_jaccard_ge_0.8": sum(x >= 0.8 for x in near),
        "near_jaccard_0.5_0.8": sum(0.5 <= x < 0.8 for x in near),
        "near_jaccard_lt_0.5": sum(x < 0.5 for x in near),
        "seed": seed,
        "jsonl_sha256": digest,
    }
