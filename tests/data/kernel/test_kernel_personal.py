"""Personal: whatever `pii` finds in a text stands in a window that hints at it; prose has no window."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_texts import arrays, texts, tidied
from personal_texts import personal
from real_slice import CHINESE

from burnish.data.kernel.personal import AT, COLONS, DOTS, NUMBER, RUN, Windows, windows
from burnish.data.repairs.cleaner import narrowed
from burnish.data.repairs.pii import PiiConfig, find

CONFIG = PiiConfig(with_private_ips=True)


def pieces(found: Windows) -> list[tuple[int, int, int, int]]:
    """Give row, start, end, hint."""
    return list(zip(found.rows.tolist(), found.starts.tolist(), found.ends.tolist(), found.hints.tolist(), strict=True))


@settings(max_examples=500, deadline=None)
@given(st.lists(personal | texts, min_size=1, max_size=3))
def test_all_that_is_found_stands_in_a_window_that_hints_at_it(drawn: list[str]) -> None:
    batch = tidied(drawn)
    data, offsets = arrays(batch)
    found = pieces(windows(data, offsets))
    for row, text in enumerate(batch):
        for span in find(text, CONFIG):
            start, end = (int(offsets[row]) + len(text[:place].encode()) for place in (span.start, span.end))
            around = [hint for of, low, high, hint in found if of == row and low <= start and end <= high]
            assert len(around) == 1, (text, span)
            config = narrowed(CONFIG, around[0])
            assert config is not None
            assert span.kind in config.kinds


@settings(max_examples=300, deadline=None)
@given(st.lists(personal | texts, max_size=4))
def test_windows_are_whole_lines_in_order_and_apart(drawn: list[str]) -> None:
    data, offsets = arrays(tidied(drawn))
    last = (0, -1)
    for row, start, end, hint in pieces(windows(data, offsets)):
        assert 0 < hint < 64
        assert (row, start) > last
        assert offsets[row] <= start < end <= offsets[row + 1]
        assert start == offsets[row] or data[start - 1] == 10
        assert end == offsets[row + 1] or data[end] == 10
        last = (row, end)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1234567", NUMBER),
        ("1 (2)- 3.+4 5-6  7", NUMBER),  # three marks between two digits at most
        ("1    2 3 4 5 6 7", 0),
        ("123/4567", 0),
        ("123456", 0),
        ("1.2.3.4", DOTS),
        ("1.2.3", 0),
        ("1..2.3.4", 0),
        ("a::1", COLONS),
        ("1:2:3:4:5:6:7:8", COLONS),
        ("12:34:56", 0),
        ("q8Zr7Lk2Pv9Xw4Tn", RUN),
        ("q8Zr7Lk2Pv9Xw4T", 0),
        ("internationalisation", 0),
        ("a@b", AT),
        ("a PRIVATE KEY", 63),
        ("a PRIVATE KE", 0),
    ],
)
def test_hints_by_example(text: str, hint: int) -> None:
    assert [found for _, _, _, found in pieces(windows(*arrays([text])))] == ([hint] if hint else [])


def test_prose_has_no_window() -> None:
    prose = [
        "The harvest of 2026 fell by 8.5 % to 30 million tonnes.",
        "See chapter 3.2; std::vector is fine.",
        "mail me @ noon",
    ]
    sound = [text for text in (*CHINESE, *prose) if "@" not in text]
    assert pieces(windows(*arrays(sound))) == []


@pytest.mark.parametrize("between", ["password:\n", "密码：\n\n", "api_key = ", "secret =\n\n"])
def test_a_window_reaches_back_to_the_name_of_a_key(between: str) -> None:
    text = f"first line\n{between}q8Zr7Lk2Pv9Xw4Tn\nlast line"
    assert [span.kind for span in find(text, CONFIG)] == ["key"]
    ((_, start, end, _),) = pieces(windows(*arrays([text])))
    assert between + "q8Zr7Lk2Pv9Xw4Tn" in text.encode()[start:end].decode()
    assert "last line" not in text.encode()[start:end].decode()


def test_the_words_of_a_private_key_make_the_whole_text_a_window() -> None:
    text = "call 13800138000\n\nthen\n-----BEGIN PRIVATE KEY-----\nMIIB\n\nAQ==\n-----END PRIVATE KEY-----\nend"
    assert pieces(windows(*arrays(["x", text, "y"]))) == [(1, 1, 1 + len(text), 63)]
