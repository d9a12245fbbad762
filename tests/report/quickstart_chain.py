"""The quickstart's chain as sealed artifacts, with chosen numbers under the real evidence names."""

import json
import math
import random
from pathlib import Path
from typing import Any

from sealed_chain import MEBI, Chain, number, spread

from burnish.artifacts import Measurement, counted

PROMPT = "Is this headline sarcastic or not? Answer with one word.\n\nHeadline: "


def quickstart(root: Path, *, is_worse: bool = False, training_steps: int = 240, examples: int = 3) -> Chain:
    """Seal a whole chain; with `is_worse` the served model is slower, larger and answers worse."""
    chain = Chain(root)
    _curate(chain)
    _train(chain, training_steps)
    _measure(chain, is_worse=is_worse, examples=examples)
    return chain


def _curate(chain: Chain) -> None:
    collect = "burnish.data.collect.collect"
    chain.seal(
        "collect",
        collect,
        "dataset",
        (
            number("collected_records", 6204),
            number("planted_random_records", 300),
            number("planted_copy_records", 250),
        ),
        seconds=1.9,
    )
    chain.seal("general", collect, "dataset", (number("collected_records", 220),), seconds=0.4)
    chain.seal(
        "clean",
        "burnish.data.clean.clean",
        "dataset",
        (number("records_in", 6204), number("repaired_records", 96)),
        parents="collect",
        seconds=3.2,
        memory_mebi=310,
    )
    chain.seal(
        "copies",
        "burnish.data.find_copies.find_copies",
        "dataset",
        (number("records_in", 6204), number("exact_copy_records", 188), number("near_copy_pairs", 140)),
        parents="clean",
        seconds=2.7,
        memory_mebi=340,
    )
    dropped = {"too_few_words": 44, "few_letters": 168, "language": 22, "word_salad": 139, "repeated_passages": 17}
    chain.seal(
        "select",
        "burnish.data.select.select",
        "dataset",
        (
            *_curation(6204, {**dropped, "bullets": 8, "ellipses": 0, "exact_copy": 188, "near_copy": 131}),
            counted("planted_copy_caught_frac", 247, of=250, how="planted copies not kept, of those planted"),
            counted("planted_random_caught_frac", 297, of=300, how="planted random rows not kept, of those planted"),
            counted("clean_lost_frac", 11, of=5354, how="rows not planted that a rule dropped"),
        ),
        parents="clean",
        seconds=6.1,
        memory_mebi=420,
    )
    parts = (("train", 4487), ("validation", 500), ("test", 500))
    chain.seal(
        "split",
        "burnish.data.split.split",
        "dataset",
        tuple(number(f"{name}_records", num) for name, num in parts),
        parents="select",
        seconds=0.6,
    )


def _curation(num_in: int, dropped: dict[str, int]) -> tuple[Measurement, ...]:
    kept = num_in - sum(dropped.values())
    return (
        number("records_in", num_in),
        number("records_kept", kept),
        counted("kept_frac", kept, of=num_in),
        *(number(f"dropped_{rule}_records", num) for rule, num in dropped.items()),
    )


def _train(chain: Chain, steps: int) -> None:
    chain.seal(
        "base",
        "burnish.train.base.take_base",
        "model",
        (number("num_parameters", 134_515_008, "1"), number("size_bytes", 538_090_408, "bytes")),
        seconds=4.4,
        memory_mebi=1240,
    )
    chain.seal(
        "tuned",
        "burnish.train.finetune.finetune",
        "model",
        (
            Measurement("train_loss_nats", 0.212, "nats", 20, how="mean of the last 20 steps"),
            Measurement("validation_loss_nats", 0.268, "nats", 500, 0.241, 0.297, "bootstrap, 1,000 draws, seed 0"),
            number("trained_parameters", 4_884_480, "1"),
            Measurement("trained_frac", 0.0363, "1", 134_515_008, how="counted"),
            number("train_tokens", 402_188, "tokens"),
            Measurement("train_tokens_per_s", 2630.0, "tokens/s", steps, how="tokens / wall time"),
        ),
        parents="base split",
        files=(("training_log.jsonl", training_log(steps)), ("adapter_config.json", "{}")),
        seconds=153.0,
        memory_mebi=3110,
    )
    merged = (number("size_bytes", 538_090_408, "bytes"),)
    chain.seal(
        "merged", "burnish.train.merge.merge", "model", merged, parents="base tuned", seconds=5.2, memory_mebi=1480
    )
    chain.seal(
        "quantized",
        "burnish.compress.quantize.quantize",
        "model",
        (number("size_bytes", 136_104_112, "bytes"), Measurement("num_bits_mean", 8.03, "bits", 211, how="by weights")),
        parents="merged",
        seconds=12.4,
        memory_mebi=2260,
    )
    chain.seal(
        "compressed",
        "burnish.compress.export.write.export",
        "model",
        (number("size_bytes", 138_204_112, "bytes"),),
        parents="quantized",
        seconds=19.0,
        memory_mebi=1960,
    )


def training_log(steps: int) -> str:
    draws = random.Random(0)
    rows: list[dict[str, float]] = []
    for step in range(1, steps + 1):
        warm = min(1.0, step / max(1, 0.06 * steps))
        rate = 4e-4 * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = 0.2 + 2.4 * math.exp(-9 * step / steps) + draws.gauss(0, 0.055) * (1 + math.exp(-4 * step / steps))
        rows.append({"step": step, "loss_nats": round(max(0.03, loss), 5), "lr": rate, "tokens": 1680 * step})
        if step % max(1, steps // 8) == 0:
            rows.append({"step": step, "validation_loss_nats": round(0.262 + 1.9 * math.exp(-8 * step / steps), 5)})
    return "".join(json.dumps(row) + "\n" for row in rows)


def _measure(chain: Chain, *, is_worse: bool, examples: int) -> None:
    parity = _parity(examples)
    equal = counted("template_tokens_equal_frac", 64, of=64, how="prompts whose template tokens are equal")
    agreed = (("tuned_to_merged", 4091), ("merged_to_compressed", 3998), ("compressed_to_served", 4093))
    chain.seal(
        "base_quality",
        "burnish.evaluate.score.score_model",
        "report",
        _quality(0.514, 0.437, 1.318, 0.962),
        parents="base split general",
        seconds=48.0,
        memory_mebi=1720,
    )
    chain.seal(
        "parity",
        "burnish.evaluate.parity.check_parity",
        "report",
        (*(counted(f"top1_agreement_{name}_frac", num, of=4096) for name, num in agreed), equal),
        parents="tuned merged compressed split",
        files=(("parity.json", json.dumps(parity)),),
        seconds=22.0,
        memory_mebi=2050,
    )
    chain.seal(
        "baseline_load",
        "burnish.evaluate.generate.load_generate",
        "report",
        _load(memory_mebi=1130, slow=1.0, tokens_per_s=38.1, num_requests=64),
        parents="base split",
        seconds=61.0,
        memory_mebi=1160,
    )
    slow, tokens_per_s = (1.34, 27.5) if is_worse else (0.29, 168.4)
    chain.seal(
        "served_load",
        "burnish.evaluate.latency.load_served",
        "report",
        (
            *_load(memory_mebi=402, slow=slow, tokens_per_s=tokens_per_s, num_requests=208),
            number("failed_requests", 3 if is_worse else 0, "requests", 208),
            number("ready_s", 1.2, "s"),
        ),
        parents="compressed split",
        seconds=34.0,
        memory_mebi=760,
    )
    after = _quality(0.402, 0.371, 1.402, 1.104) if is_worse else _quality(0.916, 0.914, 0.981, 0.977)
    chain.seal(
        "served_quality",
        "burnish.evaluate.score.score_served",
        "report",
        after,
        parents="compressed split general",
        seconds=29.0,
        memory_mebi=690,
    )


def _quality(accuracy: float, f1: float, domain: float, general: float) -> tuple[Measurement, ...]:
    bootstrap = "percentile bootstrap over documents, 1,000 draws, seed 0"
    return (
        counted("accuracy_frac", round(accuracy * 500), of=500, how="answers equal to the label"),
        spread("f1_frac", f1, 0.024, "1", 500, f"macro F1; {bootstrap}"),
        spread("domain_bits_per_byte", domain, 0.021, "bits/byte", 500, bootstrap),
        spread("general_bits_per_byte", general, 0.017, "bits/byte", 220, bootstrap),
    )


def _load(*, memory_mebi: int, slow: float, tokens_per_s: float, num_requests: int) -> tuple[Measurement, ...]:
    times = {"ttft_p50": 612.0, "ttft_p99": 1480.0, "itl_p50": 188.0, "itl_p99": 344.0}
    times |= {"latency_p50": 3890.0, "latency_p99": 6120.0}
    how = "loopback, 8 at a time, 24 new tokens; bootstrap over requests"
    return (
        *(spread(f"{name}_ms", slow * ms, slow * ms * 0.06, "ms", num_requests, how) for name, ms in times.items()),
        spread("throughput_tokens_per_s", tokens_per_s, tokens_per_s * 0.04, "tokens/s", num_requests, how),
        number("memory_bytes", memory_mebi * MEBI, "bytes"),
        number("num_requests", num_requests, "requests"),
        number("concurrency", 8, "requests"),
    )


def _parity(examples: int) -> dict[str, Any]:
    headlines = (
        ("area man wins conversation", "not", "sarcastic", "sarcastic", "sarcastic"),
        ("senate passes budget bill after overnight session", "Yes, it is", "not", "not", "not"),
        ("scientists confirm bed very comfortable this morning", "I am not sure.", "sarcastic", "sarcastic", "not"),
    )
    rows = [
        {"prompt": PROMPT + head, "base": base, "tuned": tuned, "compressed": compressed, "served": served}
        for head, base, tuned, compressed, served in (headlines[i % len(headlines)] for i in range(examples))
    ]
    handovers: list[dict[str, Any]] = [
        {"name": "tuned_to_merged", "top1_agreement_frac": 4091 / 4096, "kl_nats": 0.00021, "floor": 0.995},
        {"name": "merged_to_compressed", "top1_agreement_frac": 3998 / 4096, "kl_nats": 0.00418, "floor": 0.95},
        {"name": "compressed_to_served", "top1_agreement_frac": 4093 / 4096, "kl_nats": None, "floor": 0.99},
    ]
    return {
        "handovers": [{**row, "num_positions": 4096} for row in handovers],
        "template_tokens_equal_frac": 1.0,
        "examples": rows,
    }
