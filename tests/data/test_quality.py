"""Quality: the gate on real headlines with known-bad rows planted, and on Chinese."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from real_slice import CHINESE, collected, dataset, evidence, texts, use_slice

from burnish.artifacts import Measurement
from burnish.data.clean import CleanConfig, clean
from burnish.data.gibberish import Gibberish
from burnish.data.heuristics import FineWeb, Gopher
from burnish.data.quality import RULES, QualityConfig, gate_quality
from burnish.data.records import read_kept, read_rejected
from burnish.data.sources import GeneralText, RandomText, SarcasmHeadlines
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.events import Event, Warned
from burnish.runtime.recipes import fill

CONFIG = QualityConfig(gibberish=Gibberish(min_records=100))


def test_planted_random_rows_go_and_real_rows_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run) -> None:
    use_slice(monkeypatch, tmp_path / "assets")
    raw = collected(run, SarcasmHeadlines(200), GeneralText(20), RandomText())
    cleaned = run(clean, raw, config=CleanConfig(min_words=3))
    good = run(gate_quality, cleaned, config=CONFIG)
    kept, rejected, before = read_kept(good), read_rejected(good), read_kept(cleaned)
    found = evidence(good)
    num_random = sum(record.planted == "random" for record in kept)
    assert found["planted_random_caught_frac"] == pytest.approx((20 - num_random) / 20) == 1.0
    lost = sum(record.planted == "" for record, _ in rejected)
    assert found["clean_lost_frac"] == pytest.approx(lost / sum(record.planted == "" for record in before))
    assert found["clean_lost_frac"] <= 0.05  # 200 headlines are few; of 3,000 it takes 0.4 %
    assert sum(found[f"dropped_{rule}_records"] for rule in RULES) == len(rejected) == len(before) - len(kept)


def test_random_rows_that_cleaning_dropped_count_as_caught(run: Run, tmp_path: Path) -> None:
    came = [
        *texts("the weather is fine today in london", "she said that it was only a joke"),
        *texts("&x9^ $1", "a row that was planted and reads well", planted="random"),
    ]
    rows = [replace(record, id=f"r:{row}") for row, record in enumerate(came)]
    collected_random = Measurement("planted_random_records", 8.0, "records", 10)
    found = evidence(run(gate_quality, dataset(run, rows, collected_random), config=QualityConfig()))
    assert found["planted_random_caught_frac"] == 7 / 8  # six gone before, one now, one kept
    assert found["clean_lost_frac"] == 0
    found = evidence(run(gate_quality, dataset(run, rows), config=QualityConfig()))
    assert found["planted_random_caught_frac"] == 1 / 2


def test_the_rules_for_documents_are_part_of_the_gate(run: Run) -> None:
    menu = "Home.\nAbout us.\nContact.\nLog in.\nAll of this and more is what we have for you here."
    shout = "everyone can order this product from our " * 12
    good = run(gate_quality, dataset(run, texts("it is a fine day", menu, shout)), config=QualityConfig())
    assert [rejection.rule for _, rejection in read_rejected(good)] == ["short_lines", "repeated_phrase"]


def test_the_rules_do_not_read_what_is_planted(run: Run, tmp_path: Path) -> None:
    honest = texts("the weather is fine today in london", "x9Kq z8Rt p0Lm aQ3w", "Le train est en retard ce matin")
    marked = [replace(record, planted="random" if not record.planted else "") for record in honest]
    kept = [
        [record.id for record in read_kept(run(gate_quality, dataset(run, rows), config=QualityConfig()))]
        for rows in (honest, marked)
    ]
    assert kept == [["t:0000"], ["t:0000"]]


def test_chinese_passes_and_other_languages_go_with_their_score(run: Run, tmp_path: Path) -> None:
    french = "Le président a parlé hier soir de la guerre et du climat."
    records = texts(*CHINESE, french, "東京の天気は晴れです。")
    good = run(gate_quality, dataset(run, records), config=QualityConfig())
    assert [record.text for record in read_kept(good)] == list(CHINESE)
    assert [rejection.rule for _, rejection in read_rejected(good)] == ["language"] * 2
    for _, rejection in read_rejected(good):
        assert rejection.value is not None
        assert rejection.value < 0.1 == rejection.threshold
    other = run(gate_quality, dataset(run, records), config=QualityConfig(languages=("fr",)))
    assert [record.text for record in read_kept(other)] == [french]


def test_stop_words_are_not_asked_of_a_language_whose_words_are_not_known(run: Run) -> None:
    turkish = (
        "Dün akşam şehir merkezinde açılan yeni kütüphane büyük ilgi gördü. Öğrenciler sabah erken saatlerde kapının "
        "önünde sıraya girdi, çünkü sınav haftası yaklaşıyor ve evde çalışacak sessiz yer bulmak çok zor. Müdür, "
        "binanın hafta sonları gece yarısına kadar açık kalacağını söyledi. Mahalle sakinleri ise çocukları için "
        "ayrılan bölümü, renkli rafları, geniş pencereleri ve bahçeye bakan okuma salonunu özellikle beğendi."
    )
    good = run(gate_quality, dataset(run, texts(turkish)), config=QualityConfig(("tr",)))
    assert len(read_kept(good)) == 1


def test_a_record_is_set_aside_by_the_first_rule_it_breaks(run: Run, tmp_path: Path) -> None:
    both = "Xq9 #@! 7zT %^& *() кот"
    good = run(gate_quality, dataset(run, texts("it is a fine day", both)), config=QualityConfig())
    ((record, rejection),) = read_rejected(good)
    assert record.text == both
    assert rejection.rule == "language"
    loose = QualityConfig(min_language_score=0.0)
    ((_, rejection),) = read_rejected(run(gate_quality, dataset(run, texts("a fine day", both)), config=loose))
    assert rejection.rule == "few_letters"


def test_a_small_set_is_warned_of(run: Run, tmp_path: Path, events: list[Event]) -> None:
    run(gate_quality, dataset(run, texts("it is a fine day", *CHINESE)), config=QualityConfig())
    told = [event.message for event in events if isinstance(event, Warned)]
    assert len(told) == 2
    assert any(message.startswith("12 Chinese records are too few") for message in told)


def test_losing_everything_stops(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="all 1 records were dropped, 1 of them by language"):
        run(gate_quality, dataset(run, texts("новости дня из Москвы")), config=QualityConfig())


def test_an_unknown_language_is_refused_with_those_near_it() -> None:
    with pytest.raises(RecipeError, match=r"languages has 'zh-CN'; give codes .* Near it: .*zh"):
        QualityConfig(languages=("en", "zh-CN"))
    with pytest.raises(RecipeError, match="languages is empty"):
        QualityConfig(languages=())
    with pytest.raises(RecipeError, match="min_language_score is 2"):
        QualityConfig(min_language_score=2)


def test_yaml_fills_every_group_of_rules() -> None:
    values = {
        "languages": ["de"],
        "gibberish": {"min_records": 9},
        "gopher": {"min_words": 80, "max_phrase_fracs": [0.3, 0.3, 0.3]},
        "fineweb": {"max_short_line_frac": 1.0},
    }
    assert fill(QualityConfig, values) == QualityConfig(
        ("de",),
        0.1,
        Gibberish(min_records=9),
        Gopher(80, max_phrase_fracs=(0.3, 0.3, 0.3)),
        FineWeb(max_short_line_frac=1.0),
    )


def test_every_rule_has_one_name() -> None:
    assert max(Counter(RULES).values()) == 1
