"""Offload: what a forward pass on a GPU keeps for the backward pass waits in the CPU's pinned memory.

Copies run on two streams beside the computing: out while the next operations run, and back some operations before they
are needed, since a backward pass asks for tensors in about the reverse of the order in which they were kept.
"""

import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from burnish.runtime import need

_MIN_BYTES = 1 << 20  # a smaller copy costs more in waiting than it frees
_MAX_LEAVING = 2  # tensors whose copy out may be under way: a double buffer
_NUM_AHEAD = 3  # tensors that are fetched before they are asked for


@contextmanager
def offloaded(model: Any) -> Iterator[None]:
    """Offload in all forward passes inside; parameters stay where they are, and so does all of a CPU's memory."""
    torch = need("torch", extra="train")
    if next(model.parameters()).is_cuda:
        offload = _Offload({p.untyped_storage().data_ptr() for p in model.parameters()})
        with torch.autograd.graph.saved_tensors_hooks(offload.keep, offload.give):
            yield
    else:
        yield


class _Parked:
    """A tensor in pinned memory, and on the GPU again once it was fetched."""

    def __init__(self, number: int, pinned: Any, left: Any) -> None:
        self.number, self.pinned, self.left = number, pinned, left
        self.fetched: Any = None
        self.arrived: Any = None

    def __del__(self) -> None:
        if self.fetched is not None:  # nobody asked for it: its memory is free only when the copy is there
            need("torch", extra="train").cuda.current_stream().wait_event(self.arrived)


class _Offload:
    def __init__(self, own: set[int]) -> None:
        torch = need("torch", extra="train")
        self._own = own  # storages of parameters, which are on the GPU anyway
        self._out, self._back = torch.cuda.Stream(), torch.cuda.Stream()
        self._leaving: deque[tuple[Any, Any]] = deque()
        self._parked: weakref.WeakValueDictionary[int, _Parked] = weakref.WeakValueDictionary()
        self._number = 0

    def keep(self, tensor: Any) -> Any:
        """Send a tensor out; give what stands for it."""
        torch = need("torch", extra="train")
        is_small = tensor.numel() * tensor.element_size() < _MIN_BYTES
        if not tensor.is_cuda or is_small or tensor.untyped_storage().data_ptr() in self._own:
            return tensor
        pinned = torch.empty_like(tensor, device="cpu", pin_memory=True)
        self._out.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._out):
            pinned.copy_(tensor, non_blocking=True)
            left = self._out.record_event()
        self._leaving.append((tensor, left))
        while len(self._leaving) > _MAX_LEAVING:
            self._let_go()
        parked = _Parked(self._number, pinned, left)
        self._parked[self._number] = parked
        self._number += 1
        return parked

    def give(self, kept: Any) -> Any:
        """Give a tensor back, and begin to fetch those that are asked for next."""
        torch = need("torch", extra="train")
        if not isinstance(kept, _Parked):
            return kept
        while self._leaving:
            self._let_go()
        for number in range(kept.number, kept.number - _NUM_AHEAD - 1, -1):
            parked = self._parked.get(number)
            if parked is not None and parked.fetched is None:
                self._fetch(parked)
        torch.cuda.current_stream().wait_event(kept.arrived)
        found, kept.fetched = kept.fetched, None
        return found

    def _let_go(self) -> None:
        """Free the tensor that left first: memory may be used again only when its copy is made."""
        torch = need("torch", extra="train")
        _, left = self._leaving.popleft()
        torch.cuda.current_stream().wait_event(left)

    def _fetch(self, parked: _Parked) -> None:
        """Begin a copy back, into memory of the computing stream, whose earlier work may still be reading it."""
        torch = need("torch", extra="train")
        parked.fetched = torch.empty_like(parked.pinned, device="cuda", pin_memory=False)
        self._back.wait_stream(torch.cuda.current_stream())
        self._back.wait_event(parked.left)
        with torch.cuda.stream(self._back):
            parked.fetched.copy_(parked.pinned, non_blocking=True)
            parked.arrived = self._back.record_event()
