from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fakeface.relations.features import Features
from fakeface.relations.matching import connected_groups, count_shared_points
from tests.relations.test_features import MAX_SCALE, features, pasted, textured


def shared(one: Image.Image, other: Image.Image) -> int:
    return count_shared_points(features(one), features(other), MAX_SCALE)


def test_a_plain_image_shares_nothing() -> None:
    plain = features(Image.new("RGB", (64, 64), "grey"))
    assert count_shared_points(plain, features(textured(0)), MAX_SCALE) == 0
    assert count_shared_points(features(textured(0)), plain, MAX_SCALE) == 0


@pytest.mark.parametrize(("scale", "degrees"), [(1, 0), (0.8, 0), (1.3, 0), (1, 15), (1.2, -20)])
def test_a_pasted_part_is_seen(scale: float, degrees: float) -> None:
    donor = textured(1)
    assert shared(donor, pasted(donor, 2, scale, degrees)) >= 8


def test_different_pictures_share_next_to_nothing() -> None:
    pictures = [features(textured(seed)) for seed in range(8)]
    assert max(count_shared_points(one, other, MAX_SCALE) for one, other in combinations(pictures, 2)) <= 3


def test_a_scale_beyond_the_bound_does_not_count() -> None:
    image = textured(3)
    smaller = image.resize((144, 144), Image.Resampling.BICUBIC)
    one, other = features(image), features(smaller)
    assert count_shared_points(one, other, 2.0) >= 15
    assert count_shared_points(one, other, 1.5) == count_shared_points(other, one, 1.5) == 0


def test_points_in_one_pixel_count_once() -> None:
    one = features(textured(4))
    doubled = Features(np.repeat(one.points, 2, axis=0), np.repeat(one.descriptors, 2, axis=0))
    assert (
        count_shared_points(doubled, one, MAX_SCALE)
        == count_shared_points(one, one, MAX_SCALE)
        <= len(np.unique(one.points, axis=0))
    )


@given(count=st.integers(1, 12), data=st.data())
def test_groups_are_the_connected_parts(count: int, data: st.DataObject) -> None:
    items = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(items, items), max_size=12))
    linked = np.eye(count, dtype=bool)
    for one, other in pairs:
        linked[one, other] = linked[other, one] = True
    for _ in range(count):
        linked = (linked.astype(int) @ linked.astype(int)) > 0
    assert connected_groups(count, pairs) == [int(np.flatnonzero(row)[0]) for row in linked]
