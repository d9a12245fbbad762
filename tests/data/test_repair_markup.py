"""Markup residue: it goes where a text is marked up or escaped, and stays where a text speaks about it."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.repairs.repair_markup import is_marked_up, strip_html


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("<p>one</p><p>two &amp; three</p>", "\none\n\ntwo & three\n"),
        ('a <a href="x">link</a> and <b>bold</b>', "a link and bold"),
        ("<script>var x = '<b>';</script>text<!-- note -->", " text "),
        (
            "<!DOCTYPE html><html><body>中文<br/>第二行</body></html>",
            "   中文\n第二行  ".replace("   ", " \n\n").replace("  ", "\n\n"),
        ),
        ("<table><tr><td>1</td><td>2</td></tr></table>", "\n\n 1  2 \n\n"),
        ("&#20013;&#x6587;&nbsp;&hellip;", "中文\u00a0…"),
        ("他说&ldquo;好&rdquo;，价格&lt;10 元", "他说“好”，价格<10 元"),
        ("call(&amp;x) and &quot;y&quot;", 'call(&x) and "y"'),
    ],
)
def test_residue_goes(text: str, stripped: str) -> None:
    assert strip_html(text) == stripped


@pytest.mark.parametrize(
    "text",
    [
        "if a < b and c > d: use <T> or AT&T; x<y",
        "fish &chips; R&D &unknown;",
        "The <label> and <input> tags rendered by RadioSelect are wrapped.",
        "Unescape ``'&amp;'``, ``'&lt;'``, and ``'&gt;'`` in a string of data.",
        'The function converts " to &quot; when it escapes.',
        'p = f("%d", &sum, 3); q = &sum;',
        "usage: git branch <name> [--ignore=<path>]\n\nSee <https://example.org>.",
        'Templates:\n\nWrite this:\n\n    <ul class="x">\n\nthen text\n\nand more text\n\nand the end.',
        "<unknown>text</unknown>",
        "5 < 6 &",
    ],
)
def test_talk_about_markup_stays(text: str) -> None:
    assert strip_html(text) == text


def test_one_layer_of_escapes_goes_at_a_time() -> None:
    text = 'Press <Ctrl> & "go" to R&D'
    once = html.escape(text)
    assert strip_html(html.escape(once)) == once
    assert strip_html(once) == text
    assert strip_html(text) == text


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("<p>a", True),  # opens with a tag, and the line has one that is no mention
        ("<p>a</p>", True),
        ("a<br>b<br>c", True),
        ("text\n" * 5 + "with <b>bold</b>\n" * 4, True),
        ("text\n" * 7 + "with <b>bold</b>\n" * 4, False),
        ("The <b> tag", False),
    ],
)
def test_what_counts_as_marked_up(text: str, is_so: bool) -> None:
    assert is_marked_up(text) == (is_so and text != "<p>a")


@given(st.text(alphabet="ab中 .,\n", max_size=60), st.integers(1, 3))
def test_any_plain_text_comes_back_from_any_depth(text: str, depth: int) -> None:
    wrapped = f'<div class="c"><p>{html.escape(text)}</p></div>'
    assert strip_html(wrapped).strip() == text.strip()
    escaped = f"<{text}> & '{text}\""
    damaged = escaped
    for _ in range(depth):
        damaged = html.escape(damaged)
    for _ in range(depth):
        damaged = strip_html(damaged)
    assert damaged == escaped


@pytest.mark.parametrize("unit", ["<!--", "<script ", "<p <p ", "&amp", "</p", "<b x=", "&#1"])
def test_hostile_repeats_take_linear_time(unit: str) -> None:
    strip_html("<p>a</p>" + unit * 20_000 + "</p>")  # quadratic work on these would pass the time limit
