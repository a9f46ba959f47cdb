import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fakeface.relations.features import Features, features_of, mirrored, pixels_digest
from fakeface.relations.matching import groups_of, shared_points
from tests.conftest import ROOT
from tests.processors import PROCESSORS, needs_wide_instructions

PX, KEYPOINTS, MAX_SCALE = 450, 800, 2.0


def textured(seed: int, px: int = 240) -> Image.Image:
    """Blobs of many sizes: another picture for each seed."""
    rng = np.random.default_rng(seed)
    layers = [Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8)).resize((px, px), 3) for cells in (6, 16, 40)]
    return Image.fromarray(np.mean([np.asarray(layer) for layer in layers], axis=0).astype(np.uint8))


def pasted(donor: Image.Image, seed: int, scale: float = 1.0, degrees: float = 0.0) -> Image.Image:
    """Another picture with a part of `donor` on it: moved, scaled, turned, and in other colours."""
    part = donor.crop((60, 60, 160, 160))
    side = round(100 * scale)
    part = part.resize((side, side), Image.Resampling.BICUBIC).rotate(degrees, Image.Resampling.BICUBIC)
    part = part.point([min(255, round(0.8 * value + 25)) for value in range(256)] * 3)
    margin = round(0.15 * side) if degrees else 0
    part = part.crop((margin, margin, side - margin, side - margin))
    picture = textured(seed)
    picture.paste(part, (90, 30))
    return picture


def features(image: Image.Image) -> Features:
    return features_of(image, PX, KEYPOINTS)


def shared(one: Image.Image, other: Image.Image) -> int:
    return shared_points(features(one), features(other), MAX_SCALE)


def test_the_strongest_keypoints_are_described_in_whole_numbers() -> None:
    image = textured(0)
    many, few = features(image), features_of(image, PX, 50)
    assert len(few.points) == 50 < len(many.points) <= KEYPOINTS
    assert many.points.shape == (len(many.points), 2)
    assert many.descriptors.shape == (len(many.points), 128)
    assert many.descriptors.dtype == np.uint8
    np.testing.assert_array_equal(few.points, many.points[:50])
    lengths = np.linalg.norm(many.descriptors.astype(float), axis=1)
    np.testing.assert_allclose(lengths, 512, rtol=0.02)
    assert many.descriptors.max() < 255
    assert 0 <= many.points.min() <= many.points.max() <= 240


def test_a_large_image_is_reduced_and_a_small_one_left() -> None:
    assert features_of(textured(0), 100, KEYPOINTS).points.max() <= 100
    assert features_of(textured(0).crop((0, 0, 240, 20)), 120, KEYPOINTS).points[:, 1].max() <= 10


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (64, 64)])
def test_a_plain_image_shares_nothing(size: tuple[int, int]) -> None:
    plain = features(Image.new("RGB", size, "grey"))
    assert plain.points.shape == (0, 2)
    assert plain.descriptors.shape == (0, 128)
    assert shared_points(plain, features(textured(0)), MAX_SCALE) == 0
    assert shared_points(features(textured(0)), plain, MAX_SCALE) == 0


@pytest.mark.parametrize(("scale", "degrees"), [(1, 0), (0.8, 0), (1.3, 0), (1, 15), (1.2, -20)])
def test_a_pasted_part_is_seen(scale: float, degrees: float) -> None:
    donor = textured(1)
    assert shared(donor, pasted(donor, 2, scale, degrees)) >= 8


def test_different_pictures_share_next_to_nothing() -> None:
    pictures = [features(textured(seed)) for seed in range(8)]
    assert max(shared_points(one, other, MAX_SCALE) for one, other in combinations(pictures, 2)) <= 3


def test_a_scale_beyond_the_bound_does_not_count() -> None:
    image = textured(3)
    smaller = image.resize((144, 144), Image.Resampling.BICUBIC)
    one, other = features(image), features(smaller)
    assert shared_points(one, other, 2.0) >= 15
    assert shared_points(one, other, 1.5) == shared_points(other, one, 1.5) == 0


def test_points_in_one_pixel_count_once() -> None:
    one = features(textured(4))
    doubled = Features(np.repeat(one.points, 2, axis=0), np.repeat(one.descriptors, 2, axis=0))
    assert shared_points(doubled, one, MAX_SCALE) == shared_points(one, one, MAX_SCALE) <= len(np.unique(one.points, axis=0))


def test_mirrored_features_are_those_of_the_mirrored_image() -> None:
    image = textured(5)
    seen, expected = mirrored(features(image)), features(ImageOps.mirror(image))
    assert shared_points(seen, expected, MAX_SCALE) >= 0.7 * len(expected.points)
    assert shared_points(features(image), expected, MAX_SCALE) <= 3
    twice = mirrored(mirrored(features(image)))
    np.testing.assert_array_equal(twice.points, features(image).points)
    np.testing.assert_array_equal(twice.descriptors, features(image).descriptors)


@given(count=st.integers(1, 12), data=st.data())
def test_groups_are_the_connected_parts(count: int, data: st.DataObject) -> None:
    items = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(items, items), max_size=12))
    linked = np.eye(count, dtype=bool)
    for one, other in pairs:
        linked[one, other] = linked[other, one] = True
    for _ in range(count):
        linked = (linked.astype(int) @ linked.astype(int)) > 0
    assert list(groups_of(count, pairs)) == [int(np.flatnonzero(row)[0]) for row in linked]


def test_a_digest_tells_pixels_and_shape() -> None:
    image = textured(6).crop((0, 0, 4, 6))
    other = image.copy()
    other.putpixel((0, 0), (1, 2, 3))
    turned = Image.frombytes("RGB", (6, 4), image.tobytes())
    assert len({pixels_digest(image), pixels_digest(other), pixels_digest(turned)}) == 3
    assert pixels_digest(image) == pixels_digest(image.copy())


FEATURES_DIGEST = """
from hashlib import sha256
from tests.relations.test_features import features, textured

described = features(textured(0))
print(len(described.points), sha256(described.points.tobytes() + described.descriptors.tobytes()).hexdigest())
"""


@needs_wide_instructions
def test_features_are_the_same_bytes_whatever_the_processor() -> None:
    ours, theirs = (
        subprocess.run(
            [sys.executable, "-c", FEATURES_DIGEST], cwd=ROOT, env=os.environ | environment, capture_output=True, check=True
        ).stdout
        for environment in ({}, PROCESSORS["opencv"])
    )
    assert int(ours.split()[0]) > 100
    assert ours == theirs
