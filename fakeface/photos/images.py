"""Decode a file, JPEG, PNG, WEBP, BMP or TIFF, whatever its name ends in, to an upright 8-bit RGB image.

Transparent pixels are shown on white, 16-bit values keep their upper byte, colour profiles are not applied.
"""

import hashlib
import io
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from fakeface.core.errors import FakefaceError
from fakeface.core.files import MAX_PHOTO_BYTES
from fakeface.photos.metadata import strip_metadata

Pixels = npt.NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
MAX_SIDE_PX = 65_500
"""The longest that a JPEG can have (libjpeg's JPEG_MAX_DIMENSION): `infer` tries what compression does to each test image."""
DRAFT_PX = 64

_SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"RIFF": "WEBP", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to undo each EXIF orientation (CIPA DC-008, tag 0x0112); 1 is upright."""


class ImageError(FakefaceError):
    """A file cannot be used as an image; `reason` is the message without the file's name."""

    def __init__(self, where: Path | str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class ImageFacts:
    """Width and height of the upright image in pixels, and the sum of a JPEG's luma quantisation table."""

    width: int
    height: int
    luma_quantisation_sum: int | None


def read_image(path: Path) -> Image.Image:
    """The image in a file, upright RGB.

    Raises:
        ImageError: the file cannot be read, or holds no image that can be used.
    """
    return decode_image(read_image_bytes(path), path)


def read_indexed(path: Path, sha256: str) -> Image.Image:
    """The image in a file, upright RGB. Raises ImageError, also where the file has changed since it was indexed."""
    return decode_image(read_unchanged(path, sha256), path)


def read_unchanged(path: Path, sha256: str) -> bytes:
    """All bytes of a file. Raises ImageError, also where they do not have this SHA-256 (hexadecimal)."""
    data = read_image_bytes(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ImageError(path, "changed since it was indexed: `dvc repro` indexes it again")
    return data


def read_image_bytes(path: Path) -> bytes:
    """All bytes of a file that may hold an image. Raises ImageError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(path, "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
        if status.st_size > MAX_PHOTO_BYTES:
            raise ImageError(path, f"{status.st_size:,} bytes: more than {MAX_PHOTO_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        broken_link = isinstance(error, FileNotFoundError) and path.is_symlink()
        raise ImageError(path, "a link to nothing" if broken_link else error.strerror or str(error)) from None


def decode_image(data: bytes, where: Path | str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image that `data` encodes, upright RGB. Raises ImageError, which names `where`."""
    return _decode(data, where, max_pixels, draft=False)[0]


def image_facts(data: bytes, where: Path | str) -> ImageFacts:
    """Facts from the header, once all of `data` has been decoded, a JPEG at reduced size. Raises ImageError."""
    return _decode(data, where, MAX_PIXELS, draft=True)[1]


def fit(image: Image.Image, px: int) -> Pixels:
    """The centre square of an RGB image as (px, px, 3): its shorter side resized to px with an antialiasing bilinear filter."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    square = image.resize((px, px), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.asarray(square)


def _decode(data: bytes, where: Path | str, max_pixels: int, *, draft: bool) -> tuple[Image.Image, ImageFacts]:
    if not data:
        raise ImageError(where, "empty file")
    _silence_pillow()
    try:
        return _decode_as_it_is(data, where, max_pixels, draft=draft)
    except ImageError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises errors of almost any type on damaged files
        reason = _describe_damage(data, error)
    try:  # what Pillow cannot read may be a colour profile that is too long for it, say, and no pixel
        return _decode_as_it_is(strip_metadata(data), where, max_pixels, draft=draft)
    except ImageError:
        raise
    except Exception:  # noqa: BLE001 - as above
        raise ImageError(where, reason) from None


def _decode_as_it_is(data: bytes, where: Path | str, max_pixels: int, *, draft: bool) -> tuple[Image.Image, ImageFacts]:
    """Raises ImageError where the image cannot be used, and almost any other error where it is damaged."""
    image: Image.Image = _open(data, where, max_pixels)
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    size = image.size
    if draft:
        image.draft(image.mode, (DRAFT_PX, DRAFT_PX))
    image.load()
    orientation = _orientation(image)
    image = _to_rgb(image, where)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    width, height = size[::-1] if orientation in range(5, 9) else size
    return image, ImageFacts(width, height, sum(tables[0]) if 0 in tables else None)


def _open(data: bytes, where: Path | str, max_pixels: int) -> Image.Image:
    """The image with its header read and its pixels not yet decoded."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageError(where, f"more than {MAX_PIXELS:,} pixels") from None
    size = f"{image.width:,} x {image.height:,} pixels"
    if image.width * image.height > max_pixels:
        raise ImageError(where, f"{size}: more than {max_pixels:,}")
    if max(image.size) > MAX_SIDE_PX:
        raise ImageError(where, f"{size}: a side longer than {MAX_SIDE_PX:,}")
    frames = getattr(image, "n_frames", 1)
    # A camera's MPO is a JPEG photo with its own preview behind it; the photo comes first.
    if frames > 1 and image.format != "MPO":
        raise ImageError(where, f"{frames} frames: expected a still image")
    return image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, where none can be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - as above, and the pixels may be sound all the same
        return 1


def _to_rgb(image: Image.Image, where: Path | str) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ImageError(where, "32 bits a pixel of unknown range: expected 8 or 16")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _describe_damage(data: bytes, error: Exception) -> str:
    """What is wrong with bytes that Pillow cannot decode, in one line without the file's name."""
    kind = next((kind for signature, kind in _SIGNATURES.items() if data.startswith(signature)), None)
    if kind is None:
        return "not a JPEG, PNG, WEBP, BMP or TIFF image"
    if isinstance(error, UnidentifiedImageError):
        return f"damaged or truncated {kind} ({len(data):,} bytes): its header cannot be read"
    if "truncated" in str(error).lower():
        return f"truncated {kind} (only {len(data):,} bytes are there)"
    return f"damaged {kind} ({len(data):,} bytes): {' '.join(str(error).split()) or type(error).__name__}"


def _silence_pillow() -> None:
    """Ignore Pillow's warnings, for good: what matters in them is raised here as an ImageError.

    `warnings.catch_warnings` is not safe where threads decode at once.
    """
    if not any(rule[0] == "ignore" and getattr(rule[3], "pattern", None) == r"PIL\." for rule in warnings.filters):
        warnings.filterwarnings("ignore", module=r"PIL\.")
