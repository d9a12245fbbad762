"""Ahead: items made in a thread of their own while the device works on those before them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def made_ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """Give the items of an endless iterator, the next `depth` of them made meanwhile.

    Packing is Python's work, and waiting for a GPU at the end of a step is when there is time for it.

    Args:
        items: no other thread may take from it.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        waiting = deque(thread.submit(next, items) for _ in range(depth))
        while True:
            item = waiting.popleft().result()
            waiting.append(thread.submit(next, items))
            yield item
