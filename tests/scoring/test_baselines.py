from itertools import count

import numpy as np
import pytest

from fakeface.core.records import FaceRecord, SplitRecord
from fakeface.scoring.baselines import BASELINES, baseline_p_fake, baseline_scores, face_box
from fakeface.scoring.intervals import resample
from fakeface.scoring.results import BaselineName, Score
from tests.split_rows import image

NUMBERS = count()


def rows(
    real: int, fake: int, tables: tuple[int | None, int | None] = (92, 92), kilobytes: tuple[int, int] = (50, 50)
) -> list[SplitRecord]:
    """Reals and fakes with a JPEG table and a size each."""
    return [
        image(next(NUMBERS), label, luma_quantisation_sum=tables[label], bytes=1000 * kilobytes[label])
        for label in [0] * real + [1] * fake
    ]


def faces_of(*sides: list[SplitRecord], fakes_right_px: int = 0) -> dict[str, FaceRecord]:
    """A face in the middle of each photo, that of fakes so much further to the right."""
    left = {row.path: 200.0 + row.label * fakes_right_px for side in sides for row in side}
    return {path: FaceRecord(path, 1, 0.9, at, 150, at + 200, 450) for path, at in left.items()}


def scored(
    train: list[SplitRecord], test: list[SplitRecord], faces: dict[str, FaceRecord] | None = None
) -> dict[BaselineName, tuple[Score, Score]]:
    found = baseline_scores(train, test, faces or faces_of(train, test), resample([row.group for row in test], 100, seed=0))
    return {name: (scores.accuracy, scores.roc_auc) for name, scores in found.items()}


@pytest.mark.parametrize("tables", [(92, 190), (190, 92), (None, 92)], ids=str)
def test_the_jpeg_header_is_perfect_where_the_classes_have_different_tables(tables: tuple[int | None, int | None]) -> None:
    found = scored(rows(20, 20, tables), rows(10, 5, tables))
    assert found["jpeg_header"] == (1.0, 1.0)
    assert found["file_size"][1] == 0.5


def test_where_the_files_are_alike_nothing_beats_chance() -> None:
    found = scored(rows(20, 20), rows(10, 10))
    assert found == dict.fromkeys(BASELINES, (0.5, 0.5))


def test_the_file_size_is_perfect_where_fakes_are_larger() -> None:
    found = scored(rows(20, 20, kilobytes=(40, 80)), rows(10, 10, kilobytes=(45, 75)))
    assert found["file_size"] == (1.0, 1.0)
    assert found["jpeg_header"] == (0.5, 0.5)


def test_the_majority_is_trains() -> None:
    """Three quarters of test are of the other class."""
    assert scored(rows(20, 30), rows(15, 5))["majority_class"] == (0.25, 0.5)


def test_a_range_of_sizes_in_between_can_be_separated() -> None:
    """A line, as of logistic regression, could not: fakes lie between small and large reals."""
    train = rows(20, 20, kilobytes=(10, 50)) + rows(20, 0, kilobytes=(90, 0))
    assert scored(train, train)["file_size"] == (1.0, 1.0)


def test_single_files_are_not_learned_by_heart() -> None:
    """Sizes that say nothing: the train images' own accuracy stays near chance."""
    rng = np.random.default_rng(0)
    train = [image(next(NUMBERS), number % 2, bytes=int(rng.integers(10_000, 90_000))) for number in range(400)]
    own = (baseline_p_fake("file_size", train, train, faces_of(train)) >= 0.5) == [row.label for row in train]
    assert own.mean() < 0.65


def test_the_face_box_is_perfect_where_fakes_are_framed_differently() -> None:
    train, test = rows(20, 20), rows(10, 10)
    found = scored(train, test, faces_of(train, test, fakes_right_px=40))
    assert found["face_box"] == (1.0, 1.0)
    assert found["file_size"] == (0.5, 0.5)


def test_a_face_box_is_relative_to_the_photo_and_minus_one_without_a_face() -> None:
    record = image(0, 0, width=400, height=200)
    assert face_box(record, FaceRecord(record.path, 2, 0.9, 100, 50, 300, 150)) == (0.25, 0.25, 0.75, 0.75)
    assert face_box(record, FaceRecord(record.path, 0, None, None, None, None, None)) == (-1, -1, -1, -1)


def test_faces_that_are_not_found_can_be_told_from_those_that_are() -> None:
    train = rows(20, 20)
    faces = {row.path: FaceRecord(row.path, 0, None, None, None, None, None) for row in train if row.label}
    assert scored(train, train, faces_of(train) | faces)["face_box"] == (1.0, 1.0)


def test_the_face_box_gives_the_same_numbers_on_every_run() -> None:
    rng = np.random.default_rng(0)
    train, test = rows(30, 30), rows(10, 10)
    faces = {
        row.path: FaceRecord(row.path, 1, 0.9, *(float(value) for value in rng.uniform(0, 600, 4))) for row in train + test
    }
    one, other = (baseline_p_fake("face_box", train, test, faces) for _ in range(2))
    assert np.array_equal(one, other)


def test_every_row_has_its_intervals() -> None:
    train = rows(20, 20)
    found = baseline_scores(train, train, faces_of(train), resample([row.group for row in train], 100, seed=0))
    for scores in found.values():
        assert scores.intervals.accuracy is not None
        assert scores.accuracy is not None
        low, high = scores.intervals.accuracy
        assert low < scores.accuracy < high
        assert scores.intervals.roc_auc == (0.5, 0.5)
