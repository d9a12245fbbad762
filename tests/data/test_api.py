"""Api: every way to page, manners towards a service, and failures that stop nothing."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from collecting import gather, workdir
from web import Answer, Asked, Site, serving, slow

from burnish.artifacts.digest import plain
from burnish.data.collect import CollectConfig, collect
from burnish.data.readers.api import Api, Cursor, LinkHeader, PageNumber, dig
from burnish.data.readers.columns import FILE_RULES
from burnish.data.readers.fetching import retry_after_s
from burnish.errors import RecipeError
from burnish.runtime.events import Event, Progress
from burnish.runtime.recipes import fill

ROWS = [{"uid": f"n{n}", "attributes": {"body": f"第{n}条 note {n}", "tone": "ok"}, "n": n} for n in range(25)]


def answer(value: object, status: int = 200, **headers: str) -> Answer:
    body = json.dumps(value, ensure_ascii=False).encode()
    return status, {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}, body


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as made:
        yield made


def api(url: str, **changes: Any) -> Api:
    quick = {"rate_per_s": 1000.0, "timeout_s": 5.0, "retries": 2, "first_wait_s": 0.01}
    return Api(url=url, **{**quick, **changes})


def numbered(asked: Asked) -> Answer:
    page = int(asked.query["page"])
    return answer({"data": {"items": ROWS[10 * (page - 1) : 10 * page]}})


def test_pages_by_number_until_one_is_empty(site: Site, tmp_path: Path) -> None:
    site.pages["/notes"] = numbered
    source = api(
        f"{site.url}/notes", params={"per_page": 10}, records_path="data.items", text_key="attributes.body",
        label_key="attributes.tone", id_key="uid", meta_keys=("n",), pagination=PageNumber(),
    )  # fmt: skip
    events: list[Event] = []
    done = gather(tmp_path / "work", source, events=events)
    assert [(record.id, record.text, record.label, record.meta) for record in done.kept] == [
        (row["uid"], f"第{n}条 note {n}", "ok", f'{{"n":{n}}}') for n, row in enumerate(ROWS)
    ]
    assert [asked.query["page"] for asked in site.asked] == ["1", "2", "3", "4"]
    assert {asked.query["per_page"] for asked in site.asked} == {"10"}
    assert site.asked[0].headers["user-agent"].startswith("burnish/")
    assert any(isinstance(event, Progress) and event.unit == "pages" and event.done == 4 for event in events)


def test_offsets_cursors_and_links(site: Site, tmp_path: Path) -> None:
    site.pages["/offset"] = lambda asked: answer(ROWS[int(asked.query["skip"]) :][:9])
    ends = {"": ("c1", 0), "c1": ("c2", 10), "c2": (None, 20)}

    def cursor(asked: Asked) -> Answer:
        following, start = ends[asked.query.get("after", "")]
        return answer({"rows": ROWS[start : start + 10], "page": {"next": following}})

    def link(asked: Asked) -> Answer:
        page = int(asked.query.get("p", 0))
        more = f'</link?p={page + 1}>; rel="next", </link?p=0>; rel="first"' if page < 2 else ""
        return answer(ROWS[10 * page :][:10], Link=more)

    site.pages |= {"/cursor": cursor, "/link": link}
    shape = {"text_key": "attributes.body"}
    for number, source in enumerate(
        (
            api(f"{site.url}/offset", pagination=PageNumber("skip", 0, 9), **shape),
            api(f"{site.url}/cursor", pagination=Cursor("after", "page.next"), records_path="rows", **shape),
            api(f"{site.url}/link", pagination=LinkHeader(), **shape),
        )
    ):
        done = gather(tmp_path / str(number), source)
        assert [record.text for record in done.kept] == [f"第{n}条 note {n}" for n in range(25)]
        assert done.kept[-1].id.startswith("api:page-3:")


def test_failures_that_pass_are_asked_again_and_waits_are_kept(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("burnish.data.readers.fetching.time.sleep", waits.append)
    answers = iter([answer({}, 503), answer({}, 429, Retry_After="7"), answer([{"text": "at last"}])])
    site.pages["/x"] = lambda _: next(answers)
    done = gather(tmp_path / "work", api(f"{site.url}/x", first_wait_s=0.5))
    assert [record.text for record in done.kept] == ["at last"]
    assert [wait for wait in waits if wait >= 0.5] == [0.5, 7.0]


def test_a_page_that_fails_is_noted_and_the_next_is_read(site: Site, tmp_path: Path) -> None:
    def page(asked: Asked) -> Answer:
        kinds: dict[str, Answer | Callable[[Asked], Answer]] = {
            "1": answer([{"text": "one"}, "no object", {"text": ""}]),
            "2": slow(1.5, answer([])),
            "3": answer([{"text": "three"}]),
            "4": answer({}, 404),
            "5": answer({"error": "other shape"}),
            "6": answer([{"text": "six"}]),
            "7": (200, {"Content-Type": "application/json"}, b"{cut"),
            "8": answer([{"text": "x" * 5000}]),
            "9": answer([{"text": "nine"}]),
        }
        found = kinds.get(asked.query["page"], answer([]))
        return found(asked) if callable(found) else found

    site.pages["/x"] = page
    source = api(f"{site.url}/x", pagination=PageNumber(), timeout_s=0.5, retries=1, max_response_bytes=2000)
    done = gather(tmp_path / "work", source)
    assert [record.text for record in done.kept] == ["one", "three", "six", "nine"]
    assert done.rules == [
        ("api:page-1:1", "malformed_row"),
        ("api:page-1:2", "missing_text"),
        ("api:page-2", "timed_out"),
        ("api:page-4", "http_error"),
        ("api:page-5", "malformed_response"),
        ("api:page-7", "malformed_response"),
        ("api:page-8", "oversized_response"),
    ]
    assert {rule for _, rule in done.rules} <= set(FILE_RULES)
    assert done.reasons["api:page-4"].value == 404
    assert sum(asked.query["page"] == "2" for asked in site.asked) == 2
    assert sum(asked.query["page"] == "4" for asked in site.asked) == 1  # asking again would not help


def test_an_answer_that_drips_is_given_up(tmp_path: Path) -> None:
    """Each byte comes in time, the whole never: the limit is on the whole answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(100):
                connection.sendall(b"[")
                time.sleep(0.05)

    thread = threading.Thread(target=drip)
    thread.start()
    start_s = time.monotonic()
    with listener, pytest.raises(RecipeError, match="1 of 1 are set aside by timed_out"):
        gather(tmp_path / "work", api(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.5, retries=0))
    assert time.monotonic() - start_s < 4
    thread.join()


def test_a_service_that_is_down_is_left_alone(site: Site, tmp_path: Path) -> None:
    site.pages["/x"] = lambda asked: answer([{"text": "a"}]) if asked.query["page"] == "1" else answer({}, 500)
    done = gather(tmp_path / "work", api(f"{site.url}/x", pagination=PageNumber(), retries=0))
    assert [rule for _, rule in done.rules] == ["http_error"] * 3
    assert len(site.asked) == 4


def test_a_cursor_that_goes_round_ends(site: Site, tmp_path: Path) -> None:
    site.pages["/x"] = lambda asked: answer({"r": [{"text": "a"}], "next_cursor": "one"})
    done = gather(tmp_path / "work", api(f"{site.url}/x", records_path="r", pagination=Cursor()))
    assert [rule for _, rule in done.rules] == ["page_loop"]
    assert len(site.asked) == 2


def test_the_rate_is_kept(site: Site, tmp_path: Path) -> None:
    site.pages["/notes"] = numbered
    source = api(
        f"{site.url}/notes",
        records_path="data.items",
        text_key="attributes.body",
        pagination=PageNumber(),
        rate_per_s=5,
    )
    gather(tmp_path / "work", source)
    times = [asked.at_s for asked in site.asked]
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.15


def test_secrets_come_from_the_environment_and_stay_on_their_host(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = api(f"{site.url}/x", headers_env={"Authorization": "NOTES_TOKEN"}, retries=0)
    monkeypatch.delenv("NOTES_TOKEN", raising=False)
    with pytest.raises(RecipeError, match="headers_env names NOTES_TOKEN for Authorization, which is not set"):
        gather(tmp_path / "work", source)
    monkeypatch.setenv("NOTES_TOKEN", "Bearer s3cret")
    with serving(Site()) as other:
        other.page("/y", "[]")
        site.pages["/x"] = lambda _: answer({}, 302, Location=f"{other.url}/y")
        with pytest.raises(RecipeError, match="set aside by http_error"):
            gather(tmp_path / "work", source)
        assert other.asked == []
    site.page("/z", '[{"text": "moved"}]')
    site.pages["/x"] = lambda _: answer({}, 302, Location="/z")
    done = gather(tmp_path / "work", source)
    assert [record.text for record in done.kept] == ["moved"]
    assert site.asked[-1].headers["authorization"] == "Bearer s3cret"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cret" not in written
    assert "s3cret" not in json.dumps(plain(source))


def test_a_killed_run_asks_for_no_page_twice(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/notes"] = numbered
    source = api(f"{site.url}/notes", records_path="data.items", text_key="attributes.body", pagination=PageNumber())
    monkeypatch.setattr("burnish.data.readers.api.to_record", None)
    with pytest.raises(TypeError):
        collect(workdir(tmp_path / "work"), config=CollectConfig((source,)))
    monkeypatch.undo()
    assert site.times("/notes") == 1
    assert len(gather(tmp_path / "work", source).kept) == 25
    assert [asked.query["page"] for asked in site.asked] == ["1", "2", "3", "4"]


def test_packed_answers_are_read(site: Site, tmp_path: Path) -> None:
    body = gzip.compress(json.dumps([{"text": "packed"}]).encode())
    site.pages["/x"] = lambda _: (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, body)
    assert [record.text for record in gather(tmp_path / "work", api(f"{site.url}/x")).kept] == ["packed"]


def test_yaml_and_what_it_may_not_say() -> None:
    values = {
        "kind": "api",
        "url": "https://example.org/n",
        "pagination": {"kind": "cursor", "path": "meta.next"},
        "params": {"n": 5},
    }
    (source,) = fill(CollectConfig, {"sources": [values]}).sources
    assert source == Api(url="https://example.org/n", pagination=Cursor(path="meta.next"), params={"n": 5})
    for changes, reason in (
        ({"url": "file:///etc/passwd"}, "must begin with http"),
        ({"url": "https://me:pass@example.org/"}, "holds a user name or password"),
        ({"rate_per_s": 0}, "rate_per_s is 0"),
        ({"max_pages": 0}, "max_pages is 0"),
    ):
        with pytest.raises(RecipeError, match=reason):
            Api(**{"url": "https://example.org/", **changes})  # type: ignore[arg-type]


def test_small_parts() -> None:
    assert dig({"a": [{"b": 1}]}, "a.0.b") == 1
    assert dig({"a": 1}, "a.b") is None
    assert retry_after_s("12") == 12
    later = retry_after_s(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert later is not None
    assert 55 < later <= 60
    assert retry_after_s("soon") is None
