import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.artifacts import Measurement, ReportArtifact
from burnish.claims import all_claims
from burnish.claims.claim import Figure, Form, Verdict, find_claims, judge, show, show_interval
from burnish.errors import RecipeError

SHARE = Figure("valid_after_frac", "valid share after", 0.92, "share")
FINITE = st.floats(-10, 10)


def ours(value: float, low: float | None = None, high: float | None = None) -> Measurement:
    return Measurement("valid_after_frac", value, "1", 100, low, high)


@given(st.lists(FINITE, min_size=3, max_size=3), FINITE)
def test_a_figure_holds_or_falls_short_only_where_the_whole_interval_does(ends: list[float], published: float) -> None:
    low, value, high = sorted(ends)
    verdict, why = judge(Figure("x", "x", published, "gain"), ours(value, low, high))
    assert (verdict is Verdict.HOLDS) == (low >= published)
    assert (verdict is Verdict.FALLS_SHORT) == (high < published)
    assert (verdict is Verdict.UNDECIDED) == (low < published <= high)
    assert Figure("x", "x", published, "gain").show(published) in why


def test_an_exact_value_is_judged_by_itself() -> None:
    assert judge(SHARE, ours(0.92))[0] is Verdict.HOLDS
    assert judge(SHARE, ours(0.9199))[0] is Verdict.FALLS_SHORT


def test_what_was_not_measured_or_does_not_compare_gets_no_judgement() -> None:
    assert judge(SHARE, None) == (Verdict.NOT_MEASURED, "")
    before = Figure("valid_before_frac", "before", 0.68, "share", "set by what was planted")
    assert judge(before, ours(0.1)) == (Verdict.NOT_COMPARABLE, "set by what was planted")


@pytest.mark.parametrize(
    ("value", "form", "published", "measured"),
    [
        (0.92, "share", "92 %", "92.0 %"),
        (0.15, "gain", "+15 %", "+15.0 %"),
        (-0.05, "gain", "−5 %", "−5.0 %"),
        (0.78, "drop", "−78 %", "−78.0 %"),
        (-0.1, "drop", "+10 %", "+10.0 %"),
        (2.3, "times", "2.3×", "2.30×"),
    ],
)
def test_every_form_is_written_as_the_guides_write_it(value: float, form: Form, published: str, measured: str) -> None:
    assert show(value, form, digits=0) == published
    assert show(value, form) == measured


def test_an_interval_names_its_unit_once_and_begins_with_the_end_that_reads_smaller() -> None:
    assert show_interval(ours(0.5, 0.4, 0.6), "share") == "40.0 to 60.0 %"
    assert show_interval(ours(0.5, 0.4, 0.6), "drop") == "−60.0 to −40.0 %"
    assert show_interval(ours(1.2, 1.1, 1.3), "times") == "1.10 to 1.30×"
    assert show_interval(ours(0.5), "share") == ""


def test_claims_are_found_in_any_case_each_once_in_the_order_of_the_ledger() -> None:
    claims = all_claims()
    assert [claim.id for claim in find_claims(claims, ["d3", "D1", "D3"])] == ["D1", "D3"]
    assert find_claims(claims, []) == ()
    with pytest.raises(RecipeError, match=r"no claim 'Q9' is measured; there are: D1, D3, D11"):
        find_claims(claims, ["D1", "Q9"])


def test_every_claim_is_whole() -> None:
    claims = all_claims()
    names = [figure.name for claim in claims for figure in claim.figures]
    assert len({claim.id for claim in claims}) == len(claims)
    assert len(set(names)) == len(names)
    for claim in claims:
        assert claim.stage.__annotations__["return"].__args__ == (ReportArtifact,)
        for figure in claim.figures:
            number = re.sub(r"[^\d.]", "", figure.show(figure.published))
            assert number in claim.published, f"{claim.id} shows {number}, which is not in what was published"


def test_every_claim_is_a_module_of_its_own_and_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "claims.md").read_text(encoding="utf-8")
    modules = [claim.stage.__module__ for claim in all_claims()]
    assert len(set(modules)) == len(modules)
    for claim in all_claims():
        assert f"| {claim.id} " in page
        assert claim.stage.__module__.rsplit(".", 1)[-1].startswith(f"{claim.id.lower()}_")


@pytest.mark.parametrize(
    ("published", "form", "written", "ours_written"),
    [
        (0.92, "share", "92 %", "91.4 %"),
        (0.001, "share", "0.1 %", "91.4 %"),
        (-0.0005, "gain", "−0.05 %", "+91.37 %"),
        (-0.012, "gain", "−1.2 %", "+91.4 %"),
        (1 / 1.12, "share", "89 %", "91.4 %"),
        (2.3, "times", "2.3×", "0.91×"),
    ],
)
def test_published_figures_are_written_as_they_were(
    published: float, form: Form, written: str, ours_written: str
) -> None:
    figure = Figure("x", "x", published, form)
    assert figure.show(published) == written
    assert figure.show(0.9137) == ours_written
