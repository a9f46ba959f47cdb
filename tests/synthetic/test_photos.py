"""Photos: they are finite and in range; what a composite changes and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from fakeface.core.records import PARTS
from fakeface.synthetic.photos import RETOUCHES, Photo, composite, render, to_8_bit
from fakeface.synthetic.traits import Scene, random_shot, random_traits

IMAGE_PX = 96


def photo_of(seed: int, scene: Scene | None = None) -> Photo:
    face, random_scene, camera = random_shot(np.random.default_rng(seed))
    return render(face, scene or random_scene, camera, IMAGE_PX)


@pytest.fixture(scope="module")
def pair() -> tuple[Photo, Photo]:
    scene = random_traits(Scene, np.random.default_rng(9))
    return photo_of(1, scene), photo_of(2, scene)


def test_photos_are_finite_and_in_range() -> None:
    for seed in range(12):
        photo = photo_of(seed)
        assert photo.pixels.shape == photo.noise.shape == (3, IMAGE_PX, IMAGE_PX)
        assert photo.pixels.dtype == photo.noise.dtype == np.float32
        assert photo.pixels.min() >= 0
        assert photo.pixels.max() <= 1
        assert np.isfinite(photo.noise).all()
        assert to_8_bit(photo).shape == (IMAGE_PX, IMAGE_PX, 3)
        assert to_8_bit(photo).std() > 20, "a picture of something"


@pytest.mark.parametrize("difficulty", RETOUCHES)
@pytest.mark.parametrize("part", range(len(PARTS)), ids=PARTS)
def test_a_composite_changes_the_named_part_and_nothing_else(pair: tuple[Photo, Photo], part: int, difficulty: str) -> None:
    base, donor = pair
    retouch = RETOUCHES[difficulty]
    fake = composite(base, donor, [part], retouch)
    outside = base.parts[part] < -retouch.feather_px / 2
    inside = base.parts[part] > retouch.feather_px / 2
    np.testing.assert_array_equal(to_8_bit(fake)[outside], to_8_bit(base)[outside])
    assert np.abs(fake.pixels - base.pixels)[:, inside].mean() > 0.005


def test_several_parts_are_the_parts_one_after_another(pair: tuple[Photo, Photo]) -> None:
    base, donor = pair
    together = composite(base, donor, [0, 3], RETOUCHES["easy"])
    one = composite(base, donor, [0], RETOUCHES["easy"])
    np.testing.assert_array_equal(together.pixels, composite(one, donor, [3], RETOUCHES["easy"]).pixels)


def test_a_face_pasted_on_itself_is_itself(pair: tuple[Photo, Photo]) -> None:
    base, _ = pair
    for retouch in RETOUCHES.values():
        fake = composite(base, base, range(len(PARTS)), retouch)
        np.testing.assert_allclose(fake.pixels, base.pixels, atol=1e-5)
        np.testing.assert_array_equal(fake.noise, base.noise)


def test_a_full_colour_match_gives_the_patch_the_base_s_mean(pair: tuple[Photo, Photo]) -> None:
    base, donor = pair
    retouch = replace(RETOUCHES["easy"], colour_match=1.0)
    inside = base.parts[2] > 1
    matched, unmatched = (
        np.abs((composite(base, donor, [2], how).pixels - base.pixels)[:, inside].mean(axis=1)).max()
        for how in (retouch, RETOUCHES["easy"])
    )
    assert matched < 0.02 < unmatched


def test_left_is_the_viewer_s_left() -> None:
    rows, columns = zip(*(np.argwhere(inside > 0).mean(axis=0) for inside in photo_of(3).parts), strict=True)
    left_eye, right_eye, nose, mouth = range(len(PARTS))
    assert columns[left_eye] < columns[nose] < columns[right_eye]
    assert max(rows[left_eye], rows[right_eye]) < rows[nose] < rows[mouth]
