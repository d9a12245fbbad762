"""Numbers in words: one way to show a value, an interval and a change, on the page and in the terminal."""

import math

_BYTE_SCALES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_TIMES_FROM = 1.95  # from about a doubling on, "3.9× lower" reads better than "−74 %"


def show(value: float, unit: str) -> str:
    """Show a value with its unit; a pure number (`unit` "1") is a share and shown in per cent."""
    match unit:
        case "1":
            return show_share(value)
        case "bytes":
            return show_bytes(value)
        case "bits/byte":
            return f"{value:.3f}"
        case "":
            return significant(value)
        case _:
            return f"{significant(value)} {unit}"


def show_share(value: float) -> str:
    """Show a fraction in per cent; what is not quite 0 or 1 never reads as 0 % or 100 %."""
    digits = 0 if value in (0.0, 1.0) else 1
    while digits < 4 and value not in (0.0, 1.0) and round(100 * value, digits) in (0.0, 100.0):
        digits += 1
    return f"{100 * value:.{digits}f} %".replace("-", "−")


def show_bytes(value: float) -> str:
    """Show a size in decimal units: 1 MB is 1,000,000 bytes."""
    for scale, name in _BYTE_SCALES:
        if abs(value) >= scale:
            return f"{significant(value / scale)} {name}"
    return f"{value:,.0f} bytes"


def show_interval(low: float, high: float, unit: str, *, beside: float | None = None) -> str:
    """Show the two ends of an interval; the unit stands once where both ends share it.

    Args:
        low: lower end.
        high: upper end.
        unit: of both.
        beside: the value that the interval stands next to; a unit which that value shows is not said again.
    """
    shown_low, shown_high = show(low, unit), show(high, unit)
    number, _, tail = shown_low.partition(" ")
    if not tail or not shown_high.endswith(f" {tail}"):
        return f"{shown_low} – {shown_high}"
    is_said = beside is not None and show(beside, unit).endswith(f" {tail}")
    return f"{number} – {shown_high.removesuffix(f' {tail}') if is_said else shown_high}"


def show_change(before: float, after: float, unit: str) -> str:
    """Show a change: points for shares, times for a doubling or more, per cent for the rest."""
    if unit == "1":
        points = 100 * (after - before)
        return f"{_signed(points, 1)} points"
    if before <= 0 or after <= 0:
        return _sign(after - before) + show(abs(after - before), unit)
    ratio = after / before
    if ratio >= _TIMES_FROM:
        return f"{significant(ratio, 2)}× higher"
    if ratio <= 1 / _TIMES_FROM:
        return f"{significant(1 / ratio, 2)}× lower"
    return f"{_signed(100 * (ratio - 1), 1)} %"


def show_seconds(value: float) -> str:
    """Show a duration: 0.8 s, 42 s, 3 min 20 s."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def significant(value: float, digits: int = 3) -> str:
    """Show a number with `digits` significant digits, thousands grouped, whole part never cut."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    if abs(value) < 1e-3:
        number, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{number} × 10{str(int(power)).translate(_RAISED)}".replace("-", "−")
    return f"{value:,.{decimals}f}".replace("-", "−")


def show_exact(value: float) -> str:
    """Show a raw value: whole numbers in full, others with five digits."""
    return f"{value:,.0f}" if value == int(value) else significant(value, 5)


def show_price(value: float) -> str:
    """Show a price with two decimals, or all that it has."""
    return f"{value:.2f}" if round(value, 2) == value else f"{value:g}"


def plural(count: float, noun: str) -> str:
    """Show a count with its noun: 1 record, 2,040 records."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def _signed(value: float, decimals: int) -> str:
    rounded = round(value, decimals)
    return f"{_sign(rounded)}{abs(rounded):.{decimals}f}"


def _sign(value: float) -> str:
    return "−" if value < 0 else "+" if value > 0 else "±"
