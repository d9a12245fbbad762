from burnish.claims.claim import Verdict, judge
from burnish.claims.d3_domain_f1 import CLAIM, _measured
from burnish.data.scoring.domain_claim import GRAIN_TERMS, DomainReading
from burnish.data.scoring.domain_threshold import Counts


def reading(name: str, gain: float) -> DomainReading:
    keywords, combined = Counts(28, 1, 29, 546), Counts(55, 9, 2, 538)
    return DomainReading(name, keywords, combined, 0.5, 0.7, 0.8, 0.9, gain, gain - 0.1, gain + 0.1)


def test_each_list_of_keywords_is_a_figure_of_its_own() -> None:
    measured = {m.name: m for name in GRAIN_TERMS for m in _measured(reading(name, 0.3))}
    assert len(measured) == 3 * len(GRAIN_TERMS)
    for figure in CLAIM.figures:
        assert measured[figure.name].n == 604
        assert judge(figure, measured[figure.name])[0] is Verdict.HOLDS
        assert judge(figure, _measured(reading(next(iter(GRAIN_TERMS)), 0.0))[0])[0] is Verdict.FALLS_SHORT
