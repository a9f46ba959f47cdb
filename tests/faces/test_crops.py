import numpy as np
import pytest
from PIL import Image

from fakeface.core.records import FRAMINGS, Framing
from fakeface.faces.crops import crop, crop_transform, detail, scale_landmarks
from fakeface.faces.finder import Points, find_landmarks
from fakeface.faces.regions import Region
from fakeface.photos.images import fit
from tests.conftest import photo
from tests.faces.drawn import drawn_face

PX, MARGIN_PX = 64, 6
NATIVE_PX = 160
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


@pytest.mark.parametrize("framing", ["face", "native"])
def test_a_margin_shows_more_around_the_same_face(framing: Framing) -> None:
    image, landmarks = off_centre()
    narrow, wide = (crop(image, landmarks, framing, PX, margin_px) for margin_px in (0, MARGIN_PX))
    inside = slice(MARGIN_PX, -MARGIN_PX)
    assert wide.pixels.shape == (PX + 2 * MARGIN_PX, PX + 2 * MARGIN_PX, 3)
    np.testing.assert_array_equal(wide.regions[inside, inside], narrow.regions)
    assert np.abs(wide.pixels[inside, inside].astype(int) - narrow.pixels).mean() < 1.5


def test_in_native_framing_every_pixel_is_one_of_the_photo() -> None:
    """The face is in the middle; beyond the border the photo is mirrored."""
    image, landmarks = off_centre()
    left, top = np.rint((landmarks.min(axis=0) + landmarks.max(axis=0)) / 2 - NATIVE_PX / 2).astype(int)
    pixels = np.asarray(image)[top : top + NATIVE_PX, left : left + NATIVE_PX]
    np.testing.assert_array_equal(crop(image, landmarks, "native", NATIVE_PX).pixels, pixels)
    moved, beyond = image.crop((int(left) + 20, 0, *image.size)), landmarks - np.array((left + 20, 0), np.float32)
    mirrored = crop(moved, beyond, "native", NATIVE_PX).pixels
    np.testing.assert_array_equal(mirrored[:, 20:], pixels[:, 20:])
    np.testing.assert_array_equal(mirrored[:, :20], pixels[:, 20:40][:, ::-1])


def test_in_native_framing_a_face_too_large_is_reduced_until_three_quarters_of_it_are_seen() -> None:
    image, landmarks = off_centre()
    height = float(np.ptp(landmarks, axis=0).max())
    for factor, shown in ((1, height), (8, 4 / 3 * NATIVE_PX)):
        size = (factor * image.width, factor * image.height)
        larger = scale_landmarks(landmarks, image.size, size)
        transform = crop_transform(image.resize(size), larger, "native", NATIVE_PX)
        assert factor * height / transform.scale == pytest.approx(shown)


@pytest.mark.parametrize(("framing", "factor"), [("face", 1.0), ("native", 1.0), ("centre", 1.0), ("native", 0.5)])
def test_detail_is_how_many_px_the_photo_has_of_those_that_training_needs(framing: Framing, factor: float) -> None:
    image, landmarks = off_centre()
    size = (round(factor * image.width), round(factor * image.height))
    points = scale_landmarks(landmarks, image.size, size)
    expected = {
        "face": crop_transform(image, landmarks, "face", PX).scale,
        "native": np.ptp(landmarks, axis=0).max() / (2 / 3 * PX),
        "centre": 260 / PX,
    }
    assert detail(image.resize(size), points, framing, PX) == pytest.approx(factor * expected[framing], rel=0.01)


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
