"""Find documents that repeat another one although nobody planted that: the doubtful cases of precision."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from itertools import islice

from corpus.defects import WORD, jaccard

MIN_JACCARD = 0.5
SPAN_TOKENS = 5
NUM_SPANS = 16
# of a pair with Jaccard >= 0.5, at least half of either's runs of five tokens are shared; half of that for bad luck
MIN_SHARED_SPANS_FRAC = 0.25
MAX_CANDIDATES = 30


def with_a_copy(doubtful: Collection[str], partners: Mapping[str, str], texts: Mapping[str, str]) -> set[str]:
    """Give those of the doubtful documents that have a Jaccard similarity of at least 0.5 with another document.

    A named partner is tried first. Of the others, `NUM_SPANS` runs of five tokens are searched in every document at
    once, and the documents that hold a quarter of them or more are compared in full, the likeliest first.

    Args:
        partners: of some doubtful ids, the document that the tool says they repeat.
        texts: id -> text of the whole corpus.
    """
    found = {
        name for name in doubtful if name in partners and jaccard(texts[name], texts[partners[name]]) >= MIN_JACCARD
    }
    rest = [name for name in doubtful if name not in found]
    short = {name: few for name in rest if (few := _few_tokens(texts[name])) is not None}
    found |= _equal_short(short, texts)
    candidates = _candidates({name: _spans(texts[name]) for name in rest if name not in short}, texts)
    for name, others in candidates.items():
        if any(jaccard(texts[name], texts[other]) >= MIN_JACCARD for other in others):
            found.add(name)
    return found


def _few_tokens(text: str) -> tuple[str, ...] | None:
    """Give the tokens of a text that is too short for one run of five; None of any other."""
    first = tuple(match.group().lower() for match in islice(WORD.finditer(text), SPAN_TOKENS))
    return first if len(first) < SPAN_TOKENS else None


def _equal_short(short: Mapping[str, tuple[str, ...]], texts: Mapping[str, str]) -> set[str]:
    """Give the short documents whose tokens are another's too: between texts so short, Jaccard is 0 or 1."""
    if not short:
        return set()
    num_with = Counter(few for text in texts.values() if (few := _few_tokens(text)) is not None)
    return {name for name, few in short.items() if num_with[few] > 1}


def _candidates(spans: Mapping[str, list[str]], texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Give, for each doubtful document, the others that hold enough of its spans, the likeliest first."""
    import ahocorasick_rs

    owners = [(name, span) for name, own in spans.items() for span in own]
    if not owners:
        return {}
    matcher = ahocorasick_rs.AhoCorasick([span for _, span in owners])
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for other, text in texts.items():
        matches = matcher.find_matches_as_indexes(_plain(text), overlapping=True)
        for number in {match[0] for match in matches}:
            held[owners[number][0]][other] += 1
    return {
        name: [
            other
            for other, count in held[name].most_common(MAX_CANDIDATES + 1)
            if other != name and count >= MIN_SHARED_SPANS_FRAC * len(own)
        ]
        for name, own in spans.items()
    }


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _spans(text: str) -> list[str]:
    """Cut up to `NUM_SPANS` runs of five tokens out of a text, evenly spaced, with what stands between the tokens."""
    plain = _plain(text)
    at = [match.span() for match in WORD.finditer(plain)]
    num_runs = len(at) - SPAN_TOKENS + 1
    starts = range(0, num_runs, max(1, num_runs // NUM_SPANS))
    return sorted({plain[at[start][0] : at[start + SPAN_TOKENS - 1][1]] for start in islice(starts, NUM_SPANS)})
