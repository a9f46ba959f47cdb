import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.relations.spills import Buckets, Records, Spill

NUMBERED = np.dtype([("number", np.int32), ("bytes", np.uint8, 3)])


def numbered(start: int, stop: int) -> Records:
    records = np.zeros(stop - start, NUMBERED)
    records["number"] = np.arange(start, stop)
    records["bytes"] = np.arange(start, stop)[:, None] % 256
    return records


def test_records_come_back_as_they_were_appended(tmp_path: Path) -> None:
    with Spill(tmp_path, NUMBERED) as spill:
        assert [spill.append(numbered(start, start + 10)) for start in (0, 10, 20)] == [0, 10, 20]
        assert len(spill) == 30
        np.testing.assert_array_equal(spill.read(5, 25), numbered(5, 25))
        np.testing.assert_array_equal(np.concatenate(list(spill.parts(7))), numbered(0, 30))
        spill.clear()
        assert len(spill) == 0
        spill.append(numbered(40, 42))
        np.testing.assert_array_equal(spill.read(0, 2), numbered(40, 42))


@given(st.integers(1, 600), st.lists(st.lists(st.integers(0, 10_000), max_size=20), max_size=5))
def test_a_bucket_holds_its_records_in_their_order(count: int, added: list[list[int]]) -> None:
    with TemporaryDirectory() as folder, Buckets(Path(folder), NUMBERED, count) as buckets:
        expected: list[list[int]] = [[] for _ in range(count)]
        for numbers in added:
            records = np.zeros(len(numbers), NUMBERED)
            records["number"] = numbers
            buckets.put(records, records["number"] % count)
            for number in numbers:
                expected[number % count].append(number)
        assert [buckets.bucket(bucket)["number"].tolist() for bucket in range(count)] == expected


def test_a_spill_has_no_name_and_leaves_nothing(tmp_path: Path) -> None:
    with Spill(tmp_path, NUMBERED) as spill:
        spill.append(numbered(0, 10))
        assert list(tmp_path.iterdir()) == []
    assert not [link for link in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(link)]


def test_where_a_disk_is_full_is_told(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Spill(tmp_path, NUMBERED) as spill:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large") as raised:
                spill.append(numbered(0, 100))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(tmp_path)
