from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fakeface.relations import shortlist as candidates
from fakeface.relations.features import DESCRIPTOR_LENGTH, MIRRORED, NEAR, Features
from fakeface.relations.shortlist import PARTNERS, TABLE_BITS, TABLES, WINDOW, Candidate, FeatureFile, shortlist
from tests.relations.test_features import features, pasted, textured


def shortlisted(images: Sequence[Features], folder: Path) -> list[Candidate]:
    with FeatureFile(folder) as file:
        for image in images:
            file.add(image)
        return list(shortlist(file, folder))


def one_by_one(images: Sequence[Features]) -> list[Candidate]:
    """The same without buckets or arrays of many rows."""
    plain = [(image, descriptor) for image, of_image in enumerate(images) for descriptor in of_image.descriptors]
    rows = plain + [(image, descriptor[MIRRORED]) for image, descriptor in plain]
    signs = [descriptor.astype(np.float32) @ candidates._projections() > 0 for _, descriptor in rows]
    near = {}
    for table in range(TABLES):
        hashes = [sign[table * TABLE_BITS : (table + 1) * TABLE_BITS].tobytes() for sign in signs]
        line = sorted(range(len(rows)), key=lambda row: (hashes[row], row))
        for place, one in enumerate(line):
            for other in line[place + 1 : place + 1 + WINDOW]:
                if hashes[one] == hashes[other] and one < len(plain) and rows[one][0] < rows[other][0]:
                    difference = rows[one][1].astype(np.float32) - rows[other][1]
                    near[one, other] = np.float32(difference @ difference / DESCRIPTOR_LENGTH**2)
    near = {pair: distance for pair, distance in near.items() if distance < NEAR}
    near_to = Counter(row % len(plain) for pair in near for row in pair)
    totals: defaultdict[Candidate, float] = defaultdict(float)
    for one, other in sorted(near):
        vote = float((1 - near[one, other] / NEAR) ** 2) / max(near_to[one], near_to[other % len(plain)])
        totals[rows[one][0], rows[other][0], other >= len(plain)] += vote
    best = sorted(totals, key=lambda pair: (-totals[pair], pair))
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


@given(seed=st.integers(0, 2**32), count=st.integers(1, 16), at_once=st.integers(2, 60))
def test_where_buckets_end_changes_nothing(seed: int, count: int, at_once: int) -> None:
    images = alike(seed, count)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "AT_ONCE", at_once)
        assert shortlisted(images, Path(folder)) == one_by_one(images)


def test_images_that_share_much_have_more_partners_than_are_chosen() -> None:
    """So the law above is about choices too."""
    images = alike(0, 16)
    assert PARTNERS * 2 < len(one_by_one(images)) < 16 * 15


def test_features_come_back_as_they_were(tmp_path: Path) -> None:
    images = [features(textured(0)), *alike(1, 5)]
    with FeatureFile(tmp_path) as file:
        for image in images:
            file.add(image)
        assert file.count == len(images)
        for number, image in enumerate(images):
            np.testing.assert_array_equal(file.features(number).points, image.points)
            np.testing.assert_array_equal(file.features(number).descriptors, image.descriptors)
        owners = [number for number, image in enumerate(images) for _ in image.points]
        np.testing.assert_array_equal(file.images(np.arange(2 * len(owners))), owners * 2)


def test_no_image_and_plain_images_have_no_partner(tmp_path: Path) -> None:
    plain = features(Image.new("RGB", (64, 64), "grey"))
    assert shortlisted([], tmp_path) == shortlisted([plain, plain], tmp_path) == []


def test_the_shortlist_holds_what_is_related(tmp_path: Path) -> None:
    donor = textured(10)
    pictures = [textured(seed) for seed in range(20, 40)]
    pictures += [donor, pasted(donor, 50, 1.2), ImageOps.mirror(pasted(donor, 51, 0.9, 10)), ImageOps.mirror(pasted(donor, 52))]
    listed = shortlisted([features(picture) for picture in pictures], tmp_path)
    assert listed == sorted(listed)
    assert all(one < other for one, other, _ in listed)
    assert {(20, 21, False), (20, 22, True), (20, 23, True), (22, 23, False)} <= set(listed)
    assert len(listed) <= 4 * len(pictures)


def test_the_shortlist_follows_the_order_of_images(tmp_path: Path) -> None:
    donor = textured(10)
    pictures = [donor, *(textured(seed) for seed in range(20, 26)), pasted(donor, 50)]
    forth = shortlisted([features(picture) for picture in pictures], tmp_path)
    back = shortlisted([features(picture) for picture in reversed(pictures)], tmp_path)
    last = len(pictures) - 1
    assert {(last - other, last - one) for one, other, _ in back} >= {(0, last)} <= {(one, other) for one, other, _ in forth}
