import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakeface.core.files import read_rows, sha256_of, write_rows
from fakeface.core.records import FRAMINGS, FaceRecord, Framing, Side, SplitRecord
from fakeface.detector import crop_photo, load_detectors
from fakeface.faces.cooccurrences import cooccurrences
from fakeface.faces.crops import crop, scale_landmarks
from fakeface.faces.finder import LANDMARKS, Points
from fakeface.faces.regions import Region
from fakeface.photos.images import fit, read_image
from fakeface.photos.perturbations import launder
from stages import find_faces, pack
from tests.conftest import ROOT, Command, Outcome, photo, write_params
from tests.faces.drawn import drawn_face
from tests.split_rows import image
from tests.tiny_models import IMAGE_PX, write_model

SIDES: dict[Side, int] = {"train": 40, "valid": 32}
ARRAYS = [
    "train.npy",
    "train_cooccurrences.npy",
    "train_laundered.npy",
    "train_regions.npy",
    "valid.npy",
    "valid_cooccurrences.npy",
    "valid_regions.npy",
]
WITHOUT_A_FACE = 4
"""The photo, an excluded one aside, of the drawn faces' folder that shows none."""
ROWS: tuple[tuple[Side, tuple[int, int]], ...] = (
    ("valid", (48, 48)),
    ("train", (48, 48)),
    ("test", (30, 64)),
    ("train", (90, 50)),
    ("excluded", (48, 48)),
    ("train", (30, 64)),
    ("valid", (64, 30)),
    ("test", (48, 48)),
)


def write_pack_params(
    folder: Path, root: Path, train_px: object = 40, framing: Framing = "centre", laundered: int = 0, *, refit: bool = False
) -> None:
    pack = {"train_px": train_px, "eval_px": 32, "framing": framing, "laundered": laundered}
    changes = {"data": {"root": str(root)}, "pack": pack, "augment": {"crop_px": 40}, "train": {"refit": refit}}
    write_params(folder / "params.yaml", changes)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Photos of all sides, some not square, none with a face, and the split that says so."""
    root = tmp_path / "faces"
    root.mkdir()
    rows = []
    for number, (side, size) in enumerate(ROWS):
        path = root / f"{number}.jpg"
        photo(number, *size).save(path)
        rows.append(image(number, number % 2, path=path.name, side=side, sha256=sha256_of(path)))
    write_rows(tmp_path / "split.csv", SplitRecord, rows)
    none_found = [FaceRecord(row.path, 0, None, None, None, None, None) for row in rows]
    write_rows(tmp_path / "found/faces.csv", FaceRecord, none_found)
    np.save(tmp_path / "found/landmarks.npy", np.full((len(rows), LANDMARKS, 2), np.nan, np.float32))
    write_pack_params(tmp_path, root)
    return root


@pytest.fixture
def drawn(faces: Path, tmp_path: Path) -> Path:
    """Photos of drawn faces in their places, and what `find_faces` found; one shows none."""
    rows = read_rows(tmp_path / "split.csv", SplitRecord)
    for number, row in enumerate(rows):
        picture = photo(7, 300, 200)
        if number != WITHOUT_A_FACE:
            picture.paste(drawn_face(number, 180), (100, 10))
        picture.save(faces / row.path, quality=95)
        rows[number] = replace(row, sha256=sha256_of(faces / row.path))
    write_rows(tmp_path / "split.csv", SplitRecord, rows)
    find_faces.run(find_faces.Paths(tmp_path / "split.csv", tmp_path / "found", tmp_path / "faces.json"), faces)
    return faces


@pytest.fixture
def arguments(faces: Path, tmp_path: Path) -> list[str]:
    paths = {"split": "split.csv", "faces": "found", "packed": "packed", "params": "params.yaml"}
    return [str(word) for name, path in paths.items() for word in (f"--{name}", tmp_path / path)]


@pytest.fixture
def run(command: Command, arguments: list[str]) -> Callable[[], Outcome]:
    return lambda: command(pack, *arguments)


def test_row_i_is_the_sides_ith_image_as_anybody_reads_it(run: Callable[[], Outcome], faces: Path, tmp_path: Path) -> None:
    assert run() == Outcome(0, "", "")
    records = read_rows(tmp_path / "split.csv", SplitRecord)
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ARRAYS
    for side, px in SIDES.items():
        images = np.load(tmp_path / f"packed/{side}.npy", mmap_mode="r")
        members = [record for record in records if record.side == side]
        assert images.shape == (len(members), px, px, 3)
        assert images.dtype == np.uint8
        for pixels, record in zip(images, members, strict=True):
            assert (pixels == fit(read_image(faces / record.path), px)).all()
        regions = np.load(tmp_path / f"packed/{side}_regions.npy", mmap_mode="r")
        assert regions.shape == (len(members), 1, px, px)
        assert regions.dtype == np.uint8
        assert (regions == Region.REST).all()
    assert np.load(tmp_path / "packed/train_laundered.npy", mmap_mode="r").shape == (3, 0, 40, 40, 3)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_for_a_refit_valid_photos_are_packed_as_train_photos_too(
    run: Callable[[], Outcome], drawn: Path, tmp_path: Path, framing: Framing
) -> None:
    """What is packed of them as train photos is what would be if train were their side."""
    write_pack_params(tmp_path, drawn, framing=framing, laundered=2, refit=True)
    assert run() == Outcome(0, "", "")
    of_refit = {path.name: np.load(path) for path in (tmp_path / "packed").glob("refit*")}
    assert sorted(of_refit) == [name.replace("train", "refit") for name in ARRAYS if "train" in name]
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == sorted([*ARRAYS, *of_refit])
    rows = read_rows(tmp_path / "split.csv", SplitRecord)
    swapped: dict[str, Side] = {"train": "valid", "valid": "train"}
    write_rows(tmp_path / "split.csv", SplitRecord, [replace(row, side=swapped.get(row.side, row.side)) for row in rows])
    assert run() == Outcome(0, "", "")
    for name, array in of_refit.items():
        np.testing.assert_array_equal(np.load(tmp_path / "packed" / name.replace("refit", "train")), array)


def members(tmp_path: Path, side: Side) -> list[tuple[SplitRecord, Points | None]]:
    """The side's rows of the split, and the landmarks of each."""
    records = read_rows(tmp_path / "split.csv", SplitRecord)
    landmarks = np.load(tmp_path / "found/landmarks.npy")
    return [
        (record, None if np.isnan(points).all() else points)
        for record, points in zip(records, landmarks, strict=True)
        if record.side == side
    ]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_array_holds_what_crop_makes_of_a_photo(
    run: Callable[[], Outcome], drawn: Path, tmp_path: Path, framing: Framing
) -> None:
    write_pack_params(tmp_path, drawn, framing=framing, laundered=2)
    assert run() == Outcome(0, "", "")
    arrays = {name: np.load(tmp_path / "packed" / name) for name in ARRAYS}
    for row, (record, landmarks) in enumerate(members(tmp_path, "train")):
        picture = read_image(drawn / record.path)
        expected = crop(picture, landmarks, framing, 32, 4)
        assert (arrays["train.npy"][row] == expected.pixels).all()
        assert (arrays["train_regions.npy"][row, 0] == expected.regions).all()
        assert (arrays["train_cooccurrences.npy"][row, 0] == cooccurrences(picture, landmarks)).all()
        for number in range(2):
            copy = launder(picture, np.random.default_rng([int(record.sha256, 16), number]))
            points = scale_landmarks(landmarks, picture.size, copy.size)
            laundered = crop(copy, points, framing, 32, 4)
            assert (arrays["train_cooccurrences.npy"][row, 1 + number] == cooccurrences(copy, points)).all()
            assert (arrays["train_laundered.npy"][row, number] == laundered.pixels).all()
            assert (arrays["train_regions.npy"][row, 1 + number] == laundered.regions).all()
            if framing != "native":
                difference = np.abs(laundered.pixels.astype(int) - expected.pixels).mean()
                assert 0 < difference < 12, "the same crop, a little worse"
    assert (arrays["train_laundered.npy"][:, 0] != arrays["train_laundered.npy"][:, 1]).any(axis=(1, 2, 3)).all()
    for row, (record, landmarks) in enumerate(members(tmp_path, "valid")):
        expected = crop(read_image(drawn / record.path), landmarks, framing, 32)
        assert (arrays["valid.npy"][row] == expected.pixels).all()
        assert (arrays["valid_regions.npy"][row, 0] == expected.regions).all()
        assert (arrays["valid_cooccurrences.npy"][row, 0] == cooccurrences(read_image(drawn / record.path), landmarks)).all()
        assert set(np.unique(expected.regions)) >= {Region.LEFT_EYE, Region.RIGHT_EYE, Region.NOSE, Region.MOUTH}


def test_a_photo_without_a_face_goes_on_by_its_centre(run: Callable[[], Outcome], drawn: Path, tmp_path: Path) -> None:
    rows = read_rows(tmp_path / "split.csv", SplitRecord)
    rows[WITHOUT_A_FACE] = replace(rows[WITHOUT_A_FACE], side="train")
    write_rows(tmp_path / "split.csv", SplitRecord, rows)
    write_pack_params(tmp_path, drawn, framing="face", laundered=1)
    run()
    row = [record.path for record, _ in members(tmp_path, "train")].index(rows[WITHOUT_A_FACE].path)
    picture = read_image(drawn / rows[WITHOUT_A_FACE].path)
    assert (np.load(tmp_path / "packed/train.npy")[row] == fit(picture, 40)).all()
    assert (np.load(tmp_path / "packed/train_regions.npy")[row] == Region.REST).all()


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_valid_row_is_what_a_verdict_sees_of_the_photo(
    run: Callable[[], Outcome], drawn: Path, tmp_path: Path, framing: Framing
) -> None:
    assert SIDES["valid"] == IMAGE_PX
    write_pack_params(tmp_path, drawn, framing=framing)
    run()
    write_model(tmp_path / "models/ce", "ce", framing=framing, sees_regions=True, sees_cooccurrences=True)
    write_model(tmp_path / "models/bce", "bce", framing=framing)
    detectors = load_detectors(tmp_path / "models")
    images, regions, values = (np.load(tmp_path / "packed" / f"valid{name}.npy") for name in ("", "_regions", "_cooccurrences"))
    for row, (record, _) in enumerate(members(tmp_path, "valid")):
        for seen in crop_photo(read_image(drawn / record.path), detectors).values():
            assert (seen.pixels == images[row]).all()
            assert (seen.regions == regions[row, 0]).all()
            assert (seen.cooccurrences == values[row, 0]).all()


def test_faces_of_other_photos_are_refused(run: Callable[[], Outcome], faces: Path, tmp_path: Path) -> None:
    table = tmp_path / "found/faces.csv"
    rows = read_rows(table, FaceRecord)
    write_rows(table, FaceRecord, [*rows[:3], rows[4], rows[3], *rows[5:]])
    expected = f"{table}: line 5: 4.jpg: expected 3.jpg, as in {tmp_path}/split.csv"
    assert run() == Outcome(1, "", f"error: {expected}\n")
    write_rows(table, FaceRecord, rows[:-1])
    expected = f"{table}: line 9: nothing: expected 7.jpg, as in {tmp_path}/split.csv"
    assert run() == Outcome(1, "", f"error: {expected}\n")
    shutil.rmtree(tmp_path / "found")
    assert run() == Outcome(1, "", f"error: {tmp_path}/found/landmarks.npy: No such file or directory\n")


def test_packing_again_gives_the_same_bytes(run: Callable[[], Outcome], tmp_path: Path) -> None:
    run()
    before = {path.name: path.read_bytes() for path in (tmp_path / "packed").iterdir()}
    run()
    assert {path.name: path.read_bytes() for path in (tmp_path / "packed").iterdir()} == before


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "No such file or directory"),
        (lambda path: photo(99).save(path), "changed since it was indexed: `dvc repro` indexes it again"),
        (lambda path: path.write_bytes(b""), "changed since it was indexed: `dvc repro` indexes it again"),
    ],
)
def test_a_file_that_changed_since_is_named(
    run: Callable[[], Outcome], faces: Path, tmp_path: Path, harm: Callable[[Path], object], reason: str
) -> None:
    path = faces / "6.jpg"
    harm(path)
    assert run() == Outcome(1, "", f"error: {path}: {reason}\n")
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == [name for name in ARRAYS if "train" in name]


@pytest.mark.parametrize("number", [2, 4])
def test_test_and_excluded_photos_are_not_even_opened(run: Callable[[], Outcome], faces: Path, number: int) -> None:
    (faces / f"{number}.jpg").unlink()
    assert run().status == 0


def small_files_only() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


def test_a_full_disk_is_one_line_and_leaves_no_half_file(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "stages.pack", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        preexec_fn=small_files_only,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path}/packed/train.npy: File too large\n"
    assert list((tmp_path / "packed").iterdir()) == []


@pytest.mark.parametrize("value", [0, "224", 1e9, 224.5])
def test_a_nonsense_parameter_exits_2(run: Callable[[], Outcome], faces: Path, tmp_path: Path, value: object) -> None:
    write_pack_params(tmp_path, faces, train_px=value)
    outcome = run()
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {tmp_path}/params.yaml: pack.train_px: ")
    assert not (tmp_path / "packed").exists()


def test_help_says_what_it_does(command: Command) -> None:
    outcome = command(pack, "--help")
    assert outcome.status == 0
    assert "Decode each train and valid image once" in outcome.out
