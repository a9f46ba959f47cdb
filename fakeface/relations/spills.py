"""Records that wait on disk, so that memory does not grow with their number.

A spill is a temporary file without a name: it is gone when the process ends, however it ends.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[Any]
Integers = npt.NDArray[np.integer]


class Spill:
    """Records of one NumPy type on the disk that `folder` is on, in the order in which they are appended."""

    def __init__(self, folder: Path, kind: np.dtype[Any]) -> None:
        self.kind = kind
        self._folder = folder
        self._length = 0
        self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by __exit__
        self._appending = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._length

    def append(self, records: Records) -> int:
        """From any thread; the position that the first of them gets."""
        data = records.view(np.uint8).data
        with self._appending:
            try:
                while data:
                    data = data[self._file.write(data) :]
            except OSError as error:
                error.filename = str(self._folder)  # a full disk is reported without a name
                raise
            start = self._length
            self._length += len(records)
        return start

    def read(self, start: int, stop: int) -> Records:
        """A copy: pages of a file that is mapped into memory count as the process's own."""
        records = np.empty(stop - start, self.kind)
        self.read_into(records, start)
        return records

    def read_into(self, records: Records, start: int) -> None:
        os.preadv(self._file.fileno(), [records.view(np.uint8).data], start * self.kind.itemsize)

    def parts(self, size: int) -> Iterator[Records]:
        for start in range(0, len(self), size):
            yield self.read(start, min(start + size, len(self)))

    def clear(self) -> None:
        """To append from the first position again."""
        self._file.seek(0)
        self._length = 0


class Buckets(Spill):
    """Records that each belong into one of `count` buckets, to be read a bucket at a time."""

    def __init__(self, folder: Path, kind: np.dtype[Any], count: int) -> None:
        super().__init__(folder, kind)
        self.count = count
        self._pieces: list[tuple[int, Integers]] = []
        """Where records that came together start, and from there where each bucket's do."""

    def put(self, records: Records, buckets: Integers) -> None:
        """Each record into the bucket of that number, behind those that are there."""
        buckets = buckets.astype(np.min_scalar_type(self.count))  # the shorter, the faster sorted
        order = np.argsort(buckets, kind="stable")
        bounds = np.searchsorted(buckets[order], np.arange(self.count + 1, dtype=buckets.dtype))
        self._pieces.append((self.append(records.take(order)), bounds.astype(np.min_scalar_type(len(records)))))

    def bucket(self, number: int) -> Records:
        pieces = [(start, *bounds[number : number + 2].tolist()) for start, bounds in self._pieces]
        records = np.empty(sum(stop - first for _, first, stop in pieces), self.kind)
        filled = 0
        for start, first, stop in pieces:
            self.read_into(records[filled : filled + stop - first], start + first)
            filled += stop - first
        return records

    def clear(self) -> None:
        super().clear()
        self._pieces.clear()
