"""Arrays (.npy), written whole, a row at a time, and memory-mapped.

Apart from `files`, so that what reads no array does not wait for NumPy.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fakeface.core.errors import FakefaceError
from fakeface.core.files import replacing


@contextmanager
def writing_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> Iterator[Callable[[Any], None]]:
    """A function that writes the next row of an array of that shape; the file takes its place when the block ends well.

    The file is written, not memory-mapped: on a full disk a write raises OSError, and a mapped page kills the process.
    """
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)

        def write(row: Any) -> None:
            try:
                file.write(np.ascontiguousarray(row, dtype).tobytes())
            except OSError as error:
                error.filename = str(temporary)  # `replacing` says `path` then, also where several arrays are being written
                raise

        yield write


def map_array(path: Path) -> NDArray[Any]:
    """The array in a file, memory-mapped. Raises FakefaceError where there is none."""
    try:
        # not mode "c": what could be written to must fit into memory
        mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FakefaceError(f"{path}: not an array: {error}") from None
    return mapped
