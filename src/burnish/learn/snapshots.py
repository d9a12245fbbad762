"""Snapshots of a training run: two slots, a checksum each, the newest good one wins."""

from pathlib import Path
from typing import Any

from burnish.artifacts.digest import file_digest
from burnish.runtime import need

_SLOTS = ("a", "b")


def save_snapshot(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` into the older slot: the other slot stays whole whatever happens meanwhile.

    Args:
        folder: survives a killed run.
        state: tensors, numbers, text and containers of these; must hold an int `step`.
    """
    torch = need("torch", extra="train")
    steps = {slot: _step(folder, slot) for slot in _SLOTS}
    slot = min(_SLOTS, key=lambda name: steps[name])
    partial = folder / f"{slot}.partial"
    torch.save(state, partial)
    mark = folder / f"{slot}.mark"
    mark.unlink(missing_ok=True)
    partial.replace(folder / f"{slot}.pt")
    partial_mark = folder / f"{slot}.mark.partial"
    partial_mark.write_text(f"{state['step']} {file_digest(folder / f'{slot}.pt')}\n", encoding="ascii")
    partial_mark.replace(mark)


def load_snapshot(folder: Path) -> dict[str, Any] | None:
    """Read the newest snapshot whose checksum holds; None where there is none."""
    torch = need("torch", extra="train")
    for slot in sorted(_SLOTS, key=lambda name: -_step(folder, name)):
        if _step(folder, slot) < 0:
            continue
        digest = (folder / f"{slot}.mark").read_text(encoding="ascii").split()[1]
        path = folder / f"{slot}.pt"
        if path.exists() and file_digest(path) == digest:
            state: dict[str, Any] = torch.load(path, weights_only=True)
            return state
    return None


def _step(folder: Path, slot: str) -> int:
    """Give the step of a slot, or -1 where it is empty or its mark is torn."""
    mark = folder / f"{slot}.mark"
    words = mark.read_text(encoding="ascii").split() if mark.exists() else []
    return int(words[0]) if len(words) == 2 and words[0].isdigit() else -1
