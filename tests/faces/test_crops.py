import numpy as np
import pytest
from PIL import Image

from fakeface.core.records import FRAMINGS, Framing
from fakeface.faces.crops import crop, scale_landmarks
from fakeface.faces.finder import Points, find_landmarks
from fakeface.faces.regions import Region
from fakeface.photos.images import fit
from tests.conftest import photo
from tests.faces.drawn import drawn_face

PX, MARGIN_PX = 64, 6
every_framing = pytest.mark.parametrize("framing", FRAMINGS)


def off_centre(seed: int = 0) -> tuple[Image.Image, Points]:
    """A photo that is not square, and the landmarks of its face."""
    image = photo(1, 400, 260)
    image.paste(drawn_face(seed, 200), (150, 30))
    landmarks = find_landmarks(image)
    assert landmarks is not None
    return image, landmarks


@pytest.mark.parametrize("margin_px", [0, MARGIN_PX])
def test_the_centre_is_what_fit_gives(margin_px: int) -> None:
    image, landmarks = off_centre()
    for known in (landmarks, None):
        pixels = crop(image, known, "centre", PX, margin_px).pixels
        np.testing.assert_array_equal(pixels, fit(image, PX + 2 * margin_px))


@every_framing
def test_without_landmarks_it_is_the_centre_and_all_of_it_the_rest(framing: Framing) -> None:
    image = photo(0, 90, 50)
    pixels, regions, _ = crop(image, None, framing, PX, MARGIN_PX)
    np.testing.assert_array_equal(pixels, fit(image, PX + 2 * MARGIN_PX))
    assert regions.shape == pixels.shape[:2]
    assert regions.dtype == np.uint8
    assert (regions == Region.REST).all()


def test_a_margin_shows_more_around_the_same_face() -> None:
    image, landmarks = off_centre()
    narrow, wide = (crop(image, landmarks, "face", PX, margin_px) for margin_px in (0, MARGIN_PX))
    inside = slice(MARGIN_PX, -MARGIN_PX)
    assert wide.pixels.shape == (PX + 2 * MARGIN_PX, PX + 2 * MARGIN_PX, 3)
    np.testing.assert_array_equal(wide.regions[inside, inside], narrow.regions)
    assert np.abs(wide.pixels[inside, inside].astype(int) - narrow.pixels).mean() < 1.5


@every_framing
def test_regions_lie_on_what_they_name(framing: Framing) -> None:
    """The finder finds the eyes in the crop where the map has them."""
    image, landmarks = off_centre()
    pixels, regions, _ = crop(image, landmarks, framing, 200)
    found = find_landmarks(Image.fromarray(pixels))
    assert found is not None
    for region, indices in ((Region.LEFT_EYE, (33, 133)), (Region.RIGHT_EYE, (263, 362)), (Region.MOUTH, (61, 291))):
        x, y = found[list(indices)].mean(axis=0).astype(int)
        assert regions[y, x] == region


def test_landmarks_follow_a_photo_that_is_resized() -> None:
    image, landmarks = off_centre()
    scaled = scale_landmarks(landmarks, image.size, (200, 130))
    assert scaled is not None
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, landmarks / 2)
    whole = crop(image, landmarks, "face", PX)
    half = crop(image.resize((200, 130), Image.Resampling.BICUBIC), scaled, "face", PX)
    np.testing.assert_array_equal(half.regions, whole.regions)
    assert np.abs(half.pixels.astype(int) - whole.pixels).mean() < 6
    assert scale_landmarks(None, (1, 1), (2, 2)) is None
