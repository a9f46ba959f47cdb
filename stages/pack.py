"""Decode each train and valid image once, to fixed-size arrays.

reads   SPLIT, the side of each photo; FACES, its largest face; the photos in data.root; params.yaml: data, pack, train.refit
does    cuts out the face, aligned or as it stands, or the centre square, on all cores; train images once more in copies as the
        web leaves them; for a refit valid images as train images too
writes  PACKED/{train,valid}.npy: uint8 (N, px, px, 3), row i is the side's i-th row in SPLIT, as are those of all arrays;
        PACKED/train_laundered.npy: uint8 (N, copies, px, px, 3);
        PACKED/{train,valid}_regions.npy: uint8 (N, 1 + copies, px, px), which part of a face each pixel shows, of the photo and
        of each copy;
        PACKED/{train,valid}_cooccurrences.npy: float32 (N, 1 + copies, SIZE), of the photo's own pixels and of each copy's;
        for a refit PACKED/refit*.npy, as PACKED/train*.npy, of valid's photos; `infer` decodes the photos itself
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.arrays import map_array, writing_array
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import each_row
from fakeface.core.parallel import on_all_machines
from fakeface.core.records import FaceRecord, Framing, PackedName, Side, SplitRecord
from fakeface.faces.cooccurrences import SIZE, Values, cooccurrences
from fakeface.faces.crops import crop, scale_landmarks
from fakeface.faces.finder import Points
from fakeface.faces.regions import RegionMap
from fakeface.params import DataParams, PackParams, TrainParams, load_params
from fakeface.photos.images import Pixels, read_indexed
from fakeface.photos.perturbations import launder


@dataclass(frozen=True)
class Paths:
    split: Annotated[Path, "CSV to read: every image's side"]
    faces: Annotated[Path, "folder to read faces.csv and landmarks.npy from"]
    packed: Annotated[Path, "folder to write the arrays to"]
    params: ParamsPath = Path("params.yaml")


@dataclass(frozen=True)
class Format:
    """How the images of a side are packed: see `crop`; `copies` is how many laundered ones come with each."""

    side: Side
    framing: Framing
    px: int
    margin_px: int
    copies: int

    @property
    def side_px(self) -> int:
        return self.px + 2 * self.margin_px


class Photo(NamedTuple):
    """A row of the split and the landmarks of its face, None where there is none."""

    record: SplitRecord
    landmarks: Points | None


class PackedPhoto(NamedTuple):
    """`pixels` (P, P, 3), `laundered` (copies, P, P, 3), `regions` (1 + copies, P, P), `cooccurrences` (1 + copies, SIZE)."""

    pixels: Pixels
    laundered: Pixels
    regions: RegionMap
    cooccurrences: Values


def formats_of(params: PackParams, *, refit: bool) -> dict[PackedName, Format]:
    """Framed by its face, a train image shows more around the same face, in "centre" the same in more pixels."""
    if params.framing == "centre":
        train = Format("train", "centre", params.train_px, 0, params.laundered)
    else:
        train = Format("train", params.framing, params.eval_px, (params.train_px - params.eval_px) // 2, params.laundered)
    formats: dict[PackedName, Format] = {"train": train, "valid": Format("valid", params.framing, params.eval_px, 0, 0)}
    return formats | {"refit": replace(train, side="valid")} if refit else formats


def photos_of(side: Side, split: Path, faces: Path) -> Iterator[Photo]:
    """The side's photos in the split's order, a few in memory. Raises FakefaceError where the faces are of other photos."""
    landmarks, table = map_array(faces / "landmarks.npy"), faces / "faces.csv"
    rows = zip_longest(each_row(split, SplitRecord), each_row(table, FaceRecord))
    for number, (record, face) in enumerate(rows):
        if record is None or face is None or record.path != face.path:
            there, expected = (row.path if row else "nothing" for row in (face, record))
            raise FakefaceError(f"{table}: line {number + 2}: {there}: expected {expected}, as in {split}")
        if record.side == side:
            yield Photo(record, np.array(landmarks[number]) if face.faces else None)


def pack_photo(photo: Photo, root: Path, form: Format) -> PackedPhoto:
    """Raises ImageError, also where the file has changed since it was indexed."""
    image = read_indexed(root / photo.record.path, photo.record.sha256)
    seed = int(photo.record.sha256, 16)
    copies = [launder(image, np.random.default_rng([seed, number])) for number in range(form.copies)]
    crops, values = [], []
    for version in (image, *copies):
        landmarks = scale_landmarks(photo.landmarks, image.size, version.size)
        crops.append(crop(version, landmarks, form.framing, form.px, form.margin_px))
        values.append(cooccurrences(version, landmarks))
    pixels, regions = np.stack([seen.pixels for seen in crops]), np.stack([seen.regions for seen in crops])
    return PackedPhoto(pixels[0], pixels[1:], regions, np.stack(values))


def write_arrays(packed: Path, name: PackedName, photos: Iterator[PackedPhoto], count: int, form: Format) -> None:
    """The arrays of a side's photos, with one photo at a time in memory."""
    shape = (count, form.side_px, form.side_px)
    with ExitStack() as stack:
        write_pixels = stack.enter_context(writing_array(packed / f"{name}.npy", np.uint8, (*shape, 3)))
        regions_shape = (count, 1 + form.copies, *shape[1:])
        write_regions = stack.enter_context(writing_array(packed / f"{name}_regions.npy", np.uint8, regions_shape))
        values_shape = (count, 1 + form.copies, SIZE)
        write_values = stack.enter_context(writing_array(packed / f"{name}_cooccurrences.npy", np.float32, values_shape))
        write_laundered = None
        if name != "valid":
            path = packed / f"{name}_laundered.npy"
            write_laundered = stack.enter_context(writing_array(path, np.uint8, (count, form.copies, *shape[1:], 3)))
        for photo in photos:
            write_pixels(photo.pixels)
            write_regions(photo.regions)
            write_values(photo.cooccurrences)
            if write_laundered is not None:
                write_laundered(photo.laundered)


def run(paths: Paths, root: Path, params: PackParams, *, refit: bool = False) -> None:
    counts = Counter(record.side for record in each_row(paths.split, SplitRecord))
    for name, form in formats_of(params, refit=refit).items():
        photos, count = photos_of(form.side, paths.split, paths.faces), counts[form.side]
        packed = on_all_machines(partial(pack_photo, root=root, form=form), photos, name, total=count)
        write_arrays(paths.packed, name, packed, count, form)


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    root, pack = load_params(paths.params, "data", DataParams).root, load_params(paths.params, "pack", PackParams)
    run(paths, root, pack, refit=load_params(paths.params, "train", TrainParams).refit)


if __name__ == "__main__":
    run_as_command(main)
