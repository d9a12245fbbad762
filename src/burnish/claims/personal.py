"""Personal data of people who are not there: valid by its checksums, so that masking can be measured."""

import random
from collections.abc import Callable

from burnish.claims.natural import is_chinese

_GIVEN = ("mary", "james", "linda", "omar", "wei", "fang", "xiaoming", "petra", "ivan", "lucia")
_FAMILY = ("smith", "jones", "chen", "wang", "zhang", "miller", "garcia", "li", "novak", "brown")
_HOSTS = ("example.com", "mail.example.org", "example.net", "corp.example.cn")
_MOBILE = ("130", "138", "139", "150", "158", "166", "177", "186", "188", "199")
_AREAS = ("110101", "310104", "440305", "330106", "510107", "420102")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999
_SENTENCES = {
    True: {
        "email": "请发邮件到{}与我联系。",
        "cn_mobile": "我的手机号是{}，随时可以打。",
        "cn_id": "本人身份证号：{}。",
        "card": "请把钱转到这张卡：{}。",
    },
    False: {
        "email": "You can write to me at {} any time.",
        "cn_mobile": "Call me on my mobile, {}, after six.",
        "cn_id": "My identity card number is {}.",
        "card": "Please charge it to my card {}.",
    },
}


def with_personal_data(text: str, rng: random.Random) -> tuple[str, str]:
    """Write a sentence with a piece of personal data behind a text or before it; give the text and the piece."""
    kind = rng.choice(tuple(_MAKERS))
    value = _MAKERS[kind](rng)
    sentence = _SENTENCES[is_chinese(text)][kind].format(value)
    return (f"{sentence}\n{text}" if rng.random() < 0.5 else f"{text}\n{sentence}"), value


def email(rng: random.Random) -> str:
    """Make an address at a host that is reserved for examples."""
    return f"{rng.choice(_GIVEN)}{rng.choice('._-')}{rng.choice(_FAMILY)}{rng.randint(1, 99)}@{rng.choice(_HOSTS)}"


def cn_mobile(rng: random.Random) -> str:
    """Make a mobile number of mainland China."""
    return rng.choice(_MOBILE) + _digits(rng, 8)


def cn_id(rng: random.Random) -> str:
    """Make a resident identity number with its check digit."""
    birth = f"{rng.randint(1950, 2004)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    body = rng.choice(_AREAS) + birth + _digits(rng, 3)
    total = sum(int(digit) * weight for digit, weight in zip(body, _ID_WEIGHTS, strict=True))
    return body + "10X98765432"[total % 11]


def card(rng: random.Random) -> str:
    """Make a bank card number with its Luhn digit, in groups of four every second time."""
    body = "622848" + _digits(rng, 9)
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body))]
    check = -sum(number // 10 + number % 10 for number in doubled) % 10
    number = f"{body}{check}"
    return " ".join(number[at : at + 4] for at in range(0, 16, 4)) if rng.random() < 0.5 else number


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    maker.__name__: maker for maker in (email, cn_mobile, cn_id, card)
}
