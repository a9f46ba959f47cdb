import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fakeface.core.files import read_json
from stages import compute_stats
from stages.compute_stats import channel_stats
from tests.conftest import ROOT, Command, Outcome

Images = npt.NDArray[np.uint8]

shapes = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.just(3))
image_arrays = arrays(np.uint8, shapes)


@given(images=image_arrays, cut=st.integers(1, 5))
def test_streaming_equals_two_passes(images: Images, cut: int) -> None:
    stats = channel_stats([images[:cut], images[cut:]])
    scaled = images.reshape(-1, 3) / 255
    np.testing.assert_allclose(stats.mean, scaled.mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(stats.std, scaled.std(axis=0), rtol=1e-12, atol=1e-12)
    assert stats.images == len(images)


@given(images=image_arrays, cut=st.integers(1, 5))
def test_chunks_do_not_matter(images: Images, cut: int) -> None:
    assert channel_stats([images]) == channel_stats([images[:cut], images[cut:]]) == channel_stats(images[:, None])


def test_sums_of_the_brightest_images_do_not_overflow() -> None:
    white = np.full((3, 300, 300, 3), 255, np.uint8)
    stats = channel_stats([white] * 40)
    assert (stats.mean, stats.std, stats.images) == ([1.0] * 3, [0.0] * 3, 120)


def test_black_and_white_halves_deviate_by_a_half() -> None:
    halves = np.stack([np.zeros((257, 513, 3), np.uint8), np.full((257, 513, 3), 255, np.uint8)])
    stats = channel_stats([halves])
    assert (stats.mean, stats.std) == ([0.5] * 3, [0.5] * 3)


def test_channels_are_kept_apart() -> None:
    images = np.broadcast_to(np.array([0, 51, 255], np.uint8), (2, 5, 7, 3))
    assert channel_stats([np.ascontiguousarray(images)]).mean == [0.0, 0.2, 1.0]


def test_the_command_writes_what_the_file_holds(command: Command, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 20, 20, 3), dtype=np.uint8)
    np.save(tmp_path / "train.npy", images)
    assert command(compute_stats, "--images", tmp_path / "train.npy", "--stats", tmp_path / "stats.json") == Outcome(0, "", "")
    stats = read_json(tmp_path / "stats.json")
    np.testing.assert_allclose(stats["mean"], (images / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(stats["std"], (images / 255).std(axis=(0, 1, 2)), rtol=1e-12)
    assert stats["images"] == 70


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not an array of images"),
        (b"mean,std\n", "not an array of images"),
        (b"\x93NUMPY\x01\x00", "not an array of images"),
        (np.zeros((3, 4, 4, 3)), "float64 (3, 4, 4, 3): expected uint8 (N, px, px, 3)"),
        (np.zeros((3, 4), np.uint8), "uint8 (3, 4): expected uint8 (N, px, px, 3)"),
        (np.zeros((0, 4, 4, 3), np.uint8), "no images: a mean needs one at least"),
    ],
)
def test_what_is_no_packed_array_is_refused(
    command: Command, tmp_path: Path, content: bytes | npt.NDArray[np.generic], complaint: str
) -> None:
    path = tmp_path / "train.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    outcome = command(compute_stats, "--images", path, "--stats", tmp_path / "stats.json")
    assert outcome == Outcome(1, "", f"error: {path}: {complaint}\n")
    assert not (tmp_path / "stats.json").exists()


def test_a_missing_array_is_one_line(command: Command, tmp_path: Path) -> None:
    outcome = command(compute_stats, "--images", tmp_path / "train.npy", "--stats", tmp_path / "stats.json")
    assert outcome == Outcome(1, "", f"error: {tmp_path}/train.npy: No such file or directory\n")


def test_memory_does_not_grow_with_the_array(tmp_path: Path) -> None:
    path = tmp_path / "train.npy"
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (1500, 256, 256, 3))  # 295 MB of holes
    del images
    program = f"""
from pathlib import Path
from stages.compute_stats import Paths, run
run(Paths(Path({str(path)!r}), Path({str(tmp_path / "stats.json")!r})))
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(peak.split()[1])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert int(done.stdout) < 150_000  # KiB; ru_maxrss would count the test process this one was forked from
    assert read_json(tmp_path / "stats.json") == {"mean": [0.0] * 3, "std": [0.0] * 3, "images": 1500}
