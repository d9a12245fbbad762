"""HTML pages and manual pages: the words that people read, in both languages, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.readers.pages import read_page
from burnish.data.readers.roff import is_roff, roff_text

NEWS = "The committee met on Tuesday to discuss the budget for the coming year, and agreed on most of it."
ZH = "委员会周二开会讨论来年的预算,并就大部分内容达成一致。代表们还听取了审计报告。"


def html(title: str, article: str) -> str:
    return f"""<!DOCTYPE html><html><head><title> {title} </title><style>p {{color: red}}</style></head>
    <body><header><nav><a href="/">Home</a> <a href="/about">About us</a></nav></header>
    <main><article><h1>{title}</h1>{article}</article></main>
    <aside>Advertisement! Buy now!</aside><footer>© 2024 All rights reserved</footer>
    <script>track("visit")</script></body></html>"""


@pytest.mark.parametrize(
    ("title", "paragraphs"), [("Budget", [NEWS * 2, NEWS * 3]), ("预算", [ZH * 2, ZH * 3]), ("短讯", [ZH * 2])]
)
def test_the_article_is_read_and_the_rest_is_not(title: str, paragraphs: list[str]) -> None:
    page = read_page(html(title, "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)))
    assert page.title == title
    for paragraph in paragraphs:
        assert paragraph in page.text
    for other in ("About us", "Buy now", "track", "color"):
        assert other not in page.text


def test_a_page_without_an_article_gives_all_that_is_seen() -> None:
    page = read_page(
        "<html><head><title>x</title></head><body><div>短</div><ul><li>a<li>b</ul><script>no()</script></body></html>"
    )
    assert page.text == "短\na\nb"
    assert read_page("<p>one</p><p>two &amp; three</p>").text == "one\ntwo & three"
    assert read_page("plain words, no markup").text == "plain words, no markup"


def test_what_a_page_says_of_its_encoding_holds() -> None:
    content = f'<html><head><meta charset="gb18030"><title>预算</title></head><body><article><p>{ZH * 3}</p></article></body></html>'
    assert read_page(content.encode("gb18030")).text == ZH * 3
    assert read_page(content.encode()).text == ZH * 3


@given(st.binary(max_size=60) | st.text(alphabet="<>/div&;!-\"'= abc中\0\ud800", max_size=80))
@settings(max_examples=150, deadline=None)
def test_no_page_raises_but_where_a_parser_says_so(content: bytes | str) -> None:
    page = read_page(content)
    assert isinstance(page.text, str)


def test_macros_fonts_and_characters_of_man() -> None:
    source = r""".\" a comment
.TH X 1
.SH NAME
x \(em do \fBthings\fR \[lq]well\[rq]
.PP
Running text goes on
over lines; 中文的行
之间没有空格。
.B bold words
.BR open (2),
.IR "two words" s
.nf
literal   text
  stays
.fi
.IP \(bu 2
An item with a c\('af\(:e and a \e backslash\-dash.
.de XX
never shown
..
.if n .ignored
\&.starts with a dot \s-1SMALL\s0 \u2014
"""
    assert roff_text(source) == (
        "NAME\nx — do things “well”\n\n"
        "Running text goes on over lines; 中文的行之间没有空格。 bold words open(2), two wordss\n\n"
        "literal   text\n  stays\n\n"
        "• An item with a ca\u0301fe\u0308 and a \\ backslash-dash. .starts with a dot SMALL 2014"
    )


def test_mdoc_names_options_and_pages() -> None:
    source = """.Dd May 1, 2024
.Dt X 1
.Sh NAME
.Nm x
.Nd do things
.Sh SYNOPSIS
.Nm
.Op Fl v
.Op Fl f Ar file
.Ar name ...
.Sh DESCRIPTION
The
.Nm
utility reads
.Pa /etc/x ,
see
.Xr open 2 .
"""
    assert roff_text(source) == (
        "NAME\nx - do things\n\nSYNOPSIS\nx [-v] [-f file] name ...\n\n"
        "DESCRIPTION\nThe x utility reads /etc/x, see open(2)."
    )


def test_tables_keep_their_cells_and_lose_their_formats() -> None:
    source = ".TH X 1\n.SH T\n.TS\nl c l.\nName\tValue\tWhat\n_\nA\t1\tfirst\n.TE\nafter\n"
    assert roff_text(source) == "T\n\nName\tValue\tWhat\n\nA\t1\tfirst\n\nafter"


def test_other_text_is_no_manual_page() -> None:
    assert is_roff(".TH X 1\n")
    assert is_roff(".so man3/open.3\n")
    assert not is_roff("Nov 1 12:00:00 host daemon: started\n.hidden file\n")
    assert roff_text(".so man3/open.3\n") == ""


@given(st.text(alphabet=".'\\\"[](*$fBPSHT 中\n\t", max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_without_an_error(source: str) -> None:
    assert isinstance(roff_text(source), str)
