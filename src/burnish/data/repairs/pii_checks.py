"""Checks: what tells a number of a person from any other number, by its checksum, its ranges or its neighbours."""

import ipaddress
import math
import re
from collections import Counter
from datetime import date
from itertools import pairwise

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_PROVINCES = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83)
)
_FIRST_BIRTH_YEAR = 1880

# First digits of the card networks, as ranges of the first six, and the lengths that they issue.
# Source: ISO/IEC 7812 issuer identification numbers, as the networks publish them (Visa, Mastercard, American Express,
# Discover, JCB, UnionPay, Diners Club, Maestro).
_NETWORKS = (
    (400000, 499999, (13, 16, 19)),
    (510000, 559999, (16,)),
    (222100, 272099, (16,)),
    (340000, 349999, (15,)),
    (370000, 379999, (15,)),
    (601100, 601199, (16, 17, 18, 19)),
    (644000, 659999, (16, 17, 18, 19)),
    (352800, 358999, (16, 17, 18, 19)),
    (620000, 629999, (16, 17, 18, 19)),
    (300000, 305999, (14, 15, 16, 17, 18, 19)),
    (309500, 309599, (14, 15, 16, 17, 18, 19)),
    (360000, 369999, (14, 15, 16, 17, 18, 19)),
    (380000, 399999, (14, 15, 16, 17, 18, 19)),
    (500000, 509999, (13, 14, 15, 16, 17, 18, 19)),
    (560000, 589999, (13, 14, 15, 16, 17, 18, 19)),
    (630000, 639999, (13, 14, 15, 16, 17, 18, 19)),
    (670000, 679999, (13, 14, 15, 16, 17, 18, 19)),
)

# Length of an IBAN by country. Source: SWIFT IBAN Registry (ISO 13616).
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FO FI GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO EG GT HU LB PL SV",
        29: "BR PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC",
    }.items()
    for country in countries.split()
}  # fmt: skip

_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "255.0.0.0/8"),
    )
)
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")  # all that has been given out; RFC 4291, section 2.4
_SIZE_UNIT = 1 << 20

_VERSION_BEFORE = re.compile(
    r"(?:(?<![A-Za-z])(?:ver(?:sions?|\.)?|releases?|rev(?:ision)?|v|rv|kernel|linux|build|update)|版本?号?|内核|發行版?|发行版?|更新)"
    r"[\s:：=#(]{0,3}\Z|[A-Za-z0-9][/_-]\Z|[A-Za-z]\Z|(?:§|section|chapter|第)\s?\Z",
    re.IGNORECASE,
)
_VERSION_AFTER = re.compile(
    r"(?:[-_.]?(?:rc|beta|alpha|dev|post|el|fc|deb|tar|zip|tgz|rpm|dll|exe)\d*\b|[节章])", re.IGNORECASE
)
_TITLE_AFTER = re.compile(r"[ \t]+[A-Z\u4e00-\u9fff]")
_MAX_SECTION = 40  # in the number of a section; of random addresses one in 1,500 has no greater number
_SECRET = re.compile(r"[A-Za-z0-9+/=_-]{16,200}")
MIN_CHANGES = (
    3  # between digits, capitals and small letters; 99 in 100 random values of 16 hexadecimal digits have more than 1
)
_MIN_SECRET_BITS = 2.5  # a character; 99 in 100 random values of 16 hexadecimal digits have 2.7, longer ones more


def is_chinese_id(number: str) -> bool:
    """Tell a resident identity number: province, date of birth and check digit.

    Source: GB 11643-1999 (ISO 7064 MOD 11-2).
    """
    if int(number[:2]) not in _PROVINCES:
        return False
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    try:
        born = date(year, month, day)
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, number[:17], strict=True))
    is_plausible = _FIRST_BIRTH_YEAR <= born.year < 2100
    return is_plausible and _ID_CHECKS[total % 11] == number[17].upper()


def is_card(digits: str) -> bool:
    """Tell a payment card's number: a network's first digits and length, and the Luhn check digit (ISO/IEC 7812-1)."""
    first = int(digits[:6])
    if not any(low <= first <= high and len(digits) in lengths for low, high, lengths in _NETWORKS):
        return False
    odd = sum(map(int, digits[-1::-2]))
    even = sum(2 * digit - 9 * (digit > 4) for digit in map(int, digits[-2::-2]))
    return (odd + even) % 10 == 0 and not is_size(digits)


def is_iban(number: str) -> bool:
    """Tell an international bank account number: its country's length, and remainder 1 by 97 (ISO 13616)."""
    if len(number) != _IBAN_LENGTHS.get(number[:2]):
        return False
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1


def is_size(digits: str) -> bool:
    """Tell a size or limit of computing: a multiple of a mebibyte (17179869184) or all bits set (2147483647).

    One number in a million is one by chance.
    """
    number = int(digits)
    return number % _SIZE_UNIT == 0 or number & (number + 1) == 0


def is_ipv4(address: str, *, with_private: bool) -> bool:
    """Tell an IPv4 address; private, loopback, link-local addresses and netmasks only where asked for."""
    parts = address.split(".")
    if any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in parts):
        return False
    return with_private or not any(ipaddress.IPv4Address(address) in network for network in _PRIVATE)


def is_ipv6(address: str, *, with_private: bool) -> bool:
    """Tell an IPv6 address; others than global ones only where asked for, and none that may be a name in C++."""
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return parsed in _PUBLIC_V6 or (with_private and any(character.isdigit() for character in address))


def is_version(text: str, start: int, end: int) -> bool:
    """Tell by its neighbours that four numbers with dots are a version, a release's file or a section."""
    before, after = text[max(0, start - 24) : start], text[end : end + 8]
    is_line_start = before.rpartition("\n")[2].strip() == ""
    is_numbering = max(map(int, text[start:end].split("."))) <= _MAX_SECTION
    is_heading = is_line_start and (after[:2] == ". " or (is_numbering and _TITLE_AFTER.match(after)))
    return bool(is_heading or _VERSION_BEFORE.search(before) or _VERSION_AFTER.match(after))


def is_secret(value: str) -> bool:
    """Tell a random secret: letters and digits, 16 or more, too mixed for a name."""
    if not _SECRET.fullmatch(value) or not any(map(str.isdigit, value)):
        return False
    counts = Counter(value)
    bits = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    return bits >= _MIN_SECRET_BITS and num_changes(value) >= max(MIN_CHANGES, len(value) / 6)


def num_changes(value: str) -> int:
    """Count the places where a digit, a capital or a small letter stands right before another of these sorts."""
    sorts = [_sort_of(character) for character in value]
    return sum(0 < a != b > 0 for a, b in pairwise(sorts))


def _sort_of(character: str) -> int:
    if character.isdigit():
        return 1
    return 2 if character.isupper() else 3 if character.islower() else 0
