"""Numbers as people read them."""


def in_time(seconds: float) -> str:
    """Write a span: `5 ms`, `0.3 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def in_bytes(count: float) -> str:
    """Write a size in binary units: `512 B`, `1.5 KiB`, `120 MiB`, `2.31 GiB`."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.3g} {unit}" if count < 99.5 else f"{count:.0f} {unit}"
    return f"{count / 1024:.3g} TiB"


def in_amount(done: float, total: float | None, unit: str) -> str:
    """Write how far a task is: `12,000/28,614 records`, `1.5 MiB/88 MiB`."""
    if unit == "bytes":
        return in_bytes(done) if total is None else f"{in_bytes(done)}/{in_bytes(total)}"
    amount = f"{done:,.0f}" if total is None else f"{done:,.0f}/{total:,.0f}"
    return f"{amount} {unit}"
