from typing import Any

import numpy as np
import pytest

from fakeface.core.records import ImageRecord
from fakeface.scoring.slices import common_table, sizes, slices
from tests.split_rows import image


def found(images: list[Any], everywhere: list[Any] | None = None) -> dict[str, dict[str, list[int]]]:
    """The positions of the images in each slice."""
    return {
        dimension: {name: mask.nonzero()[0].tolist() for name, mask in named.items()}
        for dimension, named in slices(images, everywhere or images).items()
    }


def parts(*names: str) -> dict[str, int]:
    return {"left_eye": 0, "right_eye": 0, "nose": 0, "mouth": 0} | dict.fromkeys(names, 1)


def test_a_slice_of_fakes_is_judged_against_all_real_images() -> None:
    images = [image(0, 0), image(1, 1, difficulty="hard"), image(2, 0), image(3, 1, difficulty="easy")]
    assert found(images)["difficulty"] == {"easy": [0, 2, 3], "hard": [0, 1, 2]}


def test_difficulties_stand_from_easy_to_hard_and_unknown_names_last() -> None:
    images = [image(0, 0)]
    images += [image(number, 1, difficulty=name) for number, name in enumerate(["odd", "hard", "", "mid", "easy", "mid"], 1)]
    assert list(found(images)["difficulty"]) == ["easy", "mid", "hard", "odd"]


def test_a_fake_is_in_the_slice_of_each_part_that_was_edited_and_of_their_number() -> None:
    images = [
        image(0, 0),
        image(1, 1, **parts("nose", "mouth")),
        image(2, 1, **parts("nose")),
        image(3, 1, **parts("left_eye")),
    ]
    by = found(images)
    assert by["part"] == {"left_eye": [0, 3], "nose": [0, 1, 2], "mouth": [0, 1]}
    assert by["parts"] == {"1": [0, 2, 3], "2": [0, 1]}


def test_a_fake_whose_parts_are_not_known_is_in_no_slice_by_part() -> None:
    by = found([image(0, 0), image(1, 1, left_eye=None, right_eye=None, nose=None, mouth=None)])
    assert by["part"] == by["parts"] == {}


def test_the_same_table_is_that_of_most_real_images_on_all_sides() -> None:
    """Here the test side's own real image has another."""
    images = [image(0, 0, luma_quantisation_sum=50), image(1, 1), image(2, 1, luma_quantisation_sum=50), image(3, 1)]
    train = [image(number, 0, luma_quantisation_sum=92, side="train") for number in range(4, 6)]
    assert found(images, images + train)["jpeg_table"] == {"same": [0, 1, 3], "other": [0, 2]}


@pytest.mark.parametrize(
    ("reals", "fakes", "expected"),
    [
        pytest.param([92, 92, 50], [50, 50, 50], 92, id="fakes do not count"),
        pytest.param([92, 50], [], 50, id="of equals the smallest"),
        pytest.param([None, None, 92], [], None, id="most are no JPEG"),
    ],
)
def test_common_table(reals: list[int | None], fakes: list[int], expected: int | None) -> None:
    images: list[ImageRecord] = [image(number, 0, luma_quantisation_sum=table) for number, table in enumerate(reals)]
    images += [image(number, 1, luma_quantisation_sum=table) for number, table in enumerate(fakes, len(reals))]
    assert common_table(images) == common_table(reversed(images)) == expected


def test_a_few_sizes_are_named_one_by_one_the_smallest_first() -> None:
    shapes = [(600, 600), (300, 200), (200, 300), (600, 600), (50, 50)]
    images = [image(number, number % 2, width=width, height=height) for number, (width, height) in enumerate(shapes)]
    assert found(images)["size"] == {"50 x 50": [4], "200 x 300": [2], "300 x 200": [1], "600 x 600": [0, 3]}


def test_many_sizes_are_cut_into_thirds_of_the_number_of_pixels() -> None:
    images = [image(number, number % 2, width=10 * (number + 1), height=100) for number in range(9)]
    assert found(images)["size"] == {
        "up to 3000 pixels": [0, 1, 2],
        "3001 to 6000 pixels": [3, 4, 5],
        "over 6000 pixels": [6, 7, 8],
    }


def test_thirds_are_a_partition_also_where_most_images_have_one_size() -> None:
    images = [image(number, 0, width=min(number, 5) + 1, height=10) for number in range(30)]
    masks = list(sizes(images).values())
    assert np.sum(masks, axis=0).tolist() == [1] * 30
