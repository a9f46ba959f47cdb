from pathlib import Path

import numpy as np
import pytest

from fakeface.core.arrays import map_array, writing_array
from fakeface.core.errors import FakefaceError


@pytest.mark.parametrize("shape", [(3, 4, 2), (0, 4), (3, 0, 2), (2,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_written_row_by_row_is_the_array(tmp_path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    array = np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)
    with writing_array(tmp_path / "new/array.npy", dtype, shape) as write:
        for row in array:
            write(row)
    np.save(tmp_path / "saved.npy", array)
    assert (tmp_path / "new/array.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()
    mapped = map_array(tmp_path / "new/array.npy")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, array)


def test_a_turned_row_is_written_as_it_is_read(tmp_path: Path) -> None:
    row = np.arange(6, dtype=np.uint8).reshape(2, 3)
    with writing_array(tmp_path / "array.npy", np.uint8, (1, 3, 2)) as write:
        write(row.T)
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy")[0], row.T)


def test_of_what_fails_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="invalid literal"), writing_array(tmp_path / "array.npy", np.uint8, (2, 1)) as write:
        write(["no number"])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_array_is_named(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"
    np.save(path, np.arange(100))
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[:4], whole[:200]):
        path.write_bytes(damaged)
        with pytest.raises(FakefaceError, match=r"array\.npy: not an array: "):
            map_array(path)


def test_an_array_of_objects_is_refused_and_runs_no_code(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(FakefaceError, match="not an array"):
        map_array(tmp_path / "array.npy")
