"""Api: records from a web service that answers in JSON, page by page, at a bounded rate.

Each page is kept in the snapshots as it came, so that a run which is killed asks for none of them twice. A page that
fails after its retries is noted as set aside, and the run goes on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from burnish.data.readers.batches import Batch, Place, Tray
from burnish.data.readers.columns import Columns, Origin, Row, file_aside, to_record
from burnish.data.readers.fetching import Answer, Fetcher, Manners, refuse_other_scheme, secret_headers
from burnish.data.records import Rejection
from burnish.errors import RecipeError

# A service that fails this often in a row is down, and asking on only adds to its load.
_MAX_FAILURES = 3


@dataclass(frozen=True)
class OnePage:
    """Ask once."""


@dataclass(frozen=True)
class PageNumber:
    """Count pages, until one is empty; with `step` the number is an offset.

    Attributes:
        param: the parameter that carries the number.
        start: the first.
        step: from one page to the next.
    """

    param: str = "page"
    start: int = 1
    step: int = 1

    def __post_init__(self) -> None:
        if self.step < 1:
            raise RecipeError(f"step is {self.step}; it must be at least 1")


@dataclass(frozen=True)
class Cursor:
    """Hand back what each page names as its follower, until one names none.

    Attributes:
        param: the parameter that carries it.
        path: where in a page it stands, with dots between keys.
    """

    param: str = "cursor"
    path: str = "next_cursor"


@dataclass(frozen=True)
class LinkHeader:
    """Follow the header `Link: <…>; rel="next"` (RFC 8288), on the same host only."""


Pagination = OnePage | PageNumber | Cursor | LinkHeader


@dataclass(frozen=True)
class Api(Columns):
    """Take records from a web service over HTTP GET.

    Keys (`text_key`, `meta_keys` …) may reach into a record with dots: `attributes.body`.

    Attributes:
        url: http or https.
        params: of the query.
        headers_env: header -> environment variable that holds its value; secrets never stand in a recipe.
        records_path: where in a page the list of records stands, with dots between keys; empty: the page is the list.
        pagination: how to get the next page.
        max_pages: to ask for.
        rate_per_s: requests a second, retries included.
        timeout_s: for one answer, from asking to its last byte.
        retries: of a request that failed in a way that may pass.
        first_wait_s: before the first of them; each later one waits twice as long, or what `Retry-After` says.
        max_response_bytes: a longer answer is refused; a page is held in memory a few times over.
        edition: enters the lineage; another value asks the service anew for what a sealed dataset holds already.
    """

    url: str
    params: dict[str, str | int | float] = field(default_factory=dict)
    headers_env: dict[str, str] = field(default_factory=dict)
    records_path: str = ""
    pagination: Pagination = OnePage()
    max_pages: int = 1000
    rate_per_s: float = 1.0
    timeout_s: float = 30.0
    retries: int = 4
    first_wait_s: float = 1.0
    max_response_bytes: int = 8 << 20
    edition: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_other_scheme("url", self.url)
        if self.max_pages < 1:
            raise RecipeError(f"max_pages is {self.max_pages}; it must be at least 1")
        _ = self.manners

    @property
    def manners(self) -> Manners:
        """Say how the service is asked."""
        return Manners(self.rate_per_s, self.timeout_s, self.retries, self.first_wait_s, self.max_response_bytes)


def read_api(
    source: Api, name: str, spool: Path, place: Place, advance: Callable[[float, str], None]
) -> Iterator[Batch]:
    """Read the records of a service, from `place` on.

    Args:
        spool: folder for the pages as they came.
        advance: told of each page.

    Raises:
        RecipeError: an environment variable that the recipe names is not set.
    """
    tray = Tray()
    number = place.item - 1
    for number, answer in enumerate(_answers(source, spool)):
        advance(1, f"{name}: page {number + 1}")
        if number >= place.item:
            origin = Origin(name, f"{name}:page-{number + 1}")
            _put_page(source, origin, answer, tray)
            tray.read_bytes += answer.num_bytes
        if tray.is_full:
            yield tray.empty(Place(number + 1))
    yield tray.empty(Place(number + 1))


def _put_page(source: Api, origin: Origin, answer: Answer, tray: Tray) -> None:
    records = dig(answer.body, source.records_path)
    fault = answer.fault
    if fault is None and not isinstance(records, list):
        where = f"at {source.records_path}" if source.records_path else "as its body"
        fault = Rejection("malformed_response"), f"it has no list {where}"
    if fault is not None:
        tray.put(file_aside(origin, *fault), origin.prefix)
        return
    for number, record in enumerate(records):
        values = _flat(record, source) if isinstance(record, dict) else None
        row = Row(number, values, json.dumps(record, ensure_ascii=False))
        tray.put(to_record(row, source, origin), origin.place(number))


def dig(value: Any, path: str) -> Any:
    """Follow keys and list positions with dots between them; None where one is not there."""
    for key in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _flat(record: dict[str, Any], source: Api) -> dict[str, object]:
    """Give a record's own members, and those that keys with dots reach."""
    wanted = (*source.keys, *source.meta_keys)
    return {**record, **{key: dig(record, key) for key in wanted if key not in record}}


def _answers(source: Api, spool: Path) -> Iterator[Answer]:
    spool.mkdir(parents=True, exist_ok=True)
    url, params = source.url, dict(source.params)
    if isinstance(source.pagination, PageNumber):
        params[source.pagination.param] = source.pagination.start
    asked: set[str] = set()
    failures = 0
    with Fetcher(source.url, secret_headers(source.headers_env), source.manners) as fetcher:
        for number in range(source.max_pages):
            key = json.dumps([url, params], sort_keys=True)
            if key in asked:
                yield Answer(fault=(Rejection("page_loop"), f"page {number} names a page that was read before"))
                return
            asked.add(key)
            answer = _kept(spool / f"page-{number:06}.json", fetcher, url, params)
            yield answer
            failures = failures + 1 if answer.fault is not None else 0
            following = None if failures == _MAX_FAILURES else _next(source, answer, number, url, params)
            if following is None:
                return
            url, params = following


def _next(
    source: Api, answer: Answer, number: int, url: str, params: dict[str, str | int | float]
) -> tuple[str, dict[str, str | int | float]] | None:
    """Say what to ask next; None at the end, or where a failed page does not name its follower."""
    match source.pagination:
        case OnePage():
            return None
        case PageNumber(param=param, start=start, step=step):
            is_last = answer.fault is None and not dig(answer.body, source.records_path)
            return None if is_last else (url, {**params, param: start + step * (number + 1)})
        case Cursor(param=param, path=path):
            following = dig(answer.body, path)
            return (url, {**params, param: following}) if isinstance(following, str | int) and following else None
        case LinkHeader():
            return (answer.next_url, {}) if answer.next_url else None
        case _:
            assert_never(source.pagination)


def _kept(path: Path, fetcher: Fetcher, url: str, params: Mapping[str, str | int | float]) -> Answer:
    """Give a page that was kept, or ask for it and keep it; one that failed is asked for again after a kill."""
    if path.exists():
        return Answer.load(path)
    answer = fetcher.ask(url, params)
    if answer.fault is None:
        answer.save(path)
    return answer
