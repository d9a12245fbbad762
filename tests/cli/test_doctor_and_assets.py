from pathlib import Path

import pytest

from burnish.cli import doctor
from burnish.cli.main import burnish, exit_code
from burnish.runtime.assets import ASSETS, CACHE_VARIABLE
from burnish.runtime.extras import EXTRAS


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def type_command(*arguments: object) -> int:
    typed = [str(argument) for argument in arguments]
    return exit_code(lambda: burnish.main(typed, prog_name="burnish", standalone_mode=False))


def test_doctor_tells_machine_software_places_and_extras(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command("doctor", "--store", tmp_path / "a" / "store") == 0
    shown = capsys.readouterr().out
    for word in ("processor", "memory", "GPU", "Python", "not made yet", "free", "0 of 3 in", "burnish assets all"):
        assert word in shown
    for extra in EXTRAS:
        assert extra in shown
    assert not (tmp_path / "a").exists()  # looking makes nothing


def test_doctor_works_with_no_extra_installed_and_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("burnish.runtime.extras.installed_version", lambda _name: None)
    assert type_command("doctor") == 0
    shown = capsys.readouterr().out
    for extra, distributions in EXTRAS.items():
        assert f"pip install 'burnish[{extra}]' (missing: {', '.join(distributions)})" in shown
    assert "complete" not in shown


def test_every_extra_says_what_it_adds() -> None:
    assert doctor.ADDS.keys() == EXTRAS.keys()


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (["avx2"], ["fp32 trains faster", "INT8 saves memory more than time", "no AVX-512"]),
        (["avx2", "avx512f", "avx512_vnni"], ["fp32 trains faster", "INT8 models run fast", "AVX-512"]),
        (["avx512f", "amx_bf16", "amx_int8"], ["bf16 in hardware", "INT8 models run fast", "AVX-512"]),
        (["asimd", "i8mm", "bf16"], ["bf16 in hardware", "INT8 models run fast"]),
    ],
)
def test_notes_on_processors(features: list[str], words: list[str]) -> None:
    notes = doctor.processor_notes(features)
    assert len(notes) == len(words)
    for note, word in zip(notes, words, strict=True):
        assert word in note
    assert ("no AVX-512" in notes) == ("no AVX-512" in words)


def test_assets_are_listed_with_licence_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command("assets") == 0
    shown = capsys.readouterr().out
    for asset in ASSETS.values():
        assert asset.name in shown
        assert asset.licence in shown
    assert f"cache: {tmp_path / 'cache'}" in shown


def test_an_asset_that_is_not_known_is_a_wrong_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command("assets", "sarcasm") == 2
    assert "asset 'sarcasm' is not known; there are: " in capsys.readouterr().err


def test_an_asset_that_cannot_be_downloaded_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert type_command("assets", "sarcasm-headlines") == 1
    shown = capsys.readouterr()
    assert "downloading evals==3.0.1.post1 (46 MB)" in shown.out
    assert "pip could not download it" in shown.err
