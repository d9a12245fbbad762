import pytest

from burnish.report.figures import (
    plural,
    show,
    show_bytes,
    show_change,
    show_exact,
    show_interval,
    show_price,
    show_seconds,
    show_share,
    significant,
)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.916, "1", "91.6 %"),
        (1.3184, "bits/byte", "1.318"),
        (538_090_408, "bytes", "538 MB"),
        (1480.4, "ms", "1,480 ms"),
        (0.00418, "nats", "0.00418 nats"),
        (12.0, "", "12.0"),
    ],
)
def test_a_value_is_shown_with_its_unit(value: float, unit: str, shown: str) -> None:
    assert show(value, unit) == shown


def test_only_all_reads_as_100_percent_and_only_none_as_0() -> None:
    assert show_share(1.0) == "100 %"
    assert show_share(0.99996) == "99.996 %"
    assert show_share(0.0) == "0 %"
    assert show_share(0.0002) == "0.02 %"
    assert show_share(-0.031) == "−3.1 %"


def test_sizes_are_decimal() -> None:
    assert [show_bytes(number) for number in (999, 1_000, 1_500_000, 2.5e9, 3e12)] == [
        "999 bytes",
        "1.00 kB",
        "1.50 MB",
        "2.50 GB",
        "3.00 TB",
    ]


def test_an_interval_says_a_shared_unit_once_and_not_again_beside_its_value() -> None:
    assert show_interval(0.888, 0.937, "1") == "88.8 – 93.7 %"
    assert show_interval(0.888, 0.937, "1", beside=0.916) == "88.8 – 93.7"
    assert show_interval(9e8, 1.1e9, "bytes") == "900 MB – 1.10 GB"
    assert show_interval(9e8, 1.1e9, "bytes", beside=1e9) == "900 MB – 1.10 GB"
    assert show_interval(8e8, 9e8, "bytes", beside=1e9) == "800 – 900 MB"


@pytest.mark.parametrize(
    ("before", "after", "unit", "shown"),
    [
        (0.514, 0.916, "1", "+40.2 points"),
        (0.514, 0.402, "1", "−11.2 points"),
        (0.5, 0.5, "1", "±0.0 points"),
        (38.1, 168.4, "tokens/s", "4.4× higher"),
        (538.0, 138.0, "bytes", "3.9× lower"),
        (100.0, 134.0, "ms", "+34.0 %"),
        (100.0, 60.0, "ms", "−40.0 %"),
        (0.0, 5.0, "ms", "+5.00 ms"),
    ],
)
def test_a_change_is_shown_in_the_words_that_fit_its_size(before: float, after: float, unit: str, shown: str) -> None:
    assert show_change(before, after, unit) == shown


def test_numbers_keep_their_significant_digits() -> None:
    assert significant(0) == "0"
    assert significant(1234567.8) == "1,234,568"
    assert significant(0.000396, 2) == "4.0 × 10⁻⁴"
    assert significant(-2.5e-12) == "−2.50 × 10⁻¹²"
    assert show_exact(134_515_008.0) == "134,515,008"
    assert show_exact(0.26812345) == "0.26812"
    assert [show_price(price) for price in (0.1, 1.0, 0.0965)] == ["0.10", "1.00", "0.0965"]


def test_durations_and_counts_read_like_speech() -> None:
    assert [show_seconds(s) for s in (0.04, 9.94, 42.2, 153.0, 3599.6)] == [
        "0.0 s",
        "9.9 s",
        "42 s",
        "2 min 33 s",
        "60 min 00 s",
    ]
    assert plural(1, "record") == "1 record"
    assert plural(2040, "record") == "2,040 records"
