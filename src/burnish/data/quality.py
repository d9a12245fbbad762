"""Quality: keep what is in the right language, is no gibberish, and reads like prose where it is long (simple D9)."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from burnish.artifacts import DatasetArtifact, Draft, Measurement, counted
from burnish.data.document import Document
from burnish.data.flow import PLANTED_RANDOM, carry_planted, measure_flow, num_planted, refuse_none_kept
from burnish.data.function_words import LANGUAGES as FUNCTION_WORD_LANGUAGES
from burnish.data.gibberish import RULES as GIBBERISH_RULES
from burnish.data.gibberish import Gibberish, Vocabulary, find_gibberish
from burnish.data.heuristics import FINEWEB_RULES, GOPHER_RULES, FineWeb, Gopher, find_fineweb, find_gopher
from burnish.data.language import LANGUAGES, LanguageModel
from burnish.data.records import Record, Rejected, Rejection, read_kept, write_kept, write_rejected
from burnish.errors import RecipeError
from burnish.runtime import Workdir

RULES = ("language", *GIBBERISH_RULES, *GOPHER_RULES, *FINEWEB_RULES)


@dataclass(frozen=True)
class QualityConfig:
    """Say what is good enough.

    Attributes:
        languages: codes of fastText's language model, such as en, zh, de.
        min_language_score: least probability that a text is in one of them. FineWeb asks 0.65 of whole pages;
            of a headline the model is less sure: 0.1 takes 0.4 % of real English ones and knows others still.
    """

    languages: tuple[str, ...] = ("en", "zh")
    min_language_score: float = 0.1
    gibberish: Gibberish = field(default_factory=Gibberish)
    gopher: Gopher = field(default_factory=Gopher)
    fineweb: FineWeb = field(default_factory=FineWeb)

    def __post_init__(self) -> None:
        if not self.languages:
            raise RecipeError("languages is empty; name at least one, such as en")
        for code in self.languages:
            if code not in LANGUAGES:
                near = ", ".join(difflib.get_close_matches(code, sorted(LANGUAGES), n=3, cutoff=0.3))
                hint = f" Near it: {near}." if near else ""
                raise RecipeError(
                    f"languages has {code!r}; give codes of the language model, such as en, zh, de.{hint}"
                )
        if not 0 <= self.min_language_score <= 1:
            raise RecipeError(f"min_language_score is {self.min_language_score}; it must be in [0, 1]")


def gate_quality(out: Workdir, records: DatasetArtifact, *, config: QualityConfig) -> Draft[DatasetArtifact]:
    """Set aside records in other languages, gibberish, and long ones that break a rule for documents.

    Raises:
        RecipeError: no record is left.
    """
    before = read_kept(records)
    model = LanguageModel()
    documents = [Document(record.text) for record in before]
    vocabulary = Vocabulary(documents)
    _warn_if_few(vocabulary, config.gibberish, out)
    kept: list[Record] = []
    rejected: list[Rejected] = []
    with out.progress("gate", total=len(before), unit="records") as bar:
        for record, document in zip(before, documents, strict=True):
            fault = next(find_faults(document, vocabulary, model, config), None)
            if fault is None:
                kept.append(record)
            else:
                rejected.append((record, fault))
            bar.advance()
    refuse_none_kept(kept, rejected, "check languages and the rules' bounds")
    write_kept(out, kept)
    write_rejected(out, rejected)
    evidence = (
        *measure_flow(before, kept, rejected, RULES),
        *_measure_planted(records, before, kept),
        *carry_planted(records),
    )
    return Draft(DatasetArtifact, evidence, f"{len(kept):,} of {len(before):,} records kept by the quality gate.")


def find_faults(
    document: Document, vocabulary: Vocabulary, model: LanguageModel, config: QualityConfig
) -> Iterator[Rejection]:
    """Give the rules that a document breaks, in the order of `RULES`; each is worked out only when asked for."""
    guess = model.guess(document.text, config.languages)
    if guess.score < config.min_language_score:
        yield Rejection("language", guess.score, config.min_language_score)
    yield from find_gibberish(document, vocabulary, config.gibberish)
    yield from find_gopher(document, config.gopher, knows_stop_words=guess.language in FUNCTION_WORD_LANGUAGES)
    yield from find_fineweb(document, config.fineweb)


def _measure_planted(
    dataset: DatasetArtifact, before: Sequence[Record], kept: Sequence[Record]
) -> Iterator[Measurement]:
    """Count against known truth: planted random rows caught since collection, and rows not planted lost here."""
    collected = [round(m.value) for m in dataset.evidence if m.name == PLANTED_RANDOM]
    num_random = collected[0] if collected else num_planted(before, "random")
    if num_random:
        num_caught = num_random - num_planted(kept, "random")
        how = "planted random rows set aside from cleaning to this gate, of all that were planted"
        yield counted("planted_random_caught_frac", num_caught, of=num_random, how=how)
    num_clean = num_planted(before, "")
    if num_clean:
        num_lost = num_clean - num_planted(kept, "")
        yield counted("clean_lost_frac", num_lost, of=num_clean, how="rows not planted that this gate set aside")


def _warn_if_few(vocabulary: Vocabulary, config: Gibberish, out: Workdir) -> None:
    for name, chinese in (("Chinese", True), ("other", False)):
        num = vocabulary.num_records(chinese=chinese)
        if 0 < num < config.min_records:
            out.warn(
                f"{num} {name} records are too few to tell a word that is new from one that is random "
                f"({config.min_records} are needed); the rule word_salad passes them"
            )
