import os
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fakeface.relations import shortlist as module
from fakeface.relations.features import DESCRIPTOR_LENGTH, MIRRORED, NEAR, Features, mirror_features
from fakeface.relations.shortlist import NEIGHBOURS, PARTNERS, FeatureTable, find_near_pairs, shortlist
from tests.relations.test_features import features, pasted, textured

Candidate = tuple[int, int, bool]
NearPair = tuple[int, int, bool]


def table(images: Sequence[Features]) -> FeatureTable:
    features = FeatureTable()
    for image in images:
        features.add(image)
    return features


def shortlisted(images: Sequence[Features]) -> list[Candidate]:
    return list(shortlist(table(images)).itertuples(index=False, name=None))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    difference = one.astype(float) - other
    return float(difference @ difference / DESCRIPTOR_LENGTH**2)


def shortlisted_one_by_one(images: Sequence[Features]) -> list[Candidate]:
    """The same by comparing all descriptors, without arrays of many."""
    image_of = [number for number, image in enumerate(images) for _ in image.points]
    descriptors = [descriptor for image in images for descriptor in image.descriptors]
    near: dict[NearPair, float] = {}
    for keypoint, descriptor in enumerate(descriptors):
        for mirrored in (False, True):
            query = descriptor[MIRRORED] if mirrored else descriptor
            ranked = sorted((distance(query, entry), other) for other, entry in enumerate(descriptors))
            for squared, other in ranked[:NEIGHBOURS]:
                if squared < NEAR and image_of[other] != image_of[keypoint]:
                    near[min(keypoint, other), max(keypoint, other), mirrored] = squared
    near_to = Counter(keypoint for pair in near for keypoint in pair[:2])
    votes: defaultdict[Candidate, float] = defaultdict(float)
    for (one, other, mirrored), squared in near.items():
        votes[image_of[one], image_of[other], mirrored] += (1 - squared / NEAR) ** 2 / max(near_to[one], near_to[other])
    # Sums in another order differ in their last digits.
    best = sorted(votes, key=lambda pair: (-round(votes[pair], 6), pair))
    chosen = [[pair for pair in best if pair[side] == image][:PARTNERS] for image in range(len(images)) for side in (0, 1)]
    return sorted({pair for pairs in chosen for pair in pairs})


def alike(seed: int, count: int) -> list[Features]:
    """Images that draw their descriptors from the same few, a little changed, mirrored or not; some have none."""
    rng = np.random.default_rng(seed)
    few = rng.gamma(0.5, size=(8, 128))
    few *= DESCRIPTOR_LENGTH / np.linalg.norm(few, axis=1, keepdims=True)
    images = []
    for keypoints in rng.integers(0, 7, count):
        descriptors = few[rng.integers(0, len(few), keypoints)] + rng.integers(0, 3) * rng.normal(size=(keypoints, 128))
        descriptors = descriptors[:, MIRRORED] if rng.random() < 0.3 else descriptors
        images.append(Features(np.zeros((keypoints, 2), np.float32), np.clip(np.rint(descriptors), 0, 255).astype(np.uint8)))
    return images


@given(seed=st.integers(0, 2**32), count=st.integers(1, 16))
def test_few_images_are_all_compared(seed: int, count: int) -> None:
    """As long as one cell holds them all."""
    images = alike(seed, count)
    assert shortlisted(images) == shortlisted_one_by_one(images)


def test_images_that_share_much_have_more_partners_than_are_chosen() -> None:
    """So the law above is about choices too."""
    assert PARTNERS * 2 < len(shortlisted_one_by_one(alike(0, 16))) < 16 * 15


@given(seed=st.integers(0, 2**32), count=st.integers(1, 16), bucket=st.integers(1, 30), cell=st.integers(1, 8))
def test_in_cells_only_near_descriptors_of_two_images_are_pairs(seed: int, count: int, bucket: int, cell: int) -> None:
    images = table(alike(seed, count))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BUCKET", bucket)
        patch.setattr(module, "CELL", cell)
        near = find_near_pairs(images)
    for first, second, mirrored, closeness in near.tolist():
        other = images.descriptors[second]
        squared = distance(images.descriptors[first], other[MIRRORED] if mirrored else other)
        assert squared < NEAR
        assert closeness == pytest.approx(1 - squared / NEAR, abs=1e-6)
        assert images.image_of(np.array(first)) < images.image_of(np.array(second))


@given(seed=st.integers(0, 2**32), bucket=st.integers(1, 30), cell=st.integers(1, 8), mirrored=st.booleans())
def test_a_copied_image_is_found_however_small_the_cells(seed: int, bucket: int, cell: int, mirrored: bool) -> None:
    rng = np.random.default_rng(seed)
    images = [
        Features(np.zeros((20, 2), np.float32), np.minimum(rng.gamma(0.5, 60, (20, 128)), 255).astype(np.uint8))
        for _ in range(6)
    ]
    images.append(mirror_features(images[2]) if mirrored else images[2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BUCKET", bucket)
        patch.setattr(module, "CELL", cell)
        assert shortlisted(images) == [(2, 6, mirrored)]


def test_the_number_of_cores_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKET", 40)
    monkeypatch.setattr(module, "CELL", 10)
    images = table(alike(3, 60))
    expected = shortlist(images)
    assert len(expected) > 60
    for cores in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert shortlist(images).equals(expected)


def test_what_all_images_have_is_not_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watermark, say: its descriptors all lie in one cell, where time would grow with the square of their number."""
    compared: list[int] = []

    def nearest(queries: np.ndarray, entries: np.ndarray, count: int) -> object:
        compared.append(len(queries) * len(entries))
        return search(queries, entries, count)

    search = module._nearest
    monkeypatch.setattr(module, "_nearest", nearest)
    monkeypatch.setattr(module, "BUCKET", 16)
    monkeypatch.setattr(module, "CELL", 4)
    textures = features(textured(0))
    watermark = Features(textures.points[:1], textures.descriptors[:1])
    costs = {}
    for count in (400, 800):
        compared.clear()
        listed = shortlisted([watermark] * count)
        assert {image for one, other, _ in listed for image in (one, other)} == set(range(count))
        costs[count] = sum(compared) - 2 * count * (count // 16)  # without the way to the first centres
    assert costs[800] <= 2.2 * costs[400]


def test_features_come_back_as_they_were() -> None:
    images = [features(textured(0)), *alike(1, 5)]
    stored = table(images)
    assert len(stored) == len(images)
    for number, image in enumerate(images):
        np.testing.assert_array_equal(stored.features(number).points, image.points)
        np.testing.assert_array_equal(stored.features(number).descriptors, image.descriptors)
    owners = [number for number, image in enumerate(images) for _ in image.points]
    np.testing.assert_array_equal(stored.image_of(np.arange(len(owners))), owners)


def test_no_image_and_plain_images_have_no_partner() -> None:
    plain = features(Image.new("RGB", (64, 64), "grey"))
    assert shortlisted([]) == shortlisted([plain, plain]) == []


def test_the_shortlist_holds_what_is_related() -> None:
    donor = textured(10)
    pictures = [textured(seed) for seed in range(20, 40)]
    pictures += [donor, pasted(donor, 50, 1.2), ImageOps.mirror(pasted(donor, 51, 0.9, 10)), ImageOps.mirror(pasted(donor, 52))]
    listed = shortlisted([features(picture) for picture in pictures])
    assert listed == sorted(listed)
    assert all(one < other for one, other, _ in listed)
    assert {(20, 21, False), (20, 22, True), (20, 23, True), (22, 23, False)} <= set(listed)
    assert len(listed) <= 4 * len(pictures)


def test_the_shortlist_follows_the_order_of_images() -> None:
    donor = textured(10)
    pictures = [donor, *(textured(seed) for seed in range(20, 26)), pasted(donor, 50)]
    forth = shortlisted([features(picture) for picture in pictures])
    back = shortlisted([features(picture) for picture in reversed(pictures)])
    last = len(pictures) - 1
    assert {(last - other, last - one) for one, other, _ in back} >= {(0, last)} <= {(one, other) for one, other, _ in forth}
