import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from fakeface.relations.features import Features, detect_features, mirror_features, pixels_digest
from fakeface.relations.matching import count_shared_points
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
    return detect_features(image, PX, KEYPOINTS)


def test_the_strongest_keypoints_are_described_in_whole_numbers() -> None:
    image = textured(0)
    many, few = features(image), detect_features(image, PX, 50)
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
    assert detect_features(textured(0), 100, KEYPOINTS).points.max() <= 100
    assert detect_features(textured(0).crop((0, 0, 240, 20)), 120, KEYPOINTS).points[:, 1].max() <= 10


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (64, 64)])
def test_a_plain_image_has_no_keypoint(size: tuple[int, int]) -> None:
    plain = features(Image.new("RGB", size, "grey"))
    assert plain.points.shape == (0, 2)
    assert plain.descriptors.shape == (0, 128)


def test_mirrored_features_are_those_of_the_mirrored_image() -> None:
    image = textured(5)
    seen, expected = mirror_features(features(image)), features(ImageOps.mirror(image))
    assert count_shared_points(seen, expected, MAX_SCALE) >= 0.7 * len(expected.points)
    assert count_shared_points(features(image), expected, MAX_SCALE) <= 3
    twice = mirror_features(mirror_features(features(image)))
    np.testing.assert_array_equal(twice.points, features(image).points)
    np.testing.assert_array_equal(twice.descriptors, features(image).descriptors)


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

keypoints = features(textured(0))
print(len(keypoints.points), sha256(keypoints.points.tobytes() + keypoints.descriptors.tobytes()).hexdigest())
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
