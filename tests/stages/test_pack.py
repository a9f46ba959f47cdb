import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fakeface.core.files import read_rows, sha256_of, write_rows
from fakeface.core.records import Side, SplitRecord
from fakeface.photos.images import fit, read_image
from stages import pack
from tests.conftest import ROOT, Command, Outcome, photo, write_params
from tests.split_rows import image

SIDES: dict[Side, int] = {"train": 40, "valid": 32}
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


def write_pack_params(folder: Path, root: Path, train_px: object = 40) -> None:
    pack = {"train_px": train_px, "eval_px": 32}
    write_params(folder / "params.yaml", {"data": {"root": str(root)}, "pack": pack, "augment": {"crop_px": 40}})


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Photos of all sides, some not square, and the split that says so."""
    root = tmp_path / "faces"
    root.mkdir()
    rows = []
    for number, (side, size) in enumerate(ROWS):
        path = root / f"{number}.jpg"
        photo(number, *size).save(path)
        rows.append(image(number, number % 2, path=path.name, side=side, sha256=sha256_of(path)))
    write_rows(tmp_path / "split.csv", SplitRecord, rows)
    write_pack_params(tmp_path, root)
    return root


@pytest.fixture
def arguments(faces: Path, tmp_path: Path) -> list[str]:
    paths = ["--split", tmp_path / "split.csv", "--packed", tmp_path / "packed", "--params", tmp_path / "params.yaml"]
    return [str(path) for path in paths]


@pytest.fixture
def run(command: Command, arguments: list[str]) -> Callable[[], Outcome]:
    return lambda: command(pack, *arguments)


def test_row_i_is_the_sides_ith_image_as_anybody_reads_it(run: Callable[[], Outcome], faces: Path, tmp_path: Path) -> None:
    assert run() == Outcome(0, "", "")
    records = read_rows(tmp_path / "split.csv", SplitRecord)
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ["train.npy", "valid.npy"]
    for side, px in SIDES.items():
        images = np.load(tmp_path / f"packed/{side}.npy", mmap_mode="r")
        members = [record for record in records if record.side == side]
        assert images.shape == (len(members), px, px, 3)
        assert images.dtype == np.uint8
        for pixels, record in zip(images, members, strict=True):
            assert (pixels == fit(read_image(faces / record.path), px)).all()


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
    assert [path.name for path in (tmp_path / "packed").iterdir()] == ["train.npy"]


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
