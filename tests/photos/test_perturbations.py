from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fakeface.photos import perturbations
from fakeface.photos.perturbations import (
    BLUR_SHARE,
    LAUNDERED_QUALITY,
    LAUNDERED_SHARE,
    NOISE_SIGMA,
    PERTURBATIONS,
    launder,
)
from tests.conftest import photo

EVERY = pytest.mark.parametrize("name", PERTURBATIONS)
EVERY_OF_THE_SAME_SIZE = pytest.mark.parametrize("name", [name for name in PERTURBATIONS if name != "web"])
GREY = Image.new("RGB", (400, 300), (128, 128, 128))


def pixels(image: Image.Image) -> npt.NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


def change(name: str, image: Image.Image) -> npt.NDArray[np.int64]:
    """What a perturbation adds to each pixel and channel."""
    changed = PERTURBATIONS[name](image)
    return pixels(changed if changed.size == image.size else changed.resize(image.size)) - pixels(image)


def detailed(seed: int = 0, side: int = 96) -> Image.Image:
    """A photo with grey grain, so that there is something to lose."""
    grain = np.random.default_rng(seed).normal(0, 20, (side, side, 1))
    return Image.fromarray((np.asarray(photo(seed, side, side)) + grain).clip(0, 255).astype(np.uint8))


def test_they_are_the_ones_that_the_tables_name() -> None:
    assert list(PERTURBATIONS) == ["jpeg_95", "jpeg_75", "jpeg_50", "half_size", "blur", "noise", "web"]


@EVERY_OF_THE_SAME_SIZE
@given(width=st.integers(1, 70), height=st.integers(1, 70))
def test_any_image_keeps_its_size_and_mode(name: str, width: int, height: int) -> None:
    changed = PERTURBATIONS[name](photo(1, width, height))
    assert (changed.size, changed.mode) == ((width, height), "RGB")


@EVERY
def test_it_changes_a_photo_and_leaves_the_given_one_alone(name: str) -> None:
    image = detailed()
    before = image.tobytes()
    changed = change(name, image)
    assert image.tobytes() == before
    assert 0 < np.abs(changed).mean() < 30
    assert abs(changed.mean()) < 1  # no brighter, no darker


@EVERY
def test_it_is_the_same_in_any_order_and_thread(name: str) -> None:
    images = [detailed(seed) for seed in range(8)]
    alone = [PERTURBATIONS[name](image).tobytes() for image in images]
    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(lambda image: PERTURBATIONS[name](image).tobytes(), images[::-1])) == alone[::-1]


def test_the_more_compression_the_larger_the_difference() -> None:
    differences = [np.abs(change(f"jpeg_{quality}", detailed())).mean() for quality in (95, 75, 50)]
    assert differences == sorted(differences)
    assert differences[2] > 1.5 * differences[0]


def test_half_the_size_has_no_fine_detail_left() -> None:
    """The finest checkerboard becomes its mean: the filter antialiases."""
    board = Image.fromarray(np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255).convert("RGB")
    inside = pixels(PERTURBATIONS["half_size"](board))[4:-4, 4:-4]
    assert np.abs(inside - 128).max() <= 2


def test_half_the_size_keeps_a_slope() -> None:
    slope = Image.linear_gradient("L").convert("RGB")
    assert np.abs(change("half_size", slope)[4:-4]).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(600, 600), (600, 900), (900, 600)])
def test_blur_spreads_a_point_by_the_stated_deviation(width: int, height: int) -> None:
    """A white line one pixel wide: what is left of it has the deviation of the blur."""
    image = Image.new("RGB", (width, height))
    image.paste((255, 255, 255), (width // 2, 0, width // 2 + 1, height))
    profile = pixels(PERTURBATIONS["blur"](image))[height // 2, :, 0]
    distance = np.arange(width) - width // 2
    assert np.sqrt((profile * distance**2).sum() / profile.sum()) == pytest.approx(600 * BLUR_SHARE, rel=0.1)


def test_blur_is_as_strong_on_a_large_photo_once_reduced() -> None:
    small, large = (Image.new("RGB", (side, side)) for side in (300, 1200))
    for image in (small, large):
        image.paste((255, 255, 255), (image.width // 2, 0, image.width, image.height))
    reduced = PERTURBATIONS["blur"](large).resize(small.size, Image.Resampling.BOX)
    apart = pixels(reduced) - pixels(PERTURBATIONS["blur"](small))
    assert np.abs(apart).mean() < 0.2
    assert change("blur", small).any()


def test_noise_has_the_stated_deviation_and_no_structure() -> None:
    found = change("noise", GREY)
    assert found.mean() == pytest.approx(0, abs=0.1)
    assert found.std() == pytest.approx(NOISE_SIGMA, rel=0.01)
    for shifted in (np.roll(found, 1, axis=0), np.roll(found, 1, axis=1), np.roll(found, 1, axis=2)):
        assert (found * shifted).mean() / found.var() == pytest.approx(0, abs=0.02)


def test_every_image_has_a_noise_of_its_own() -> None:
    other = Image.new("RGB", GREY.size, (128, 128, 129))
    one, two = change("noise", GREY), change("noise", other)
    assert (one * two).mean() / one.var() == pytest.approx(0, abs=0.02)


def test_noise_made_some_rows_at_a_time_is_that_of_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo of 100 million pixels is accepted, and takes 1.1 GiB so, not 4.5."""
    some = change("noise", detailed())
    monkeypatch.setattr(perturbations, "NOISE_ROWS", 10_000)
    assert (change("noise", detailed()) == some).all()


@pytest.mark.parametrize("value", [0, 255])
def test_noise_at_the_ends_does_not_wrap_around(value: int) -> None:
    found = np.abs(change("noise", Image.new("RGB", (64, 64), (value,) * 3)))
    assert 0 < found.max() < 6 * NOISE_SIGMA


@given(width=st.integers(1, 300), height=st.integers(1, 300), seed=st.integers(0, 99))
def test_laundering_reduces_both_sides_alike(width: int, height: int, seed: int) -> None:
    laundered = launder(Image.new("RGB", (width, height)), np.random.default_rng(seed))
    share = np.random.default_rng(seed).uniform(*LAUNDERED_SHARE)
    assert 0.80 <= share <= 0.97
    assert laundered.size == (max(1, round(share * width)), max(1, round(share * height)))
    assert laundered.mode == "RGB"


def test_laundering_draws_filter_and_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    qualities = set()

    def keep(image: Image.Image, quality: int) -> Image.Image:
        qualities.add(quality)
        return image

    monkeypatch.setattr(perturbations, "jpeg", keep)
    monkeypatch.setattr(perturbations, "LAUNDERED_SHARE", (0.9, 0.9))
    image = detailed()
    filters = {Image.Resampling.BICUBIC, Image.Resampling.LANCZOS}
    expected = {image.resize((86, 86), resampling).tobytes() for resampling in filters}
    assert {launder(image, np.random.default_rng(seed)).tobytes() for seed in range(300)} == expected
    assert qualities == set(range(LAUNDERED_QUALITY[0], LAUNDERED_QUALITY[1] + 1))


def test_every_photo_is_laundered_in_a_way_of_its_own() -> None:
    sizes = {PERTURBATIONS["web"](detailed(seed)).size for seed in range(20)}
    assert len(sizes) > 5
