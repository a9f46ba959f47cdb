import math
from pathlib import Path

import numpy as np
import psutil
import pytest

from fakeface.core.errors import FakefaceError
from fakeface.core.files import write_rows
from fakeface.core.records import SplitRecord
from fakeface.training.packed import load_side
from tests.split_rows import image

ROWS = [
    image(0, 1, path="a.jpg", side="train"),
    image(1, 0, path="b.jpg", side="valid"),
    image(2, 0, path="c.jpg", side="train"),
    image(3, 0, path="d.jpg", side="excluded"),
    image(4, 1, path="e.jpg", side="train"),
]
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
REGIONS = np.random.default_rng(1).integers(0, 7, (3, 3, 8, 8), dtype=np.uint8)
COOCCURRENCES = np.random.default_rng(3).random((3, 3, 5), np.float32)
LAUNDERED = np.random.default_rng(2).integers(0, 256, (3, 2, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A table of five images, three of them for training and one valid, whose pixels lie in packed/."""
    write_rows(tmp_path / "split.csv", SplitRecord, ROWS)
    (tmp_path / "packed").mkdir()
    np.save(tmp_path / "packed/train.npy", IMAGES)
    np.save(tmp_path / "packed/train_regions.npy", REGIONS)
    np.save(tmp_path / "packed/train_laundered.npy", LAUNDERED)
    np.save(tmp_path / "packed/train_cooccurrences.npy", COOCCURRENCES)
    np.save(tmp_path / "packed/valid.npy", IMAGES[:1])
    np.save(tmp_path / "packed/valid_cooccurrences.npy", COOCCURRENCES[:1, :1])
    np.save(tmp_path / "packed/valid_regions.npy", REGIONS[:1, :1])
    return tmp_path / "split.csv"


def test_images_and_records_stand_in_the_same_order(split: Path, tmp_path: Path) -> None:
    side = load_side(tmp_path / "packed", split, "train")
    assert (side.images == IMAGES).all()
    assert (side.regions == REGIONS).all()
    assert (side.laundered == LAUNDERED).all()
    assert (side.cooccurrences == COOCCURRENCES).all()
    assert [row.path for row in side.records] == ["a.jpg", "c.jpg", "e.jpg"]
    assert side.labels.tolist() == [1, 0, 1]
    assert side.labels.dtype == np.int64


def test_valid_images_have_no_laundered_copies(split: Path, tmp_path: Path) -> None:
    side = load_side(tmp_path / "packed", split, "valid")
    assert (side.images == IMAGES[:1]).all()
    assert (side.regions == REGIONS[:1, :1]).all()
    assert side.laundered.shape == (1, 0, 8, 8, 3)


def test_there_may_be_no_laundered_copies_at_all(split: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "packed/train_laundered.npy", LAUNDERED[:, :0])
    assert load_side(tmp_path / "packed", split, "train").laundered.shape == (3, 0, 8, 8, 3)


def test_the_files_are_mapped_and_never_written_to(split: Path, tmp_path: Path) -> None:
    side = load_side(tmp_path / "packed", split, "train")
    for array in (side.images, side.regions, side.laundered, side.cooccurrences):
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


def test_a_file_larger_than_memory_can_be_mapped(tmp_path: Path) -> None:
    """A file of holes: 1.5 times the machine's memory and swap in length, and nearly nothing on the disk."""
    px, memory = 4096, psutil.virtual_memory().total + psutil.swap_memory().total
    count = int(1.5 * memory) // (px * px * 3) + 1
    write_rows(tmp_path / "split.csv", SplitRecord, [image(number, 0, side="train") for number in range(count)])
    shapes = {"train": (px, px, 3), "train_regions": (1, px, px), "train_laundered": (0, px, px, 3)}
    for name, shape in shapes.items():
        with (tmp_path / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)})
            file.truncate(file.tell() + count * math.prod(shape))
    np.save(tmp_path / "train_cooccurrences.npy", np.zeros((count, 1, 1), np.float32))
    side = load_side(tmp_path, tmp_path / "split.csv", "train")
    assert side.images.nbytes > memory
    assert not side.images[-1, -1].any()


def test_another_number_of_images_than_rows_is_refused(split: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "packed/valid.npy", IMAGES)
    with pytest.raises(FakefaceError, match=r"valid\.npy: 3 images; .*split\.csv has 1 of side valid$"):
        load_side(tmp_path / "packed", split, "valid")
    np.save(tmp_path / "packed/train_laundered.npy", LAUNDERED[:2])
    with pytest.raises(FakefaceError, match=r"train_laundered\.npy: 2 images; .*split\.csv has 3 of side train$"):
        load_side(tmp_path / "packed", split, "train")


def test_a_file_that_is_no_array_is_named(split: Path, tmp_path: Path) -> None:
    path = tmp_path / "packed/train.npy"
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[:4], whole[:200]):
        path.write_bytes(damaged)
        with pytest.raises(FakefaceError, match=r"train\.npy: not an array: "):
            load_side(tmp_path / "packed", split, "train")


def test_an_array_of_objects_is_refused_and_runs_no_code(split: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "packed/train.npy", np.array([{}, {}, {}]), allow_pickle=True)
    with pytest.raises(FakefaceError, match="not an array"):
        load_side(tmp_path / "packed", split, "train")


def test_a_missing_file_is_named(split: Path, tmp_path: Path) -> None:
    (tmp_path / "packed/valid.npy").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load_side(tmp_path / "packed", split, "valid")
    assert caught.value.filename == str(tmp_path / "packed/valid.npy")
