"""Media: images and recordings with their captions; broken ones set aside; files kept under their digests."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from collecting import gather
from PIL import Image

from burnish.data.readers.columns import FILE_RULES
from burnish.data.sources import Media
from burnish.errors import RecipeError

soundfile = pytest.importorskip("soundfile")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for name, size, color in (("a.png", (8, 6), "red"), ("sub/b.jpg", (40, 30), "blue"), ("c.webp", (5, 5), "green")):
        Image.new("RGB", size, color).save(folder / name)
    (folder / "again.png").write_bytes((folder / "a.png").read_bytes())
    whole = (folder / "sub/b.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "not.png").write_text("no image")
    (folder / "notes.txt").write_text("not asked for")
    Image.new("1", (10_000, 9_000)).save(folder / "vast.png")
    return folder


def sidecar(folder: Path, name: str, rows: list[dict[str, object]]) -> Path:
    path = folder.parent / name
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        keys = list(rows[0])
        lines = [",".join(keys), *(",".join(str(row.get(key, "")) for key in keys) for row in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["about.jsonl", "about.csv"])
def test_captions_facts_and_files(images: Path, tmp_path: Path, name: str) -> None:
    rows: list[dict[str, object]] = [
        {"file_name": "sub/b.jpg", "text": "蓝色的图片", "kind": "blue", "by": "li"},
        {"file_name": "a.png", "text": "A red picture", "kind": "red", "by": "wu"},
        {"file_name": "again.png", "text": "The same one", "kind": "red", "by": "wu"},
        {"file_name": "cut.jpg", "text": "half", "kind": "blue", "by": ""},
        {"file_name": "not.png", "text": "none", "kind": "x", "by": ""},
        {"file_name": "vast.png", "text": "too many pixels", "kind": "x", "by": ""},
        {"file_name": "gone.png", "text": "none", "kind": "x", "by": ""},
        {"file_name": "../about.csv", "text": "outside", "kind": "x", "by": ""},
        {"file_name": "a.png", "text": "named again", "kind": "x", "by": ""},
    ]
    source = Media(images, metadata=sidecar(images, name, rows), label_key="kind", meta_keys=("by",))
    done = gather(tmp_path / "work", source)
    assert [(record.id, record.text, record.label) for record in done.kept] == [
        ("media:sub/b.jpg:0", "蓝色的图片", "blue"),
        ("media:a.png:0", "A red picture", "red"),
        ("media:again.png:0", "The same one", "red"),
    ]
    blue, red, same = (json.loads(record.meta or "") for record in done.kept)
    digest = sha256((images / "a.png").read_bytes()).hexdigest()
    assert red == {"by": "wu", "file": "a.png", "format": "png", "width": 8, "height": 6, "sha256": digest}
    assert (blue["width"], blue["height"], blue["format"]) == (40, 30, "jpeg")
    assert same["sha256"] == digest
    kept_files = {path.name: path.read_bytes() for path in (done.payload / "media").iterdir()}
    assert kept_files == {
        f"{digest}.png": (images / "a.png").read_bytes(),
        f"{blue['sha256']}.jpg": (images / "sub/b.jpg").read_bytes(),
    }
    assert dict(done.rules) == {
        "media:cut.jpg": "broken_file",
        "media:not.png": "broken_file",
        "media:vast.png": "oversized_media",
        "media:gone.png": "missing_file",
        "media:../about.csv": "missing_file",
        "media:a.png": "duplicate_id",
        "media:c.webp:0": "missing_text",
    }
    assert set(dict(done.rules).values()) <= set(FILE_RULES)
    assert done.reasons["media:vast.png"].value == 90_000_000


def test_without_metadata_labels_come_from_folders(images: Path, tmp_path: Path) -> None:
    (images / "vast.png").unlink()
    done = gather(tmp_path / "work", Media(images, label_from="folder", allow_empty=True))
    assert [(record.id, record.text, record.label) for record in done.kept] == [
        ("media:a.png:0", "", "images"),
        ("media:again.png:0", "", "images"),
        ("media:c.webp:0", "", "images"),
        ("media:sub/b.jpg:0", "", "sub"),
    ]
    with pytest.raises(RecipeError, match="no file has a text; name it, or set allow_empty"):
        Media(images)


def test_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "audio"
    folder.mkdir()
    tone = np.sin(np.arange(16_000) / 10).astype(np.float32)
    for name in ("a.wav", "b.flac", "c.ogg"):
        soundfile.write(folder / name, tone, 16_000)
    soundfile.write(folder / "d.wav", np.stack([tone, tone], 1)[:4000], 8000)
    for name, whole in (("cut.wav", "a.wav"), ("cut.flac", "b.flac")):
        data = (folder / whole).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
    (folder / "none.wav").write_text("no sound")
    soundfile.write(folder / "silent.wav", tone[:0], 16_000)
    names = sorted(path.name for path in folder.iterdir())
    rows: list[dict[str, object]] = [{"file": name, "transcript": f"今天天气很好 {name}"} for name in names]
    source = Media(
        folder, media="audio", metadata=sidecar(folder, "said.jsonl", rows), file_key="file", text_key="transcript"
    )
    done = gather(tmp_path / "work", source)
    facts = {record.id: json.loads(record.meta or "") for record in done.kept}
    shown = {
        key: (fact["seconds"], fact["sample_rate"], fact["channels"], fact["format"]) for key, fact in facts.items()
    }
    assert shown == {
        "media:a.wav:0": (1.0, 16_000, 1, "wav"),
        "media:b.flac:0": (1.0, 16_000, 1, "flac"),
        "media:c.ogg:0": (1.0, 16_000, 1, "ogg"),
        "media:d.wav:0": (0.5, 8000, 2, "wav"),
    }
    assert done.kept[0].text == "今天天气很好 a.wav"
    assert set(done.rules) == {
        (f"media:{name}", "broken_file") for name in ("cut.flac", "cut.wav", "none.wav", "silent.wav")
    }
    assert len(list((done.payload / "media").iterdir())) == 4


def test_metadata_that_cannot_be_used_is_an_error_of_the_recipe(images: Path, tmp_path: Path) -> None:
    path = sidecar(images, "about.csv", [{"picture": "a.png", "text": "x"}])
    with pytest.raises(RecipeError, match=r"about\.csv has no column 'file_name'; set file_key"):
        gather(tmp_path / "work", Media(images, metadata=path))
    with pytest.raises(RecipeError, match=r"about\.csv has no column 'caption'; its columns are: picture, text"):
        gather(tmp_path / "work", Media(images, metadata=path, text_key="caption"))
    with pytest.raises(RecipeError, match=r"gone\.csv cannot be read"):
        gather(tmp_path / "work", Media(images, metadata=tmp_path / "gone.csv"))
    with pytest.raises(RecipeError, match="suffix must be one of"):
        Media(images, metadata=tmp_path / "about.xlsx")
