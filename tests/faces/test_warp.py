import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fakeface.faces.warp import Transform, warp
from tests.conftest import photo

numbers = st.floats(-50, 50)


def transform(a: float, b: float, x: float, y: float) -> Transform:
    return Transform(np.array([[a, -b], [b, a]]), np.array([x, y]))


@given(a=st.floats(0.1, 5), b=numbers, x=numbers, y=numbers)
def test_there_and_back_is_where_it_was(a: float, b: float, x: float, y: float) -> None:
    points = np.array([(0, 0), (3, 4), (-5, 2.5)], float)
    there = transform(a, b, x, y)
    np.testing.assert_allclose(there.invert(there.apply(points)), points, atol=1e-6)
    assert there.scale == pytest.approx(np.hypot(a, b))


def test_a_crop_on_whole_pixels_is_cut_out() -> None:
    image = photo(0, 60, 40)
    np.testing.assert_array_equal(warp(image, transform(1, 0, 20, 10), 16), np.asarray(image)[10:26, 20:36])


def test_a_quarter_turn_is_pillow_s() -> None:
    """Down in the crop is left in the photo."""
    image = photo(0, 32, 32)
    crop = warp(image, transform(0, 1, 32, 0), 32)
    np.testing.assert_array_equal(crop, np.asarray(image.transpose(Image.Transpose.ROTATE_90)))


def test_a_reduced_crop_is_antialiased() -> None:
    """A board of single pixels is grey from far away."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    image = Image.fromarray(np.repeat(board[..., None], 3, axis=2).astype(np.uint8))
    crop = warp(image, transform(4, 0, 0, 0), 16).astype(int)
    assert np.abs(crop[2:-2, 2:-2] - 127.5).max() < 20


def test_beyond_the_border_it_is_black_or_mirrored() -> None:
    image = photo(0, 40, 40)
    pixels = np.asarray(image)
    beyond = transform(1, 0, -8, -8)
    black, mirrored = warp(image, beyond, 56), warp(image, beyond, 56, mirrored=True)
    np.testing.assert_array_equal(black[8:48, 8:48], pixels)
    assert not black[:7].any()
    assert not black[-7:].any()
    np.testing.assert_array_equal(mirrored, np.pad(pixels, [(8, 8), (8, 8), (0, 0)], "symmetric"))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 2), (40, 40)])
def test_any_image_has_a_crop_anywhere(size: tuple[int, int], mirrored: bool) -> None:
    for place in ((0, 0), (-100, 7), (35, 200)):
        assert warp(photo(0, *size), transform(0.3, 0.7, *place), 24, mirrored=mirrored).shape == (24, 24, 3)
