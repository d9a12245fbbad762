"""Media: a folder of images or audio, each a record whose text is its caption or transcript.

The file itself goes to `payload/media/<sha256>.<suffix>`, once for equal files; `meta` names it and says what it is.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from burnish.artifacts.digest import file_digest
from burnish.data.readers.batches import Batch, Place, Tray
from burnish.data.readers.columns import Columns, Origin, Row, file_aside, meta_of, to_record
from burnish.data.readers.media_files import audio_facts, image_facts
from burnish.data.readers.rows import UnusableFile, csv_rows, json_lines, with_columns
from burnish.data.readers.seen import SeenIds
from burnish.data.readers.streams import open_stream
from burnish.data.readers.walk import Found, walk
from burnish.data.records import Record, Rejected, Rejection
from burnish.errors import RecipeError

_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")


@dataclass(frozen=True)
class Media(Columns):
    """Take a folder of images or of audio, with what a sidecar file says of them.

    Without metadata the files come in the order of their names; with it, in its order, and a file that it does not
    name has no text.

    Attributes:
        path: the folder; its content, not its name, enters the lineage.
        media: which files to take; others are passed over.
        metadata: a .csv, .tsv or .jsonl with a row a file, as Hugging Face's `imagefolder` and `audiofolder` have.
        file_key: its column that names the file, by its path below the folder.
        text_key: its column with the caption or transcript.
        label_from: where the label comes from: the column `label_key`, or the name of the file's folder.
        allow_empty: keep a file without text; else it is set aside.
    """

    path: Path
    media: Literal["images", "audio"] = "images"
    metadata: Path | None = None
    file_key: str = "file_name"
    label_from: Literal["row", "folder"] = "row"
    allow_empty: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metadata is None and not self.allow_empty:
            raise RecipeError("metadata is not given, so no file has a text; name it, or set allow_empty to true")
        if self.metadata is not None and self.metadata.suffix.lower() not in (".csv", ".tsv", ".jsonl"):
            raise RecipeError(f"metadata is {self.metadata}; its suffix must be one of: .csv, .tsv, .jsonl")
        if self.label_from == "folder" and self.label_key is not None:
            raise RecipeError(f"label_from is folder and label_key is {self.label_key!r}; leave one out")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """List the suffixes of the files to take."""
        return _IMAGES if self.media == "images" else _AUDIO

    def files(self) -> Iterator[Found]:
        """Find the files to take, and places that cannot be read."""
        for found in walk(self.path, "**/*"):
            if found.fault is not None or Path(found.name).suffix.lower() in self.suffixes:
                yield found


def read_media(source: Media, name: str, folder: Path, place: Place) -> Iterator[Batch]:
    """Read the files of a folder, from `place` on, and copy each that is kept into `folder`.

    Raises:
        RecipeError: there is no such folder, or its metadata cannot be used.
    """
    tray = Tray()
    row = place.row
    for row, (found, values) in enumerate(_entries(source), start=1):
        if row <= place.row:
            continue
        origin = Origin(name, f"{name}:{found.name}", _folder_label(source, found))
        tray.put(_record(source, origin, found, values, folder), origin.prefix)
        tray.read_bytes += found.num_bytes
        if tray.is_full:
            yield tray.empty(Place(0, row))
    yield tray.empty(Place(0, row))


def _entries(source: Media) -> Iterator[tuple[Found, dict[str, object]]]:
    """Give files with what is known of them: the metadata's rows first, in its order, then the files without one."""
    named = SeenIds()
    root = source.path
    if source.metadata is not None:
        for row in _metadata(source, source.metadata):
            file = (row.values or {}).get(source.file_key)
            if row.fault is not None or not isinstance(file, str) or not file:
                fault = row.fault or Rejection("malformed_row")
                yield Found(root, f"metadata row {row.number}", fault=(fault, f"names no file: {row.raw[:200]}")), {}
                continue
            name = Path(file).as_posix()
            is_repeated = named.are_repeated([name])[0]
            yield _named(root, name, is_repeated=is_repeated), dict(row.values or {})
    for found in source.files():
        if not named.holds(found.name):
            yield found, {}


def _metadata(source: Media, path: Path) -> Iterator[Row]:
    columns = source if not source.allow_empty else replace(source, text_key=source.file_key)
    try:
        with open_stream(path) as stream:
            kind = path.suffix.lower()
            if kind == ".jsonl":
                rows = json_lines(stream, source)
            else:
                rows = csv_rows(stream, source, "," if kind == ".csv" else "\t")
            for number, row in enumerate(with_columns(rows, columns)):
                if number == 0 and row.values is not None and source.file_key not in row.values:
                    raise RecipeError(f"metadata {path.name} has no column {source.file_key!r}; set file_key")
                yield row
    except OSError as error:
        raise RecipeError(f"metadata {path} cannot be read ({error.strerror}); give a file that can") from error
    except UnusableFile as error:
        raise RecipeError(f"metadata {path.name} {error}") from error


def _named(root: Path, name: str, *, is_repeated: bool) -> Found:
    """Find the file that a row names; it must lie below the folder."""
    path = root / name
    if is_repeated:
        return Found(path, name, fault=(Rejection("duplicate_id", partner_id=name), "an earlier row names this file"))
    if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
        return Found(path, name, fault=(Rejection("missing_file"), "there is no such file below the folder"))
    return Found(path, name, path.stat().st_size)


def _folder_label(source: Media, found: Found) -> str | None:
    if source.label_from == "row":
        return None
    return Path(found.name).parent.name or source.path.name or None


def _record(source: Media, origin: Origin, found: Found, values: dict[str, object], folder: Path) -> Record | Rejected:
    if found.fault is not None:
        return file_aside(origin, *found.fault)
    try:
        facts = image_facts(found.path) if source.media == "images" else audio_facts(found.path)
        sha256 = file_digest(found.path)
        result = _described(source, origin, values, {"file": found.name, **facts, "sha256": sha256})
        if isinstance(result, Record):
            _keep(found.path, folder / f"{sha256}{found.path.suffix.lower()}")
    except UnusableFile as error:
        return file_aside(origin, error.rejection, str(error))
    except PermissionError as error:
        return file_aside(origin, Rejection("unreadable_file"), str(error.strerror))
    return result


def _described(source: Media, origin: Origin, values: dict[str, object], facts: dict[str, Any]) -> Record | Rejected:
    result = to_record(Row(0, values), source, origin)
    if not isinstance(result, Record):
        record, rejection = result
        if rejection.rule != "missing_text" or not source.allow_empty:
            return result
        if source.label_key is not None and record.label is None:
            return record, Rejection("missing_label")
        result = replace(record, text="", meta=meta_of(values, source))
    told = json.loads(result.meta or "{}")
    told.pop(source.file_key, None)
    return replace(result, meta=json.dumps({**told, **facts}, ensure_ascii=False, separators=(",", ":")))


def _keep(path: Path, target: Path) -> None:
    """Copy a file to its place by one rename; equal files share it."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}")
    shutil.copyfile(path, partial)
    partial.rename(target)
