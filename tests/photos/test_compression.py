import io

import pytest

from fakeface.photos.compression import jpeg_quality
from tests.conftest import photo


def encoded(format_: str, **options: int) -> bytes:
    file = io.BytesIO()
    photo(0).save(file, format_, **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", range(17, 101))
def test_the_quality_that_libjpeg_was_told_is_found_again(quality: int) -> None:
    assert abs((jpeg_quality(encoded("JPEG", quality=quality)) or 0) - quality) <= 1


@pytest.mark.parametrize("quality", range(1, 17))
def test_a_very_low_one_stays_low(quality: int) -> None:
    """Its table's entries end at 255."""
    assert quality <= (jpeg_quality(encoded("JPEG", quality=quality)) or 0) <= 18


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "BMP", "TIFF"])
def test_another_format_has_none(format_: str) -> None:
    assert jpeg_quality(encoded(format_)) is None
