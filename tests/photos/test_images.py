import io
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fakeface.faces.finder import find_faces
from fakeface.photos.images import ImageError, ImageFacts, decode_image, fit, image_facts, read_image
from fakeface.photos.perturbations import PERTURBATIONS
from fakeface.relations.features import detect_features
from tests.conftest import photo

GREY16 = np.linspace(0, 65535, 48 * 40).astype(np.uint16).reshape(48, 40)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, bit_depth: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG written by hand (its specification, section 11): Pillow writes neither 16-bit colours nor false sizes."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def png16(values: npt.NDArray[np.uint16], colour_type: int) -> bytes:
    """A 16-bit PNG of (height, width, channels); every row begins with its filter, none."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(values.shape[1], values.shape[0], 16, colour_type, rows)


def rgb(data: bytes) -> npt.NDArray[np.uint8]:
    image = decode_image(data, "x")
    assert image.mode == "RGB"
    return np.asarray(image)


def difference(left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]) -> int:
    assert left.shape == right.shape
    return int(np.abs(left.astype(int) - right).max())


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_pixels_stay(kind: str) -> None:
    assert difference(rgb(encoded(photo(1), kind)), np.asarray(photo(1))) == 0


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "MPO"])
def test_lossy_pixels_stay_near(kind: str) -> None:
    assert difference(rgb(encoded(photo(1), kind, quality=95)), np.asarray(photo(1))) < 40


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
def test_grey_has_three_equal_channels(kind: str) -> None:
    pixels = rgb(encoded(photo(1).convert("L"), kind))
    assert (pixels == pixels[..., :1]).all()
    assert difference(pixels[..., 0], np.asarray(photo(1).convert("L"))) < 12


def test_cmyk_has_the_colours_of_the_photo() -> None:
    colours = Image.new("RGB", (32, 32), (200, 40, 90))
    assert difference(rgb(encoded(colours.convert("CMYK"), "JPEG", quality=95)), np.asarray(colours)) < 8


def test_palette_becomes_its_colours() -> None:
    palette = photo(1).quantize(64)
    assert difference(rgb(encoded(palette, "PNG")), np.asarray(palette.convert("RGB"))) == 0


def test_one_bit_becomes_black_and_white() -> None:
    assert set(rgb(encoded(photo(1).convert("1"), "PNG")).ravel().tolist()) == {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparent_pixels_are_shown_on_white(kind: str) -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)])
    options = {"lossless": True} if kind == "WEBP" else {}
    assert rgb(encoded(image, kind, **options))[0].tolist() == [[255, 0, 0], [255, 255, 255], [127, 127, 127]]


def test_a_transparent_palette_entry_is_shown_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    for transparency in (1, bytes([255, 0])):
        assert rgb(encoded(image, "PNG", transparency=transparency))[0].tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize("data", [png16(GREY16[..., None], 0), encoded(Image.fromarray(GREY16), "TIFF")])
def test_16_bit_grey_is_scaled_not_clipped(data: bytes) -> None:
    assert difference(rgb(data), np.repeat((GREY16 // 256).astype(np.uint8)[..., None], 3, axis=2)) == 0


def test_16_bit_colours_are_scaled_not_clipped() -> None:
    colours = np.stack([GREY16, GREY16[::-1], GREY16 // 2], axis=2)
    assert difference(rgb(png16(colours, 2)), (colours // 256).astype(np.uint8)) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(1, 48, 32), kind, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    assert difference(rgb(data), np.asarray(upright)) == 0
    facts = image_facts(data, "x")
    assert (facts.width, facts.height) == upright.size == ((32, 48) if orientation >= 5 else (48, 32))


def test_exif_that_cannot_be_read_is_no_harm() -> None:
    data = encoded(photo(1), "WEBP", exif=b"Exif\0\0nonsense")
    assert rgb(data).shape == (48, 48, 3)


def test_a_cameras_preview_behind_the_photo_is_no_animation() -> None:
    data = encoded(photo(1), "MPO", save_all=True, append_images=[photo(2, 16, 16)])
    assert rgb(data).shape == (48, 48, 3)
    assert image_facts(data, "x").luma_quantisation_sum is not None


def two_frames(kind: str) -> bytes:
    return encoded(photo(1), kind, save_all=True, append_images=[photo(2)])


JPEG = encoded(photo(1, 600, 600), "JPEG", quality=90)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"a diary\n", "not a JPEG, PNG, WEBP, BMP or TIFF image"),
        (encoded(photo(1), "GIF"), "not a JPEG, PNG, WEBP, BMP or TIFF image"),
        (JPEG[:4096], "truncated JPEG (only 4,096 bytes are there)"),
        (JPEG[:100], "truncated JPEG (only 100 bytes are there)"),
        (encoded(photo(1), "BMP")[:2000], "truncated BMP (only 2,000 bytes are there)"),
        (encoded(photo(1), "PNG")[:1000], "truncated PNG (only 1,000 bytes are there)"),
        (two_frames("PNG"), "2 frames: expected a still image"),
        (two_frames("WEBP"), "2 frames: expected a still image"),
        (two_frames("TIFF"), "2 frames: expected a still image"),
        (png(10_001, 10_000, 1, 0, b""), "10,001 x 10,000 pixels: more than 100,000,000"),
        (png(60_000, 60_000, 8, 2, b""), "more than 100,000,000 pixels"),
        (encoded(Image.new("F", (8, 8)), "TIFF"), "32 bits a pixel of unknown range: expected 8 or 16"),
        (b"BM" + bytes(60), "damaged BMP (62 bytes): Unsupported BMP header type (0)"),
        (b"RIFF" + bytes(60), "damaged or truncated WEBP (64 bytes): its header cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_used_has_a_reason(data: bytes, reason: str) -> None:
    for judge in (decode_image, image_facts):
        with pytest.raises(ImageError) as caught:
            judge(data, "faces/x.jpg")
        assert caught.value.reason == reason
        assert str(caught.value) == f"faces/x.jpg: {reason}"


@pytest.mark.parametrize(("width", "height"), [(65_501, 1), (70_000, 60), (1, 65_501)])
def test_a_side_longer_than_a_jpeg_can_have_is_refused(width: int, height: int) -> None:
    """`infer` compresses every test image."""
    with pytest.raises(ImageError) as caught:
        image_facts(encoded(Image.new("L", (width, height)), "PNG"), "x")
    assert caught.value.reason == f"{width:,} x {height:,} pixels: a side longer than 65,500"


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 450), (3, 2), (65_500, 2), (2, 65_500)])
def test_what_is_not_refused_can_be_used_by_every_stage(size: tuple[int, int]) -> None:
    image = decode_image(encoded(Image.new("RGB", size, (10, 200, 90)), "PNG"), "x")
    assert find_faces(image) == []
    for perturb in PERTURBATIONS.values():
        perturbed = perturb(image)
        assert perturbed.mode == "RGB"
        assert fit(perturbed, 32).shape == (32, 32, 3)
    assert detect_features(image, image_px=450, max_keypoints=100).points.shape == (0, 2)


LONG = bytes(range(33, 97)) * 2**15
"""2 MiB."""


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def png_with(*chunks: bytes, at_the_end: bool = False) -> bytes:
    """A turned PNG with more chunks before its pixels, or behind them."""
    plain = encoded(photo(1, 48, 32), "PNG", exif=ORIENTATION_6)
    position = len(plain) - 12 if at_the_end else 33
    return plain[:position] + b"".join(chunks) + plain[position:]


def jpeg_with(*segments: bytes) -> bytes:
    plain = encoded(photo(1, 48, 32), "JPEG", exif=ORIENTATION_6)
    return plain[:2] + b"".join(segments) + plain[2:]


ORIENTATION_6 = Image.Exif()
ORIENTATION_6[0x0112] = 6
METADATA = {
    "PNG: text": png_with(chunk(b"zTXt", b"k\0\0" + zlib.compress(LONG))),
    "PNG: text behind the pixels": png_with(chunk(b"zTXt", b"k\0\0" + zlib.compress(LONG)), at_the_end=True),
    "PNG: XMP": png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LONG))),
    "PNG: colour profile": png_with(chunk(b"iCCP", b"k\0\0" + zlib.compress(LONG))),
    "PNG: much text": png_with(*[chunk(b"tEXt", b"k\0" + LONG[:1_000_000])] * 70),
    "PNG: a bomb that nobody opens": png_with(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**28)))),
    "PNG: text with a wrong checksum": png_with(chunk(b"tEXt", b"k\0v")[:-4] + b"????"),
    "PNG: profile of an unknown kind": png_with(chunk(b"iCCP", b"k\0\7")),
    "PNG: short pHYs": png_with(chunk(b"pHYs", b"\0")),
    "JPEG: long profile": jpeg_with(*[segment(0xE2, b"ICC_PROFILE\0\1\1" + LONG[:60_000])] * 200),
    "JPEG: short profile": jpeg_with(segment(0xE2, b"ICC_PROFILE\0")),
    "JPEG: short JFIF": jpeg_with(segment(0xE0, b"JFIF")),
    "JPEG: short Adobe segment": jpeg_with(segment(0xEE, b"Adobe")),
    "JPEG: long comments": jpeg_with(*[segment(0xFE, LONG[:60_000])] * 200),
    **{
        f"{kind}: {name}": encoded(photo(1, 48, 32), kind, exif=ORIENTATION_6, **{name: LONG * 3})
        for kind in ("WEBP", "TIFF", "PNG")
        for name in ("icc_profile", "xmp")
    },
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_cannot_be_read_are_no_harm(name: str) -> None:
    """Pixels are what counts: they are those of the file without such metadata, and as upright."""
    data, plain = METADATA[name], encoded(photo(1, 48, 32), name.split(":")[0], exif=ORIENTATION_6)
    assert difference(rgb(data), rgb(plain)) == 0
    assert image_facts(data, "x") == image_facts(plain, "x")


def test_metadata_hide_no_damage() -> None:
    """Neither a truncated photo nor an animation nor a bomb passes because its text is too long as well."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(LONG))
    animation, bomb = two_frames("PNG"), png(60_000, 60_000, 8, 2, b"")
    for data, reason in {
        png_with(text)[:-2000]: "damaged PNG",
        animation[:33] + text + animation[33:]: "2 frames: expected a still image",
        bomb[:33] + text + bomb[33:]: "more than 100,000,000 pixels",
    }.items():
        for judge in (decode_image, image_facts):
            with pytest.raises(ImageError) as caught:
                judge(data, "x")
            assert caught.value.reason.startswith(reason)


def test_a_gigapixel_image_is_refused_before_it_is_decoded() -> None:
    data = png(30_000, 30_000, 1, 0, b"\0" * 3751 * 30_000)
    started_s = time.perf_counter()
    with pytest.raises(ImageError, match="more than 100,000,000 pixels"):
        decode_image(data, "x")
    assert time.perf_counter() - started_s < 0.5


SOUND = [
    encoded(photo(1), "JPEG"),
    encoded(photo(1), "JPEG", progressive=True),
    encoded(photo(1), "PNG"),
    encoded(photo(1).convert("RGBA"), "WEBP"),
    encoded(photo(1), "BMP"),
    encoded(photo(1), "TIFF"),
]


def size_or_reason(judge: Callable[[bytes, str], Image.Image | ImageFacts], data: bytes) -> tuple[int, int] | str:
    try:
        found = judge(data, "x")
    except ImageError as error:
        return error.reason
    return found.width, found.height


@given(data=st.data())
def test_damaged_bytes_are_an_image_or_a_reason_and_both_judges_agree(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(SOUND)))
    for position, value in data.draw(st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=5)):
        damaged[position] = value
    some = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    verdict = size_or_reason(decode_image, some)
    assert verdict == size_or_reason(image_facts, some)
    assert "\n" not in str(verdict)


def test_what_is_no_file_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**30 + 1)
    for name, reason in {
        "absent": "No such file or directory",
        "folder": "a folder",
        "pipe": "not a regular file",
        "broken": "a link to nothing",
        "loop": "Too many levels of symbolic links",
        "huge": "1,073,741,825 bytes: more than 1,073,741,824",
    }.items():
        with pytest.raises(ImageError) as caught:
            read_image(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {reason}"


@pytest.mark.parametrize("name", ["얼굴 사진.jpg", "a b.JPG", "png inside.jpg", "no suffix"])
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    photo(1).save(tmp_path / name, "PNG" if "png" in name else "JPEG")
    assert read_image(tmp_path / name).size == (48, 48)


def test_facts_of_a_jpeg() -> None:
    tables = {0: list(range(1, 65)), 1: [9] * 64}
    facts = image_facts(encoded(photo(1, 200, 100), "JPEG", qtables=tables), "x")
    assert (facts.width, facts.height, facts.luma_quantisation_sum) == (200, 100, 64 * 65 // 2)
    assert image_facts(encoded(photo(1), "PNG"), "x").luma_quantisation_sum is None


@pytest.mark.parametrize("px", [16, 100, 224, 600])
def test_a_square_is_resized_whole(px: int) -> None:
    image = photo(1, 300, 300)
    assert difference(fit(image, px), np.asarray(image.resize((px, px), Image.Resampling.BILINEAR))) == 0


@pytest.mark.parametrize(("width", "height", "px"), [(600, 400, 100), (400, 600, 52), (80, 40, 80)])
def test_the_shorter_side_is_resized_and_the_centre_cut_out(width: int, height: int, px: int) -> None:
    image = photo(1, width, height)
    scale = px / min(width, height)
    resized = np.asarray(image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR))
    top, left = (resized.shape[0] - px) // 2, (resized.shape[1] - px) // 2
    assert difference(fit(image, px), resized[top : top + px, left : left + px]) <= 1


def test_a_line_of_pixels_needs_no_more_memory_than_its_square() -> None:
    line = fit(Image.new("RGB", (60_000, 1), (1, 2, 3)), 224)
    assert line.shape == (224, 224, 3)
    assert (line == (1, 2, 3)).all()
