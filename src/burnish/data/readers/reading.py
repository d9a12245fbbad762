"""Reading: open each kind of source, at the place where an earlier run stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from burnish.data.readers.api import Api, read_api
from burnish.data.readers.batches import Batch, Place, batches_of
from burnish.data.readers.columns import Columns
from burnish.data.readers.crawl import Crawl, read_crawl
from burnish.data.readers.file_rows import FileOptions
from burnish.data.readers.files import FileReading, read_files
from burnish.data.readers.media import Media, read_media
from burnish.data.readers.packaged import read_general, read_headlines, read_random
from burnish.data.readers.parts import Parts
from burnish.data.readers.planting import planted_copies
from burnish.data.readers.rows import UnusableFile
from burnish.data.sources import (
    Asset,
    Files,
    GeneralText,
    LocalFile,
    PlantedCopies,
    RandomText,
    SarcasmHeadlines,
    Source,
)
from burnish.errors import RecipeError
from burnish.runtime import Workdir
from burnish.runtime.assets import fetch


@dataclass(frozen=True)
class Reading:
    """Open sources.

    Attributes:
        seed: draws samples and planted copies.
        folder: for what a source keeps between runs.
        parts: what was collected so far.
    """

    out: Workdir
    seed: int
    folder: Path
    parts: Parts

    def size(self, source: Source) -> int:
        """Measure the files of a source; 0 where it has none of its own."""
        match source:
            case SarcasmHeadlines():
                return fetch("sarcasm-headlines", say=self.out.warn).stat().st_size
            case RandomText() | GeneralText():
                return fetch("text-compression", say=self.out.warn).stat().st_size
            case LocalFile() | Files() | Asset():
                return self._files(source, "").total_bytes()
            case Media():
                return sum(found.num_bytes for found in source.files())
            case Api() | Crawl() | PlantedCopies():
                return 0
            case _:
                assert_never(source)

    def batches(self, index: int, name: str, source: Source) -> Iterator[Batch]:
        """Read what an earlier run has not read."""
        done = self.parts.position
        if index < done.source:
            return iter(())
        place = done.place if index == done.source else Place()
        match source:
            case SarcasmHeadlines():
                return batches_of(read_headlines(source, name, self.seed, self.out.warn), place, self.size(source))
            case RandomText():
                return batches_of(read_random(name, self.out.warn), place, self.size(source))
            case GeneralText():
                return batches_of(read_general(source, name, self.seed, self.out.warn), place, self.size(source))
            case LocalFile() | Files() | Asset():
                return _strictly(source, read_files(self._files(source, name), place))
            case Media():
                return read_media(source, name, self.folder / "media", place)
            case Api() | Crawl():
                return self._web(source, name, place)
            case PlantedCopies():
                self.parts.finish()
                return batches_of(planted_copies(self.parts, source, self.seed), place, 0)
            case _:
                assert_never(source)

    def _files(self, source: LocalFile | Files | Asset, name: str) -> FileReading:
        if isinstance(source, LocalFile):
            if source.path.is_dir():
                raise RecipeError(f"{source.path} is a folder; take it with kind: files")
            columns = Columns(text_key=source.text_key, label_key=source.label_key)
            return FileReading(source.path, name, FileOptions(columns, "paragraph", is_strict=True))
        root = source.path if isinstance(source, Files) else fetch(source.name, say=self.out.warn)
        options = FileOptions(source, source.split)
        return FileReading(root, name, options, source.pattern, source.label_from, source.limits)

    def _web(self, source: Api | Crawl, name: str, place: Place) -> Iterator[Batch]:
        spool = self.folder / name
        with self.out.progress(f"fetch {name}", total=source.max_pages, unit="pages") as bar:
            if isinstance(source, Api):
                yield from read_api(source, name, spool, place, bar.advance)
            else:
                yield from read_crawl(source, name, spool, place, bar.advance)


def _strictly(source: LocalFile | Files | Asset, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Hand batches on; a lone file that cannot be used is an error of the recipe."""
    try:
        yield from batches
    except UnusableFile as error:
        name = source.name if isinstance(source, Asset) else source.path.name
        raise RecipeError(f"{name} {error}") from error
