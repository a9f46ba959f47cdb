import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages import index, pack, split
from stages.images import fit, read_image
from stages.records import Side, SplitRecord, read_rows
from tests.conftest import ROOT, Command, Outcome, photo, write_photos

PARAMS = """
index: {max_rejected: 0}
split: {seed: 0, valid_fraction: 0.3, test_count: 1, test_difficulty: mid, test_fraction: 0.2}
pack: {train_px: 40, eval_px: 32}
"""
SIDES: tuple[tuple[Side, int], ...] = (("train", 40), ("valid", 32), ("test", 32))


@pytest.fixture
def faces(command: Command, tmp_path: Path) -> Path:
    """Photos, indexed and split: one of the training images is excluded, some are not square."""
    root = tmp_path / "faces"
    write_photos(root, {"training/real": 9, "training/fake": 12, "test/real": 3, "test/fake": 3})
    (root / "training/real/real_00008.jpg").write_bytes((root / "test/real/real_00000.jpg").read_bytes())
    photo(77, 90, 50).save(root / "training/real/real_00007.jpg")
    photo(78, 30, 64).save(root / "test/fake/mid_1_0010.jpg")
    (tmp_path / "params.yaml").write_text(PARAMS)
    params = ("--params", tmp_path / "params.yaml")
    tables = (
        "--images",
        tmp_path / "images.csv",
        "--rejected",
        tmp_path / "rejected.csv",
        "--metrics",
        tmp_path / "index.json",
    )
    assert command(index, root, *tables, *params).status == 0
    sides = ("--split", tmp_path / "split.csv", "--metrics", tmp_path / "split.json")
    assert command(split, tmp_path / "images.csv", *sides, *params).status == 0
    return root


@pytest.fixture
def arguments(faces: Path, tmp_path: Path) -> list[str]:
    paths = [faces, "--split", tmp_path / "split.csv", "--packed", tmp_path / "packed", "--params", tmp_path / "params.yaml"]
    return [str(path) for path in paths]


@pytest.fixture
def run(command: Command, arguments: list[str]) -> Callable[[], Outcome]:
    return lambda: command(pack, *arguments)


def test_row_i_is_the_sides_ith_image_as_anybody_reads_it(run: Callable[[], Outcome], faces: Path, tmp_path: Path) -> None:
    assert run() == Outcome(0, "", "")
    records = read_rows(tmp_path / "split.csv", SplitRecord)
    assert sum(record.side == "excluded" for record in records) == 1
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ["test.npy", "train.npy", "valid.npy"]
    for side, px in SIDES:
        images = np.load(tmp_path / f"packed/{side}.npy", mmap_mode="r")
        members = [record for record in records if record.side == side]
        assert images.shape == (len(members), px, px, 3)
        assert images.dtype == np.uint8
        for image, record in zip(images, members, strict=True):
            assert (image == fit(read_image(faces / record.path), px)).all()


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
    path = faces / "test/real/real_00001.jpg"
    harm(path)
    assert run() == Outcome(1, "", f"error: {path}: {reason}\n")
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ["train.npy", "valid.npy"]


def small_files_only() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


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


@pytest.mark.parametrize("value", ["0", "'224'", "1e9", "224.5"])
def test_a_nonsense_parameter_exits_2(run: Callable[[], Outcome], tmp_path: Path, value: str) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS.replace("train_px: 40", f"train_px: {value}"))
    outcome = run()
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {tmp_path}/params.yaml: pack.train_px: ")
    assert not (tmp_path / "packed").exists()


def test_help_says_what_it_does(command: Command) -> None:
    outcome = command(pack, "--help")
    assert outcome.status == 0
    assert "Decode each image once" in outcome.out
