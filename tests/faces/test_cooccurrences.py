from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fakeface.faces.cooccurrences import (
    CLASS_COUNT,
    CLASSES,
    LIMIT,
    MAX_BOX_PX,
    POOLED,
    RESIDUALS,
    SIZE,
    Residual,
    cooccurrences,
)
from fakeface.faces.finder import Points, find_landmarks
from fakeface.faces.regions import Region
from tests.conftest import photo
from tests.faces.drawn import drawn_face

WEIGHTS = {
    "brightness": (Fraction(299, 1000), Fraction(587, 1000), Fraction(114, 1000)),
    "blue": (Fraction(-299, 1000), Fraction(-587, 1000), Fraction(886, 1000)),
    "red": (Fraction(701, 1000), Fraction(-587, 1000), Fraction(-114, 1000)),
}


def noise(width: int = 24, height: int = 17, sigma: float = 3.0) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.normal(128, sigma, (height, width, 3)).astype(np.uint8))


def by_region(image: Image.Image, landmarks: Points | None) -> NDArray[np.float32]:
    """As (regions, residuals, classes)."""
    return cooccurrences(image, landmarks).reshape(len(POOLED), len(RESIDUALS), CLASS_COUNT)


def counted(image: Image.Image, residual: Residual) -> Counter[tuple[int, ...]]:
    """Triples of residuals in rows and columns, by the definition, in fractions."""
    plane = [
        [sum(w * int(c) for w, c in zip(WEIGHTS[residual.plane], colour, strict=True)) for colour in row]
        for row in np.asarray(image)
    ]
    triples: Counter[tuple[int, ...]] = Counter()
    for rows in (plane, list(map(list, zip(*plane, strict=True)))):
        height, width = len(residual.taps), len(residual.taps[0])
        for top in range(len(rows) - height + 1):
            line = []
            for left in range(len(rows[0]) - width + 1):
                places = product(range(height), range(width))
                value = sum(residual.taps[y][x] * rows[top + y][left + x] for y, x in places)
                steps = (value * 1000 + residual.step // 2) // residual.step
                line.append(int(max(-LIMIT, min(LIMIT, steps))))
            triples.update(zip(line, line[1:], line[2:], strict=False))
    return triples


@pytest.mark.parametrize("index", range(len(RESIDUALS)))
def test_the_values_are_the_roots_of_the_shares_of_classes_of_triples(index: int) -> None:
    """Without a face the whole image is the rest of one."""
    triples = counted(noise(), RESIDUALS[index])
    shares = np.zeros(CLASS_COUNT)
    for number, triple in enumerate(product(range(-LIMIT, LIMIT + 1), repeat=3)):
        shares[CLASSES[number]] += triples[triple] / triples.total()
    values = by_region(noise(), None)
    rest = POOLED.index((Region.REST,))
    np.testing.assert_allclose(values[rest, index], np.sqrt(shares), rtol=0, atol=1e-7)
    assert (np.delete(values, rest, axis=0) == 0).all()


def test_a_triple_backwards_or_with_its_signs_turned_is_of_the_same_class() -> None:
    classes = dict(zip(product(range(-LIMIT, LIMIT + 1), repeat=3), CLASSES.tolist(), strict=True))
    assert {classes[1, 0, -2], classes[-2, 0, 1], classes[-1, 0, 2], classes[2, 0, -1]} == {classes[1, 0, -2]}
    assert classes[1, 0, -2] != classes[0, 1, -2]
    assert sorted(set(classes.values())) == list(range(CLASS_COUNT))


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(lambda image: image.transpose(Image.Transpose.TRANSPOSE), id="turned"),
        pytest.param(lambda image: Image.fromarray(np.asarray(image) + np.uint8(40)), id="brighter"),
    ],
)
def test_neither_direction_nor_brightness_counts(same: object) -> None:
    assert callable(same)
    np.testing.assert_array_equal(cooccurrences(same(noise()), None), cooccurrences(noise(), None))


def with_a_face(place: tuple[int, int] = (150, 30)) -> tuple[Image.Image, Points]:
    image = photo(1, 440, 320)
    image.paste(drawn_face(0, 200), (150, 30))
    landmarks = find_landmarks(image)
    assert landmarks is not None
    moved = photo(1, 440, 320)
    moved.paste(image.crop((100, 0, 400, 260)), (place[0] - 50, place[1] - 30))
    return moved, (landmarks + np.subtract(place, (150, 30))).astype(np.float32)


def test_where_the_face_lies_in_the_photo_does_not_count() -> None:
    here, there = with_a_face(), with_a_face((170, 50))
    np.testing.assert_allclose(cooccurrences(*there), cooccurrences(*here), rtol=0, atol=1e-6)


def test_each_region_has_values_of_its_own() -> None:
    """Noise in the middle of the mouth changes the mouth's alone."""
    image, landmarks = with_a_face()
    x, y = np.rint(landmarks[[13, 14]].mean(axis=0)).astype(int).tolist()
    noisy = image.copy()
    noisy.paste(noise(8, 4, sigma=20), (x - 4, y - 2))
    same = (by_region(noisy, landmarks) == by_region(image, landmarks)).all(axis=(1, 2))
    assert dict(zip(POOLED, same.tolist(), strict=True)) == {group: group != (Region.MOUTH,) for group in POOLED}


def test_compression_shows() -> None:
    image, landmarks = with_a_face()
    assert np.abs(cooccurrences(image.quantize(64).convert("RGB"), landmarks) - cooccurrences(image, landmarks)).max() > 0.05


@pytest.mark.parametrize("known", [True, False])
def test_a_large_face_is_reduced(*, known: bool) -> None:
    """So all that is larger gives what the reduced photo gives."""
    image, landmarks = with_a_face()
    large = image.resize((image.width * 6, image.height * 6), Image.Resampling.BICUBIC)
    points = landmarks * 6
    side = float(np.ptp(points, axis=0).max()) * 1.25 if known else large.width
    assert side > MAX_BOX_PX
    scale = MAX_BOX_PX / side
    reduced = large.resize((round(large.width * scale), round(large.height * scale)), Image.Resampling.LANCZOS)
    expected = cooccurrences(reduced, (points * np.divide(reduced.size, large.size)).astype(np.float32) if known else None)
    assert np.abs(cooccurrences(large, points if known else None) - expected).max() < 0.02


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 3)])
def test_an_image_too_small_for_a_triple_has_no_values(size: tuple[int, int]) -> None:
    values = cooccurrences(photo(0, *size), None)
    assert values.shape == (SIZE,)
    assert np.isfinite(values).all()
