"""The headline: what was made and what it changed, in one sentence drawn from the numbers."""

from dataclasses import dataclass

from burnish.report.cast import Cast, count, look
from burnish.report.compare import Row, Verdict
from burnish.report.figures import plural, show, show_interval, significant
from burnish.report.tasks import read_tasks

_TIMES_FROM = 1.15  # below this a factor reads as noise; per cent is said instead


@dataclass(frozen=True)
class Span:
    """Hold a piece of a sentence; a figure carries the verdict on it."""

    text: str
    verdict: Verdict | None = None


Sentence = tuple[Span, ...]


def plain_text(sentence: Sentence) -> str:
    """Join a sentence without its emphasis."""
    return "".join(span.text for span in sentence)


def headline(cast: Cast, rows: tuple[Row, ...]) -> Sentence:
    """Say what was made, how much faster and smaller it is, and what became of its quality."""
    by_name = {row.metric.name: row for row in rows}
    clauses = [_speed(by_name), _size(by_name), _quality(by_name)]
    said = [clause for clause in clauses if clause]
    made = _made(cast)
    if not said:
        return (*made, *_ended(cast))
    sentence: list[Span] = [*made, Span(", now " if len(made) > 1 else " now ")]
    for index, clause in enumerate(said):
        if index:
            sentence.append(Span(", and " if index == len(said) - 1 else ", "))
        sentence.extend(clause)
    return (*sentence, Span("."))


def caveat(cast: Cast, rows: tuple[Row, ...], failed_gates: tuple[str, ...]) -> Sentence:
    """Say what got worse, and what failed; say so too where nothing did.

    Args:
        cast: the artifacts by part.
        rows: of the table.
        failed_gates: names of the parity gates that failed.
    """
    compared = [row for row in rows if row.verdict is not Verdict.ONE_SIDED]
    worse = [row for row in compared if row.verdict is Verdict.WORSE]
    sentence: list[Span] = []
    if worse:
        sentence.append(Span("✗ Worse than before: ", Verdict.WORSE))
        for index, row in enumerate(worse):
            sentence += [Span("; " if index else ""), Span(_inner(row.metric.words)), Span(f" ({row.change})")]
        sentence.append(Span(". "))
    elif compared:
        noise = [row for row in compared if row.verdict is Verdict.NOISE]
        tail = f"; {len(noise)} changed within noise" if noise else ""
        none = "The one compared figure did not get" if len(compared) == 1 else f"None of {len(compared)} figures got"
        sentence.append(Span(f"{none} worse{tail}. "))
    alone = [task for task in read_tasks(cast.tuned) if task.verdict is Verdict.WORSE]
    if alone:
        sentence.append(Span(f"✗ Worse than trained alone: {', '.join(task.name for task in alone)}. ", Verdict.WORSE))
    failed = look(cast.served_load, "failed_requests")
    if failed is not None and failed.value > 0:
        sentence.append(Span(f"✗ {failed.value:,.0f} of {failed.n:,} served requests failed. ", Verdict.WORSE))
    if failed_gates:
        sentence.append(Span(f"✗ Failed: {'; '.join(failed_gates)}. ", Verdict.WORSE))
    return tuple(sentence)


def _made(cast: Cast) -> Sentence:
    parameters = count(cast.base, "num_parameters")
    tokens = count(cast.tuned, "train_tokens")
    bits = look(cast.quantized, "num_bits_mean")
    size = f" with {_scaled(parameters)} parameters" if parameters else ""
    steps: list[Span] = []
    if cast.tuned is not None:
        on = f" on {plural(tokens, 'token')}" if tokens else ""
        steps.append(Span(f"tuned{on}"))
    if cast.compressed is not None:
        to = f" to {significant(bits.value, 2)} bits a weight" if bits else ""
        steps.append(Span(f"compressed{to}"))
    joined = [Span(f"A model{size}")]
    for index, step in enumerate(steps):
        joined += [Span(", " if index == 0 else " and "), step]
    return tuple(joined)


def _ended(cast: Cast) -> Sentence:
    """Say how a training ended that was not measured before it began."""
    tasks = read_tasks(cast.tuned)
    if tasks:
        scores = ", ".join(f"{show(task.score.value, '1')} on {task.name}" for task in tasks)
        return (Span(f", now has a macro-F1 of {scores}."),)
    loss = look(cast.tuned, "validation_loss_nats")
    end = "" if loss is None else f", with a validation loss of {significant(loss.value)} nats at the end"
    return (Span(f"{end}. Nothing was measured both before and after."),)


def _speed(rows: dict[str, Row]) -> Sentence:
    row = rows.get("throughput_tokens_per_s")
    if row is None or row.before is None or row.after is None or row.before.value <= 0:
        return ()
    ratio = row.after.value / row.before.value
    if row.verdict in (Verdict.NOISE, Verdict.SAME):
        return (Span("writes tokens "), Span("as fast as before", row.verdict), Span(" within noise"))
    if ratio >= _TIMES_FROM:
        return (Span("writes "), Span(f"{significant(ratio, 2)}×", row.verdict), Span(" as many tokens per second"))
    return (
        Span("writes "),
        Span(f"{abs(ratio - 1):.0%}".replace("%", " %"), row.verdict),
        Span(f" {'more' if ratio > 1 else 'fewer'} tokens per second"),
    )


def _size(rows: dict[str, Row]) -> Sentence:
    row = rows.get("size_bytes")
    if row is None or row.before is None or row.after is None or row.after.value <= 0 or row.before.value <= 0:
        return ()
    ratio = row.before.value / row.after.value
    if row.verdict is Verdict.SAME:
        return (Span("takes "), Span("the same space", row.verdict), Span(" on disk"))
    factor = max(ratio, 1 / ratio)
    return (Span("is "), Span(f"{significant(factor, 2)}×", row.verdict), Span(f" {_bigger(ratio)} on disk"))


def _bigger(ratio: float) -> str:
    return "smaller" if ratio > 1 else "larger"


def _quality(rows: dict[str, Row]) -> Sentence:
    row = next((rows[name] for name in ("accuracy_frac", "domain_bits_per_byte") if name in rows), None)
    if row is None or row.before is None or row.after is None:
        return ()
    is_accuracy = row.metric.name == "accuracy_frac"
    what = "labels" if is_accuracy else "predicts the domain's text"
    if is_accuracy:
        before, after = show(row.before.value, "1"), show(row.after.value, "1")
    else:
        before, after = show(row.before.value, row.metric.unit), show(row.after.value, row.metric.unit) + " bits/byte"
    low, high = row.after.low, row.after.high
    has_interval = low is not None and high is not None
    within = f" (95 % interval {show_interval(low, high, row.metric.unit)})" if has_interval and low and high else ""
    match row.verdict:
        case Verdict.BETTER:
            turn = "up" if is_accuracy else "down"
        case Verdict.WORSE:
            turn = "down" if is_accuracy else "up"
        case _:
            turn = "within noise"
    end = "of the unseen records right" if is_accuracy else ""
    return (
        Span(f"{what} " if is_accuracy else f"{what} at "),
        Span(after, row.verdict),
        Span(f" {end}".rstrip() + f"{within}, {_against(turn, before)}"),
    )


def _against(turn: str, before: str) -> str:
    return f"{before} before, which is within noise" if turn == "within noise" else f"{turn} from {before}"


def _scaled(number: int) -> str:
    for scale, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= scale:
            return f"{significant(number / scale)} {name}"
    return f"{number:,}"


def _inner(words: str) -> str:
    """Lower a label's first letter for the middle of a sentence; a name such as F1 stays."""
    return words if words[:2].isupper() or words[1:2].isdigit() else words[:1].lower() + words[1:]
