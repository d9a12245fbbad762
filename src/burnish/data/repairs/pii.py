"""Personal data: find it, and put something in its place that keeps the sentence readable."""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, assert_never, get_args

from burnish.data.repairs import pii_patterns as patterns
from burnish.data.repairs.pii_checks import MIN_CHANGES, num_changes
from burnish.errors import RecipeError

Kind = Literal["email", "url_credentials", "key", "cn_id", "card", "iban", "cn_mobile", "phone", "ip"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # of two that cover the same place, the earlier one names it


@dataclass(frozen=True)
class Placeholder:
    """Put the kind in its place: `<EMAIL>`."""


@dataclass(frozen=True)
class Pseudonym:
    """Put a name in its place that is the same wherever the same data stands: `<EMAIL_1f0c2a9be4d7>`.

    Attributes:
        salt: keep it secret and away from the data: who knows it can test guesses (a mobile number is one of 10^9).
    """

    salt: str

    def __post_init__(self) -> None:
        if len(self.salt) < 16:
            raise RecipeError(f"salt has {len(self.salt)} characters; it must have at least 16 random ones")


@dataclass(frozen=True)
class Drop:
    """Put nothing in its place."""


Replacement = Placeholder | Pseudonym | Drop


@dataclass(frozen=True)
class PiiConfig:
    """Say what to mask, and by what.

    Attributes:
        kinds: `cn_id` is a resident identity number of mainland China, `cn_mobile` a mobile number there, `phone` any
            other telephone number, `key` a token, a private key or a random value called a key or a password.
        with_private_ips: private, loopback and link-local addresses too, which name no one outside their network.
    """

    kinds: tuple[Kind, ...] = KINDS
    replacement: Replacement = Placeholder()
    with_private_ips: bool = False

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise RecipeError(
                f"kinds is {', '.join(self.kinds) or 'empty'}; give some of: {', '.join(KINDS)}; each once"
            )


@dataclass(frozen=True, slots=True)
class Span:
    """Mark personal data in a text, from `start` to before `end`, in characters."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Masked:
    """Hold a masked text, and where in the original the data stood."""

    text: str
    spans: tuple[Span, ...]

    @property
    def counts(self) -> Counter[Kind]:
        """Count what was masked by kind."""
        return Counter(span.kind for span in self.spans)


def mask(text: str, config: PiiConfig, *, is_suspect: bool = False) -> Masked:
    """Put the replacement in the place of all personal data.

    Args:
        is_suspect: `may_have_pii` was asked, or something like it.
    """
    spans = find(text, config, is_suspect=is_suspect)
    if not spans:
        return Masked(text, ())
    pieces = []
    end = 0
    for span in spans:
        pieces += [text[end : span.start], _replace(text[span.start : span.end], span.kind, config.replacement)]
        end = span.end
    return Masked("".join((*pieces, text[end:])), tuple(spans))


def find(text: str, config: PiiConfig = PiiConfig(), *, is_suspect: bool = False) -> list[Span]:
    """Find personal data, from left to right; of what overlaps the leftmost stays, and of those the longest.

    Takes time linear in the text's length.
    """
    if not (is_suspect or may_have_pii(text)):
        return []
    found = [
        (start, -end, KINDS.index(kind))
        for kind in config.kinds
        for start, end in _find_kind(text, kind, with_private_ips=config.with_private_ips)
    ]
    spans: list[Span] = []
    for start, minus_end, rank in sorted(found):
        if not spans or start >= spans[-1].end:
            spans.append(Span(KINDS[rank], start, -minus_end))
    return spans


_AT = re.compile(r"[^\s]@[A-Za-z0-9\[]")
_NUMBER = re.compile(r"[0-9](?:[ ().+-]{0,3}[0-9]){6}|[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_IPV6 = re.compile(r"[0-9A-Fa-f]::[0-9A-Fa-f]|[0-9]::|::[0-9]|(?:[0-9A-Fa-f]{1,4}:){7}")
_KEY = re.compile("PRIVATE KEY|AKIA|ASIA|AROA|AIDA|AGPA|LTAI|AKID")
_LONG_RUN = re.compile(r"[A-Za-z0-9_+/=-]{16,}")


def may_have_pii(text: str) -> bool:
    """Tell whether a text may hold personal data. Where this is False, `find` finds nothing.

    Each kind needs one of these, and all of them are ASCII, so that they can be looked for in UTF-8 bytes just as well:

    - `@` between a character that is no space and one of `A-Za-z0-9[`: email, url_credentials;
    - seven digits with at most three of ` ().+-` between neighbours: cn_mobile, phone, cn_id, card, iban;
    - four numbers with dots between, the middle ones of one to three digits: ip;
    - `::` beside a digit or between hexadecimal digits, or seven groups of one to four of those, each with `:`: ip;
    - sixteen or more of `A-Za-z0-9_+/=-` in a row, and among them three places where a digit, a capital or a small
      letter stands right before another of these three sorts: key;
    - `PRIVATE KEY`, `AKIA`, `ASIA`, `AROA`, `AIDA`, `AGPA`, `LTAI` or `AKID`: key.
    """
    if any(sign.search(text) for sign in (_AT, _NUMBER, _IPV6, _KEY)):
        return True
    return any(num_changes(match[0]) >= MIN_CHANGES for match in _LONG_RUN.finditer(text))


def _find_kind(text: str, kind: Kind, *, with_private_ips: bool) -> Iterator[patterns.Found]:
    match kind:
        case "email":
            return patterns.emails(text) if "@" in text else iter(())
        case "url_credentials":
            return patterns.url_credentials(text) if "@" in text else iter(())
        case "key":
            return patterns.keys(text)
        case "cn_id":
            return patterns.chinese_ids(text)
        case "card":
            return patterns.cards(text)
        case "iban":
            return patterns.ibans(text)
        case "cn_mobile":
            return patterns.chinese_mobiles(text)
        case "phone":
            return patterns.phones(text)
        case "ip":
            return patterns.addresses(text, with_private=with_private_ips)
        case _:
            assert_never(kind)


def _replace(data: str, kind: Kind, replacement: Replacement) -> str:
    match replacement:
        case Placeholder():
            return f"<{kind.upper()}>"
        case Pseudonym(salt=salt):
            digest = hmac.new(salt.encode(), f"{kind}:{data}".encode(), hashlib.sha256).hexdigest()
            return f"<{kind.upper()}_{digest[:12]}>"
        case Drop():
            return ""
        case _:
            assert_never(replacement)
