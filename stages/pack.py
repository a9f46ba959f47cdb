"""Decode each train and valid image once, to fixed-size arrays.

reads   SPLIT, the side of each photo; the photos in data.root; params.yaml: data, pack
does    resizes the shorter side of each photo and cuts out the centre square, on all cores
writes  PACKED/{train,valid}.npy: uint8 (N, px, px, 3), row i is the side's i-th row in SPLIT; `infer` decodes the photos itself
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.errors import run_as_command
from fakeface.core.files import each_row, replacing
from fakeface.core.parallel import on_all_cores
from fakeface.core.records import Side, SplitRecord
from fakeface.params import DataParams, PackParams, load_params
from fakeface.photos.images import Pixels, fit, read_indexed


@dataclass(frozen=True)
class Paths:
    split: Annotated[Path, "CSV to read: every image's side"]
    packed: Annotated[Path, "folder to write train.npy and valid.npy to"]
    params: ParamsPath = Path("params.yaml")


def load_pixels(record: SplitRecord, root: Path, px: int) -> Pixels:
    """The pixels of one image, (px, px, 3). Raises ImageError, also where the file has changed since it was indexed."""
    return fit(read_indexed(root / record.path, record.sha256), px)


def write_images(path: Path, images: Iterable[Pixels], count: int, px: int) -> None:
    """Write `count` images as a .npy file (count, px, px, 3), with one at a time in memory.

    The file is written, not memory-mapped: on a full disk a write raises OSError, and a mapped page kills the process.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, px, px, 3)}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            file.write(image.data)


def run(paths: Paths, root: Path, params: PackParams) -> None:
    counts = Counter(record.side for record in each_row(paths.split, SplitRecord))
    sides: tuple[tuple[Side, int], ...] = (("train", params.train_px), ("valid", params.eval_px))
    for side, px in sides:
        records = (record for record in each_row(paths.split, SplitRecord) if record.side == side)
        images = on_all_cores(partial(load_pixels, root=root, px=px), records, side, total=counts[side])
        write_images(paths.packed / f"{side}.npy", images, counts[side], px)


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    run(paths, load_params(paths.params, "data", DataParams).root, load_params(paths.params, "pack", PackParams))


if __name__ == "__main__":
    run_as_command(main)
