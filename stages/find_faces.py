"""Find the largest face in each photo, and the points of its mesh.

reads   IMAGES, the index; the photos in data.root; params.yaml: data
does    finds faces, on all cores; a photo without one is no error: later stages look at its centre
writes  FACES/faces.csv, a row per image in the index's order; FACES/landmarks.npy: float32 (N, 468, 2), x and y in px of the
        upright photo, row i is of row i in faces.csv, NaN where no face is found; METRICS, counts
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.arrays import writing_array
from fakeface.core.console import printable
from fakeface.core.errors import run_as_command
from fakeface.core.files import each_row, write_json, write_rows
from fakeface.core.parallel import on_all_machines
from fakeface.core.records import FaceRecord, ImageRecord
from fakeface.faces.finder import LANDMARKS, Face, Points, find_faces
from fakeface.params import DataParams, load_params
from fakeface.photos.images import read_indexed

NO_LANDMARKS = np.full((LANDMARKS, 2), np.nan, np.float32)


@dataclass(frozen=True)
class Paths:
    images: Annotated[Path, "CSV to read: the index"]
    faces: Annotated[Path, "folder to write faces.csv and landmarks.npy to"]
    metrics: Annotated[Path, "JSON to write: counts"]
    params: ParamsPath = Path("params.yaml")


def describe(path: str, faces: Sequence[Face]) -> tuple[FaceRecord, Points]:
    """The row of a photo, and the landmarks (468, 2) of the first face, the largest."""
    if not faces:
        return FaceRecord(path, 0, None, None, None, None, None), NO_LANDMARKS
    left, top, right, bottom = (round(float(value), 2) for value in faces[0].box)
    return FaceRecord(path, len(faces), round(faces[0].score, 4), left, top, right, bottom), faces[0].landmarks


def look_at(record: ImageRecord, root: Path) -> tuple[FaceRecord, Points]:
    """Raises ImageError, also where the file has changed since it was indexed."""
    return describe(record.path, find_faces(read_indexed(root / record.path, record.sha256)))


def count(records: Sequence[FaceRecord]) -> dict[str, int]:
    return {
        "photos": len(records),
        "found": sum(record.faces > 0 for record in records),
        "without_a_face": sum(record.faces == 0 for record in records),
        "several_faces": sum(record.faces > 1 for record in records),
    }


def summary(records: Sequence[FaceRecord]) -> str:
    """What was found, in a few lines, with the first photos that have no face."""
    counts = count(records)
    lines = [f"{counts['photos']:,} photos: a face in {counts['found']:,}, several in {counts['several_faces']:,}"]
    without = [record.path for record in records if not record.faces]
    if without:
        lines.append(f"without a face: {len(without):,}, whose centre is looked at instead")
        lines += [printable(f"  {path}") for path in without[:3]]
    return "\n".join(lines)


def run(paths: Paths, root: Path) -> None:
    total = sum(1 for _ in each_row(paths.images, ImageRecord))
    found = on_all_machines(partial(look_at, root=root), each_row(paths.images, ImageRecord), "find faces", total=total)
    records = []
    with writing_array(paths.faces / "landmarks.npy", np.float32, (total, LANDMARKS, 2)) as write:
        for record, landmarks in found:
            records.append(record)
            write(landmarks)
    write_rows(paths.faces / "faces.csv", FaceRecord, records)
    write_json(paths.metrics, count(records))
    print(summary(records))


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    run(paths, load_params(paths.params, "data", DataParams).root)


if __name__ == "__main__":
    run_as_command(main)
