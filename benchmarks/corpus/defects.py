"""Defects to inject: copies of graded strength, broken encodings, noise, personal data, markup residue."""

import base64
import html
import random
import re
import string
import unicodedata

from corpus.extract import CJK

Vocabulary = dict[str, list[str]]

WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


def tokens(text: str) -> list[str]:
    """Split into Chinese characters and words, in lower case."""
    return [match.group().lower() for match in WORD.finditer(text)]


def shingles(text: str, size: int = 5) -> set[tuple[str, ...]]:
    """Give the runs of `size` tokens."""
    words = tokens(text)
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}


def jaccard(left: str, right: str) -> float:
    """Compare two texts by their runs of five tokens."""
    a, b = shingles(left), shingles(right)
    return len(a & b) / max(1, len(a | b))


def edit(text: str, rate: float, rng: random.Random, vocabulary: Vocabulary) -> str:
    """Change about `rate` of the tokens: replace, drop or repeat them."""
    out: list[str] = []
    last = 0
    for match in WORD.finditer(text):
        if rng.random() < rate:
            out.append(text[last : match.start()])
            is_cjk = CJK.match(match.group()) is not None
            draw = rng.random()
            if draw < 0.6:
                out.append(rng.choice(vocabulary["zh" if is_cjk else "en"]))
            elif draw >= 0.8:
                out.append(match.group() + ("" if is_cjk else " ") + match.group())
            last = match.end()
    out.append(text[last:])
    return "".join(out)


def near_copy(text: str, rng: random.Random, vocabulary: Vocabulary, *, is_zh: bool) -> tuple[str, str]:
    """Repeat a text in one of the ways of web pages (edited, reframed, trimmed, reordered) and say which."""
    draw = rng.random()
    if draw < 0.55:
        rate = rng.choice((0.004, 0.01, 0.02, 0.04, 0.08))
        return edit(text, rate, rng, vocabulary), f"edit{rate}"
    if draw < 0.75:
        return _framed(text, rng, is_zh=is_zh), "frame"
    paragraphs = text.split("\n\n")
    if draw < 0.9 and len(paragraphs) > 4:
        drop = rng.randrange(len(paragraphs))
        return "\n\n".join(part for number, part in enumerate(paragraphs) if number != drop), "trim"
    if len(paragraphs) > 2:
        i = rng.randrange(len(paragraphs) - 1)
        paragraphs[i], paragraphs[i + 1] = paragraphs[i + 1], paragraphs[i]
        return "\n\n".join(paragraphs), "swap"
    return edit(text, 0.01, rng, vocabulary), "edit0.01"


def _framed(text: str, rng: random.Random, *, is_zh: bool) -> str:
    if is_zh:
        head = f"首页 > 文档 > 第{rng.randrange(1000)}页  登录 注册 联系我们\n\n"
        year, site = rng.randrange(2001, 2026), rng.randrange(99)
        return f"{head}{text}\n\n版权所有 © {year} 第{site}站。保留所有权利。京ICP备{rng.randrange(10**7):08d}号"
    head = f"Home | Docs | Page {rng.randrange(1000)} | Sign in | Contact us\n\n"
    year, site = rng.randrange(2001, 2026), rng.randrange(99)
    return f"{head}{text}\n\nCopyright {year} Site {site}. All rights reserved. Privacy policy. Terms."


def norm_copy(text: str, rng: random.Random) -> str:
    """Repeat a text with another spacing, case, width or Unicode form."""
    match rng.randrange(4):
        case 0:
            return text.replace("\n\n", "\r\n\r\n").replace(". ", ".  ")
        case 1:
            return "  " + text.replace("\n", " \n") + "\n\n"
        case 2:
            return text.upper() if text.isascii() else unicodedata.normalize("NFD", text)
        case _:
            if CJK.search(text):
                return text.replace("，", ",").replace("。", ".")
            return text.translate({0x20: 0x00A0})


def mojibake(text: str, rng: random.Random) -> tuple[str, str]:
    """Read a text's UTF-8 in another encoding, or lose bytes of it; say which."""
    draw = rng.random()
    if draw < 0.5:
        body = text.encode("utf-8")
        try:
            return body.decode("cp1252"), "as cp1252"
        except UnicodeDecodeError:
            return body.decode("latin-1"), "as latin-1"
    if draw < 0.8:
        return text.encode("utf-8").decode("gb18030", errors="replace"), "as gb18030"
    broken = bytearray(text.encode("utf-8"))
    for _ in range(max(4, len(broken) // 60)):
        broken[rng.randrange(len(broken))] = rng.choice((0x80, 0xFF, 0xC3))
    return broken.decode("utf-8", errors="replace"), "lost bytes"


def gibberish(rng: random.Random, vocabulary: Vocabulary) -> str:
    """Make noise: random letters, punctuation, one line over and over, random characters, or base64."""
    size = int(rng.lognormvariate(6.8, 0.6)) + 200
    match rng.randrange(5):
        case 0:
            words = ("".join(rng.choices(string.ascii_lowercase, k=rng.randrange(2, 14))) for _ in range(size // 8))
            return " ".join(words)
        case 1:
            return "".join(rng.choices("!@#$%^&*()_+-=[]{};:<>/?|~` \n" + string.digits, k=size))
        case 2:
            line = " ".join(rng.choices(vocabulary["en"], k=6))
            return "\n".join([line] * (size // 30 + 5))
        case 3:
            return "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(size))
        case _:
            return base64.b64encode(bytes(rng.randrange(256) for _ in range(size))).decode()


def short_text(text: str, rng: random.Random) -> tuple[str, str]:
    """Take a few words out of a text; give them and their language."""
    if CJK.search(text):
        start = rng.randrange(max(1, len(text) - 12))
        return text[start : start + rng.randrange(2, 9)].strip() or "ok", "zh"
    words = text.split()
    start = rng.randrange(max(1, len(words) - 9))
    return " ".join(words[start : start + rng.randrange(1, 9)]).strip() or "ok", "en"


def markup(text: str, rng: random.Random) -> str:
    """Leave tags, invisible characters, or entities written twice in a text."""
    match rng.randrange(3):
        case 0:
            head = f'<div class="c{rng.randrange(99)}"><p>'
            body = html.escape(text).replace("\n\n", "</p>\n<p>")
            return f"{head}{body}</p></div><script>var a={rng.randrange(999)};</script>"
        case 1:
            return "".join(char + _invisible(rng) for char in text)
        case _:
            return html.escape(html.escape(text))


def _invisible(rng: random.Random) -> str:
    if rng.random() < 0.03:
        return "\u200b"
    return "\x07" if rng.random() < 0.01 else ""
