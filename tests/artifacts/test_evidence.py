import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.artifacts.evidence import Measurement, counted, read_evidence, write_evidence
from burnish.errors import ArtifactError

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_a_number_that_is_not_finite_is_no_evidence(field: str, number: float) -> None:
    fields = {"value": 0.5, "low": 0.4, "high": 0.6, field: number}
    with pytest.raises(ArtifactError, match=rf"'loss_nats': {field} is {number}; evidence must be finite"):
        Measurement("loss_nats", fields["value"], "nats", 3, fields["low"], fields["high"])


def test_nothing_was_observed_is_no_evidence() -> None:
    with pytest.raises(ArtifactError, match=r"n is 0; it must be at least 1"):
        Measurement("loss_nats", 1.0, "nats", n=0)


def test_wilson_interval_of_the_textbook() -> None:
    # Brown, Cai and DasGupta 2001, section 3: the interval's ends solve |p - x/n| = z sqrt(p (1 - p) / n)
    share = counted("caught_frac", 7, of=20)
    assert share.low is not None
    assert share.high is not None
    for end in (share.low, share.high):
        assert abs(end - 0.35) == pytest.approx(1.959963984540054 * math.sqrt(end * (1 - end) / 20), rel=1e-9)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval_and_the_interval_in_0_to_1(counts: tuple[int, int]) -> None:
    count, of = counts
    share = counted("kept_frac", count, of=of)
    assert share.low is not None
    assert share.high is not None
    assert 0 <= share.low <= share.value + 1e-12
    assert share.value - 1e-12 <= share.high <= 1
    assert share.n == of


@pytest.mark.parametrize(("count", "of"), [(0, 0), (3, 2), (-1, 5)])
def test_an_impossible_share_is_refused(count: int, of: int) -> None:
    with pytest.raises(ArtifactError, match=rf"{count} of {of} is no share"):
        counted("kept_frac", count, of=of)


@given(value=FINITE, low=FINITE | st.none(), high=FINITE | st.none(), n=st.integers(1, 10**9), how=st.text())
def test_evidence_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    value: float,
    low: float | None,
    high: float | None,
    n: int,
    how: str,
) -> None:
    path = tmp_path_factory.mktemp("evidence") / "evidence.json"
    written = (Measurement("a_ms", value, "ms", n, low, high, how), counted("b_frac", 1, of=2))
    write_evidence(path, written)
    assert read_evidence(path) == written


@pytest.mark.parametrize("text", ["", "{}x", '[{"name": "a"}]', "[1]", json.dumps([{"name": "a", "value": 1e999}])])
def test_unreadable_evidence_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "evidence.json").write_text(text)
    with pytest.raises(ArtifactError):
        read_evidence(tmp_path / "evidence.json")


def test_words_show_value_unit_and_interval() -> None:
    assert str(Measurement("a_ms", 12.3456, "ms", 9, 10, 14)) == "12.35 ms [10, 14]"
    assert str(Measurement("size_bytes", 1234567, "bytes", 1)) == "1.23457e+06 bytes"
    assert str(Measurement("share", 0.5, "1", 4)) == "0.5"
