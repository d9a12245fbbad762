"""Patterns: where personal data of each kind may stand. Every quantifier is bounded, so the work is linear.

A boundary is told in ASCII alone: Chinese characters stand right beside a number (`身份证号110101…。`), and Latin letters,
digits and what joins them do not.
"""

import re
from collections.abc import Callable, Iterator

from burnish.data.repairs.pii_checks import (
    MIN_CHANGES,
    is_card,
    is_chinese_id,
    is_iban,
    is_ipv4,
    is_ipv6,
    is_secret,
    is_size,
    is_version,
    num_changes,
)

Found = tuple[int, int]  # start, end

_NO_MORE = r"(?![A-Za-z0-9_]|[.-][0-9])"
_NONE_BEFORE = r"(?<![A-Za-z0-9_])(?<![0-9][.,-])"

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+][A-Za-z0-9._%+-]{0,63}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])"
)
_URL_CREDENTIALS = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://([^\s/:@?#]{1,100}:[^\s/@]{1,200})@(?=[A-Za-z0-9\[])"
)
_IN_URL = re.compile(r"://[^\s/@]{0,100}:\Z")
_SAMPLE_CREDENTIALS = re.compile(
    r"\W*(?:user(?:name)?|login|name|usr)\W*:\W*(?:pass(?:word|wd)?|pw|secret|pwd)\W*", re.IGNORECASE
)

_MOBILE = re.compile(
    rf"{_NONE_BEFORE}(?:(?:\+|00)86[ -]?)?(1[3-9][0-9](?:[ -]?)[0-9]{{4}}(?:[ -]?)[0-9]{{4}}){_NO_MORE}"
)
_PHONES = (
    re.compile(  # North America, with marks between its three parts
        rf"(?:(?<![A-Za-z0-9_+])(?<![0-9][.,-])\+?1[ .-]?|{_NONE_BEFORE})"
        rf"(?:\([2-9][0-9]{{2}}\)[ -]?|[2-9][0-9]{{2}}[-.])[2-9][0-9]{{2}}[-. ][0-9]{{4}}{_NO_MORE}"
    ),
    re.compile(  # international: a plus, a country and groups
        rf"(?<![A-Za-z0-9_+)\]=*/-])\+[1-9][0-9]{{0,2}}(?:[ .-]?\([0-9]{{1,4}}\))?(?:[ .-]?[0-9]){{5,14}}{_NO_MORE}"
    ),
    re.compile(  # mainland China's land lines and service numbers
        rf"{_NONE_BEFORE}(?:\(?0(?:10|2[0-9]|[3-9][0-9]{{2}})\)?[- ][2-9][0-9]{{6,7}}(?:-[0-9]{{1,6}})?|[48]00-[0-9]{{3,4}}-[0-9]{{3,4}})"
        rf"{_NO_MORE}"
    ),
    re.compile(  # any, where a word says so
        r"(?:\b(?:tel|telephone|phone|mobile|fax|call)\b|电话|電話|致电|传真|傳真|手机|手機|热线|熱線)[ :：.]{0,3}(?:是|为|為|at |us at )?"
        rf"(\(?[0-9]{{2,4}}\)?(?:[ -]?[0-9]{{2,4}}){{2,4}}){_NO_MORE}",
        re.IGNORECASE,
    ),
)
_MIN_PHONE_DIGITS, _MAX_PHONE_DIGITS = 7, 15  # ITU-T E.164
_MAX_PHONE_GROUPS = 6  # +33 1 70 18 99 00; more are a row of numbers
_GROUP = re.compile(r"[0-9]+")
_MIN_PLAIN_DIGITS = 10  # of +33554432, with nothing between: shorter ones are numbers with a sign more often

_CHINESE_ID = re.compile(rf"{_NONE_BEFORE}[1-8][0-9]{{16}}[0-9Xx]{_NO_MORE}")
_CARDS = tuple(
    re.compile(rf"{_NONE_BEFORE}(?<![A-Za-z]-){digits}{_NO_MORE}")
    for digits in (
        "[2-6][0-9]{12,18}",
        r"[2-6][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?",
        r"[2-6][0-9]{3}([ -])[0-9]{6}\1[0-9]{4,5}",
        r"62[0-9]{4}([ -])[0-9]{10,13}",
    )
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_IBAN_END = re.compile(r"(?<! )(?![A-Za-z0-9])")
_IPV4 = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9A-Za-z])")
_IPV6 = re.compile(r"(?<![A-Za-z0-9_:.])[0-9A-Fa-f:]{2,39}(?:\.[0-9]{1,3}){0,3}(?![A-Za-z0-9_:])")

_CLOUD_ID = re.compile(  # Amazon, Alibaba Cloud, Tencent Cloud
    r"(?<![A-Za-z0-9_-])(?:(?:AKIA|ASIA|AROA|AIDA|AGPA)[A-Z0-9]{16}|LTAI[A-Za-z0-9]{12,20}|AKID[A-Za-z0-9]{32})"
    r"(?![A-Za-z0-9_])"
)
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,64}"
    r"|sk-[A-Za-z0-9_-]{20,200}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,128}|hf_[A-Za-z0-9]{30,64}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,200}|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,300}"
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,300}|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"
    r"|eyJ[A-Za-z0-9_-]{14,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}"  # JSON Web Token
    r")(?![A-Za-z0-9_])"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){0,20000}"
    r"(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"
)
_ASSIGNED = re.compile(
    r"(?:(?:api|access|secret|private|auth|client)[_ -]?(?:key|token|secret)|apikey|token|secret|passw(?:or)?d|pwd|密码|密碼|密钥|口令|令牌)"
    r"[\"'`]?\s{0,3}(?::=|=>|[:=：]|是|为|為)\s{0,3}[\"'`]?([A-Za-z0-9+/=_-]{16,200})(?![A-Za-z0-9+/=_.(\[-])",
    re.IGNORECASE,
)


def emails(text: str) -> Iterator[Found]:
    """Find addresses of mail; `password@host` in a URL is none."""
    for match in _EMAIL.finditer(text):
        if not _IN_URL.search(text, max(0, match.start() - 120), match.start()):
            yield match.span()


def url_credentials(text: str) -> Iterator[Found]:
    """Find the user and password of an address such as `https://user:password@host`, but not those very words."""
    return (m.span(1) for m in _URL_CREDENTIALS.finditer(text) if not _SAMPLE_CREDENTIALS.fullmatch(m[1]))


def chinese_mobiles(text: str) -> Iterator[Found]:
    """Find mobile numbers of mainland China, with or without +86."""
    return (m.span() for m in _MOBILE.finditer(text) if not is_size(_digits(m[1])))


def phones(text: str) -> Iterator[Found]:
    """Find other telephone numbers: those with marks between their parts, a plus, or a word that says so."""
    for pattern in _PHONES:
        for match in pattern.finditer(text):
            span = match.span(pattern.groups)
            number = text[slice(*span)]
            is_other = number.strip("+.0123456789") == "" and number.count(".") in (1, 3)  # +3.140000, +192.168.0.100
            least = _MIN_PLAIN_DIGITS if number[1:].isdigit() else _MIN_PHONE_DIGITS
            is_few = len(_GROUP.findall(number)) <= _MAX_PHONE_GROUPS
            if (
                least <= len(_digits(number)) <= _MAX_PHONE_DIGITS
                and is_few
                and not (is_other or is_size(_digits(number)))
            ):
                yield span


def chinese_ids(text: str) -> Iterator[Found]:
    """Find resident identity numbers of mainland China."""
    return (match.span() for match in _CHINESE_ID.finditer(text) if is_chinese_id(match[0]))


def cards(text: str) -> Iterator[Found]:
    """Find numbers of payment cards, in one piece or in the groups that are printed on them."""
    return (m.span() for pattern in _CARDS for m in pattern.finditer(text) if is_card(_digits(m[0])))


def ibans(text: str) -> Iterator[Found]:
    """Find international bank account numbers."""
    for match in _IBAN.finditer(text):
        # what follows in capitals may have been taken for the last groups
        for end in range(match.end(), match.start() + 14, -1):
            if _IBAN_END.match(text, end) and is_iban(text[match.start() : end].replace(" ", "")):
                yield match.start(), end
                break


def addresses(text: str, *, with_private: bool) -> Iterator[Found]:
    """Find internet addresses, version 4 and 6."""
    for match in _IPV4.finditer(text):
        if is_ipv4(match[0], with_private=with_private) and not is_version(text, *match.span()):
            yield match.span()
    for match in _IPV6.finditer(text):
        if match[0].count(":") > 1 and is_ipv6(match[0], with_private=with_private):
            yield match.span()


def keys(text: str) -> Iterator[Found]:
    """Find secrets: tokens of known shape, private keys, and random values that are called a key or a password."""
    yield from (match.span() for match in _CLOUD_ID.finditer(text))
    yield from (match.span() for match in _TOKEN.finditer(text) if num_changes(match[0]) >= MIN_CHANGES)
    yield from (match.span() for match in _PRIVATE_KEY.finditer(text))
    yield from (match.span(1) for match in _ASSIGNED.finditer(text) if is_secret(match[1]))


Finder = Callable[[str], Iterator[Found]]


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
