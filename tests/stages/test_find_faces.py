from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakeface.core.files import read_json, read_rows, sha256_of, write_rows
from fakeface.core.records import FaceRecord, ImageRecord
from fakeface.faces.finder import LANDMARKS, find_faces
from fakeface.photos.images import read_image
from stages import find_faces as stage
from tests.conftest import Command, Outcome, photo, write_params
from tests.faces.drawn import drawn_face
from tests.split_rows import image

FACES_OF = {"one.jpg": 1, "none.png": 0, "sub/둘.webp": 2, "another.jpg": 1, "b\x1bad.jpg": 0}
"""How many faces the photos show, in the order of the index."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos with so many drawn faces, and their index."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rows = []
    for number, (name, count) in enumerate(FACES_OF.items()):
        picture = photo(number, 420, 240)
        for position in range(count):
            picture.paste(drawn_face(number + position, 200), (210 * position, 20))
        picture.save(folder / name)
        rows.append(image(number, number % 2, path=name, sha256=sha256_of(folder / name)))
    write_rows(tmp_path / "images.csv", ImageRecord, rows)
    write_params(tmp_path / "params.yaml", {"data": {"root": str(folder)}})
    return folder


@pytest.fixture
def run(command: Command, root: Path, tmp_path: Path) -> Callable[[], Outcome]:
    paths = {"images": "images.csv", "faces": "faces", "metrics": "faces.json", "params": "params.yaml"}
    return lambda: command(stage, *(word for name, path in paths.items() for word in (f"--{name}", tmp_path / path)))


def test_a_row_per_photo_with_its_largest_face(run: Callable[[], Outcome], root: Path, tmp_path: Path) -> None:
    assert run().status == 0
    rows, landmarks = read_rows(tmp_path / "faces/faces.csv", FaceRecord), np.load(tmp_path / "faces/landmarks.npy")
    assert {row.path: row.faces for row in rows} == FACES_OF
    assert list(FACES_OF) == [row.path for row in rows]
    assert landmarks.shape == (len(rows), LANDMARKS, 2)
    assert landmarks.dtype == np.float32
    for row, points in zip(rows, landmarks, strict=True):
        faces = find_faces(read_image(root / row.path))
        if not faces:
            assert row == FaceRecord(row.path, 0, None, None, None, None, None)
            assert np.isnan(points).all()
            continue
        assert (points == faces[0].landmarks).all()
        assert row.score == pytest.approx(faces[0].score, abs=1e-4)
        assert (row.left, row.top, row.right, row.bottom) == pytest.approx(faces[0].box.tolist(), abs=0.01)


def test_it_counts_and_names_photos_without_a_face(run: Callable[[], Outcome], tmp_path: Path) -> None:
    found, without = "5 photos: a face in 3, several in 1", "without a face: 2, whose centre is looked at instead"
    assert run() == Outcome(0, f"{found}\n{without}\n  none.png\n  b\\x1bad.jpg\n", "")
    assert read_json(tmp_path / "faces.json") == {"photos": 5, "found": 3, "without_a_face": 2, "several_faces": 1}


def test_where_every_photo_has_a_face_there_is_nothing_more_to_say(run: Callable[[], Outcome], tmp_path: Path) -> None:
    rows = read_rows(tmp_path / "images.csv", ImageRecord)
    write_rows(tmp_path / "images.csv", ImageRecord, [row for row in rows if FACES_OF[row.path]])
    assert run() == Outcome(0, "3 photos: a face in 3, several in 1\n", "")


def test_the_same_again_is_the_same_bytes(run: Callable[[], Outcome], tmp_path: Path) -> None:
    run()
    before = [path.read_bytes() for path in sorted((tmp_path / "faces").iterdir())]
    run()
    assert [path.read_bytes() for path in sorted((tmp_path / "faces").iterdir())] == before


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: photo(99).save(path)], ids=["gone", "another"])
def test_a_photo_that_changed_since_is_named(
    run: Callable[[], Outcome], root: Path, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    harm(root / "one.jpg")
    outcome = run()
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"error: {root / 'one.jpg'}: ")
    assert list((tmp_path / "faces").iterdir()) == []


def test_no_photo_at_all_leaves_empty_tables(run: Callable[[], Outcome], tmp_path: Path) -> None:
    write_rows(tmp_path / "images.csv", ImageRecord, [])
    assert run() == Outcome(0, "0 photos: a face in 0, several in 0\n", "")
    assert np.load(tmp_path / "faces/landmarks.npy").shape == (0, LANDMARKS, 2)


def test_only_the_photos_of_the_index_are_opened(run: Callable[[], Outcome], root: Path, tmp_path: Path) -> None:
    rows = read_rows(tmp_path / "images.csv", ImageRecord)
    write_rows(tmp_path / "images.csv", ImageRecord, [replace(rows[0], label=1)])
    (root / "none.png").unlink()
    assert run().status == 0


def test_help_says_what_it_does(command: Command) -> None:
    outcome = command(stage, "--help")
    assert outcome.status == 0
    assert "Find the largest face in each photo" in outcome.out
