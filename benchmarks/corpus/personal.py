"""Personal data to inject: made up, with right checksums, so that a mask which checks them finds it."""

import random
import string

# Chinese identity numbers: weights of the first 17 digits and the check characters. Source: GB 11643-1999.
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"

_SENTENCES = {
    "email": ("请发邮件至 {}。", "Write to {} for details."),
    "cn_phone": ("联系电话：{}。", "Mobile: {}."),
    "cn_id": ("身份证号{}。", "ID number {}."),
    "card": ("卡号 {}。", "Card {}."),
    "ip": ("来自 {} 的访问。", "Logged in from {}."),
    "us_phone": ("致电 {}。", "Call {}."),
}


def add_personal(text: str, rng: random.Random, *, is_zh: bool) -> tuple[str, dict[str, str]]:
    """Add one to four sentences with personal data; give the text and kind -> value."""
    items = _items(rng)
    picked = {kind: items[kind] for kind in rng.sample(sorted(items), rng.randrange(1, 5))}
    lines = text.split("\n")
    for kind, value in picked.items():
        sentence = _SENTENCES[kind][0 if is_zh else 1]
        lines.insert(rng.randrange(len(lines) + 1), sentence.format(value))
    return "\n".join(lines), picked


def _items(rng: random.Random) -> dict[str, str]:
    user = "".join(rng.choices(string.ascii_lowercase, k=rng.randrange(4, 9)))
    number = rng.randrange(99)
    host = rng.choice(("example.com", "mail.example.cn", "corp.example.org"))
    return {
        "email": f"{user}.{number}@{host}",
        "cn_phone": "1" + rng.choice("3456789") + "".join(rng.choices(string.digits, k=9)),
        "cn_id": _cn_id(rng),
        "card": _card(rng),
        "ip": ".".join(str(rng.randrange(1, 255)) for _ in range(4)),
        "us_phone": f"({rng.randrange(201, 989)}) 555-{rng.randrange(10000):04d}",
    }


def _cn_id(rng: random.Random) -> str:
    region = rng.choice(("110101", "310104", "440305", "510107"))
    year, month, day = rng.randrange(1950, 2006), rng.randrange(1, 13), rng.randrange(1, 29)
    body = f"{region}{year}{month:02d}{day:02d}{rng.randrange(1000):03d}"
    return body + _ID_CHECKS[sum(int(digit) * weight for digit, weight in zip(body, _ID_WEIGHTS, strict=True)) % 11]


def _card(rng: random.Random) -> str:
    """Make a bank card number with its Luhn digit. Source: ISO/IEC 7812-1, annex B."""
    digits = [4] + [rng.randrange(10) for _ in range(14)]
    total = sum(x if i % 2 else (x * 2 - 9 if x > 4 else x * 2) for i, x in enumerate(digits))
    return "".join(map(str, digits)) + str(-total % 10)
