"""Crawl: a real spider on the loopback interface, and everything that a site can do to it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from collecting import gather, workdir
from web import Site, serving, slow

from burnish.data.collect import CollectConfig, collect
from burnish.data.readers.columns import FILE_RULES
from burnish.data.sources import Crawl
from burnish.errors import RecipeError
from burnish.runtime.recipes import fill

SENTENCE = "The committee met on Tuesday to discuss the budget for the coming year, and agreed on most of it. "
CHINESE = "委员会周二开会讨论来年的预算,并就大部分内容达成一致。"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as made:
        yield made


def page(title: str, text: str, *links: str) -> str:
    anchors = "".join(f'<a href="{link}">{link}</a> ' for link in links)
    return f"<html><head><title>{title}</title></head><body><nav>{anchors}</nav><article><p>{text}</p></article></body></html>"


def crawl(*urls: str, **changes: Any) -> Crawl:
    return Crawl(urls, **{"rate_per_s": 50.0, "timeout_s": 2.0, "retries": 0, "user_agent": "burnish-test", **changes})


def test_a_site_with_everything_that_can_go_wrong(site: Site, tmp_path: Path) -> None:
    site.page("/robots.txt", "User-agent: *\nDisallow: /private\n", "text/plain")
    links = (
        "/zh", "/gbk", "/private/own", "/slow", "/a-loop", "/error", "/vast", "/picture", "/plain", "/moved", "/zh#part",
        "/deep/1", "/empty", "/no-follow", "http://localhost.invalid/", "mailto:x@example.org",
    )  # fmt: skip
    site.page("/", page("Start", SENTENCE * 3, *links) + '<a rel="nofollow" href="/shy">x</a>')
    site.page("/zh", page("预算", CHINESE * 3, "/"))
    site.page("/gbk", page("国标", CHINESE * 3).encode("gb18030"), "text/html; charset=gb18030")
    site.page("/private/own", page("Secret", SENTENCE))
    site.page("/shy", page("Shy", SENTENCE))
    site.pages["/slow"] = slow(4, (200, {"Content-Type": "text/html"}, page("Late", SENTENCE).encode()))
    site.pages["/a-loop"] = lambda _: (302, {"Location": "/b-loop"}, b"")
    site.pages["/b-loop"] = lambda _: (302, {"Location": "/a-loop"}, b"")
    site.page("/error", "broken", status=500)
    site.page("/vast", b"<p>" + b"x" * (100 << 20))
    site.page("/picture", b"\x89PNG", "image/png")
    site.page("/plain", "Plain words in a plain file.", "text/plain; charset=utf-8")
    site.pages["/moved"] = lambda _: (301, {"Location": "/zh"}, b"")
    site.page("/deep/1", page("One", SENTENCE * 2, "/deep/2"))
    site.page("/deep/2", page("Two", SENTENCE * 2, "/deep/3"))
    site.page("/deep/3", page("Three", SENTENCE * 2))
    site.page("/empty", "<html><body></body></html>")
    with serving(Site()) as shut:  # whose robots.txt cannot be had: then all of it is forbidden
        shut.page("/robots.txt", "down", status=503)
        shut.page("/", page("Start", SENTENCE * 3))
        done = gather(
            tmp_path / "work", crawl(f"{site.url}/", f"{shut.url}/", depth=2, max_page_bytes=1 << 20, rate_per_s=10.0)
        )
        assert set(shut.paths) == {"/robots.txt"}
        assert (f"crawl:{shut.url}/", "robots_denied") in done.rules
        done.rejected[:] = [pair for pair in done.rejected if shut.url not in pair[0].id]
    root = f"crawl:{site.url}"
    found = {record.id.removeprefix(root): record for record in done.kept}
    assert found.keys() == {"/", "/zh", "/gbk", "/plain", "/deep/1", "/deep/2"}
    assert found["/zh"].text == CHINESE * 3
    assert found["/gbk"].text == CHINESE * 3
    assert found["/plain"].text == "Plain words in a plain file."
    assert json.loads(found["/deep/2"].meta or "") == {
        "url": f"{site.url}/deep/2", "title": "Two", "status": 200, "depth": 2
    }  # fmt: skip
    assert json.loads(found["/zh"].meta or "")["title"] == "预算"
    assert [record.id for record in done.kept] == sorted(record.id for record in done.kept)
    rules = {identity.removeprefix(root): rule for identity, rule in done.rules}
    assert rules == {
        "/private/own": "robots_denied",
        "/slow": "timed_out",
        "/a-loop": "redirect_loop",
        "/error": "http_error",
        "/vast": "oversized_response",
        "/picture": "unknown_format",
        "/moved": "duplicate_id",
        "/empty": "missing_text",
        "/no-follow": "http_error",
    }
    assert set(rules.values()) <= set(FILE_RULES)
    assert "/private/own" not in site.paths  # not fetched, whatever links to it
    assert "/shy" not in site.paths
    assert "/deep/3" not in site.paths
    assert site.paths[0] == "/robots.txt"
    times = [asked.at_s for asked in site.asked]
    assert times[-1] - times[0] > 0.8 * (len(times) - 1) / 10
    assert {asked.headers["user-agent"] for asked in site.asked} == {"burnish-test"}
    by_rule = {rejection.rule: rejection for _, rejection in done.rejected}
    assert by_rule["timed_out"].threshold == 2
    assert by_rule["oversized_response"].threshold == 1 << 20


def test_the_bound_on_pages_and_the_delay_that_a_site_asks_for(site: Site, tmp_path: Path) -> None:
    site.page("/robots.txt", "User-agent: burnish-test\nCrawl-delay: 0.5\n", "text/plain")
    for number in range(30):
        site.page(f"/{number}", page(str(number), SENTENCE * 2, *(f"/{n}" for n in range(30))))
    done = gather(tmp_path / "work", crawl(f"{site.url}/0", max_pages=4))
    assert len(done.kept) == 4
    assert len(site.asked) == 5  # and robots.txt
    times = [asked.at_s for asked in site.asked][1:]
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.4


def test_a_killed_crawl_asks_for_no_page_twice_and_its_spider_ends(site: Site, tmp_path: Path) -> None:
    for number in range(6):
        site.page(f"/{number}", page(str(number), f"{number}. {SENTENCE * 2}", f"/{number + 1}"))
    code = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from collecting import workdir
from burnish.data.collect import CollectConfig, collect
from burnish.data.sources import Crawl
source = Crawl((sys.argv[2],), rate_per_s=2.0, depth=9, user_agent="burnish-test")
collect(workdir(Path(sys.argv[3])), config=CollectConfig((source,)))
"""
    command = [sys.executable, "-c", code, str(Path(__file__).parent), f"{site.url}/0", str(tmp_path / "work")]
    process = subprocess.Popen(command)
    while site.times("/2") == 0:
        time.sleep(0.05)
        assert process.poll() is None
    time.sleep(0.3)  # the page is in the cache
    process.kill()
    process.wait()
    time.sleep(1.5)
    asked = len(site.asked)
    time.sleep(1.2)
    assert len(site.asked) == asked < 7  # nobody goes on asking
    source = Crawl((f"{site.url}/0",), rate_per_s=50.0, depth=9, user_agent="burnish-test")
    out = workdir(tmp_path / "work")
    draft = collect(out, config=CollectConfig((source,)))
    assert {m.name: m.value for m in draft.evidence}["collected_records"] == 6
    assert max(site.times(f"/{number}") for number in range(3)) == 1


def test_yaml_and_what_it_may_not_say() -> None:
    values = {"kind": "crawl", "urls": ["https://example.org/news"], "rate_per_s": 0.5}
    (source,) = fill(CollectConfig, {"sources": [values]}).sources
    assert source == Crawl(("https://example.org/news",), rate_per_s=0.5)
    assert source.domains == ("example.org",)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"urls": ()}, "urls is empty"),
        ({"urls": ("ftp://example.org",)}, "must begin with http"),
        ({"allow_domains": ("https://example.org",)}, "give a domain alone"),
        ({"rate_per_s": 0}, "rate_per_s is 0"),
        ({"depth": -1}, "depth=-1"),
        ({"user_agent": " "}, "user_agent is empty"),
    ]
    for changes, reason in wrong:
        with pytest.raises(RecipeError, match=reason):
            Crawl(**{"urls": ("https://example.org",), **changes})
