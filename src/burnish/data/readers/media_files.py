"""Media files: what an image or a recording is, found by decoding all of it, so that a broken one shows."""

import re
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

from burnish.data.readers.rows import UnusableFile
from burnish.data.records import Rejection
from burnish.runtime import need

# Pillow's own bound, beyond which it warns of a decompression bomb: a quarter of a gigabyte of 24-bit pixels.
_MAX_PIXELS = 89_478_485
_BLOCK_FRAMES = 1 << 16


def image_facts(path: Path) -> dict[str, Any]:
    """Decode an image and give its format, width and height.

    Raises:
        UnusableFile: it is broken, or larger than Pillow takes for safe.
        OSError: it cannot be opened.
    """
    image = need("PIL.Image", extra="data")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", image.DecompressionBombWarning)
            with image.open(path) as picture:
                picture.load()
                return {"format": str(picture.format).lower(), "width": picture.width, "height": picture.height}
    except (image.DecompressionBombWarning, image.DecompressionBombError) as error:
        found = re.search(r"\d+", str(error))
        pixels = float(found.group()) if found else None
        raise UnusableFile(Rejection("oversized_media", pixels, float(_MAX_PIXELS)), str(error)) from error
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, EOFError, struct.error, zlib.error) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise UnusableFile(Rejection("broken_file"), str(error)) from error


def audio_facts(path: Path) -> dict[str, Any]:
    """Decode a recording and give its format, seconds, sample rate and channels.

    Raises:
        UnusableFile: it is broken, or ends early.
        OSError: it cannot be opened.
    """
    soundfile = need("soundfile", extra="data")
    num_frames = 0
    with path.open("rb") as file:
        _refuse_short_riff(file.read(8), path.stat().st_size)
    try:
        with soundfile.SoundFile(path) as recording:
            while block := len(recording.read(_BLOCK_FRAMES, dtype="int16")):
                num_frames += block
            rate, channels, kind = recording.samplerate, recording.channels, recording.format
            declared = recording.frames
    except (soundfile.SoundFileError, ValueError) as error:
        raise UnusableFile(Rejection("broken_file"), str(error)) from error
    if num_frames == 0 or num_frames < declared:
        raise UnusableFile(
            Rejection("broken_file"), f"it holds {num_frames} samples of the {declared} that it declares"
        )
    return {"format": kind.lower(), "seconds": round(num_frames / rate, 6), "sample_rate": rate, "channels": channels}


def _refuse_short_riff(head: bytes, size: int) -> None:
    """Compare the length that a WAV declares with the file's, which libsndfile does not; 0 and -1 stand for "unknown"."""
    if len(head) == 8 and head[:4] == b"RIFF":
        declared = int.from_bytes(head[4:], "little")
        if declared not in (0, 0xFFFFFFFF) and declared + 8 > size + 1:  # a last odd byte may lack its padding
            raise UnusableFile(Rejection("broken_file"), f"it has {size} bytes of the {declared + 8} that it declares")
