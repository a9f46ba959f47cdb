"""Photos, given or drawn, and a workspace in which the project's own stages have run on some of them."""

import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import yaml
from PIL import Image

from bench.rounds import PROJECT, Options
from fakeface.core.cores import available_cores
from fakeface.core.files import read_rows, write_rows
from fakeface.core.params import read_yaml
from fakeface.core.records import FileRecord, ImageRecord, SplitRecord
from fakeface.params import IndexParams, PackParams, RelateParams, SampleParams, SplitParams, load_params
from stages import compute_stats, find_faces, index, pack, relate, sample, scan, split, train

DRAWN_PX = 600
"""The side of the set's photos."""
NOTEBOOK_RECIPE = PROJECT / "recipes/notebook.yaml"

Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Workspace:
    """A folder with `photos` that are split, packed and counted, a params.yaml, and the paths that `train` takes."""

    root: Path

    @property
    def photos(self) -> Path:
        return self.root / "photos"

    @property
    def paths(self) -> train.Paths:
        names = ("packed", "split.csv", "stats.json", "index.json", "model", "metrics.json", "history.csv", "params.yaml")
        return train.Paths("ce", *(self.root / name for name in names))

    @property
    def faces(self) -> Path:
        return self.root / "faces"

    @property
    def pack_params(self) -> PackParams:
        return load_params(self.paths.params, "pack", PackParams)

    def records(self, side: str) -> list[SplitRecord]:
        return [record for record in read_rows(self.paths.split, SplitRecord) if record.side == side]


def new_workspace(options: Options, recipe: Path, changes: Changes, valid_share: float | None) -> Workspace:
    """`options.images` photos, a share of them valid and the others train; where none is told, apart as `split` has them."""
    work = Workspace(Path(mkdtemp(dir=options.scratch)))
    paths, images, relations, unread = work.paths, work.root / "images.csv", work.root / "relate", work.root / "unread"
    link_photos(options, work.photos)
    write_params(paths.params, recipe, {"data": {"root": str(work.photos)}, "model": {"weights": "random"}} | changes)
    index_params = load_params(paths.params, "index", IndexParams)
    list_photos(work.photos, work.root / "listing.csv")
    with redirect_stdout(sys.stderr):  # what it counted is no result of a measurement
        index.run(index.Paths(work.root / "listing.csv", images, unread, paths.index_counts), work.photos, index_params)
    if valid_share is None:
        relate_params = load_params(paths.params, "relate", RelateParams)
        relate.run(relate.Paths(images, relations, unread), work.photos, relate_params)
        split_paths = split.Paths(images, relations, paths.split, unread)
        split.run(split_paths, load_params(paths.params, "split", SplitParams))
    else:
        first_train = round(valid_share * options.images)
        write_rows(paths.split, SplitRecord, (_on_a_side(row, first_train) for row in read_rows(images, ImageRecord)))
    with redirect_stdout(sys.stderr):
        find_faces.run(find_faces.Paths(images, work.faces, unread), work.photos)
    pack.run(pack.Paths(paths.split, work.faces, paths.packed), work.photos, work.pack_params)
    compute_stats.run(compute_stats.Paths(paths.packed / "train.npy", paths.stats))
    return work


def _on_a_side(record: ImageRecord, first_train: int) -> SplitRecord:
    """By its number: which side a photo is on makes no difference to any time."""
    return SplitRecord(**asdict(record), side="train" if int(Path(record.path).stem) >= first_train else "valid", group="")


def list_photos(root: Path, listing: Path) -> None:
    """What `scan` does, with nothing remembered and nothing kept."""
    write_rows(listing, FileRecord, scan.list_files(root, {})[0])


def link_photos(options: Options, folder: Path) -> None:
    """Links in folder/{real,fake}, half of `options.images` each; photos come again where there are fewer."""
    root = options.photos or _drawn(options)
    candidates = index.find_candidates(scan.list_files(root, {})[0])
    for label, name in enumerate(("real", "fake")):
        paths = [(root / candidate.file.path).resolve() for candidate in candidates if candidate.place.label == label]
        (folder / name).mkdir(parents=True)
        for number in range(label, options.images if paths else 0, 2):  # `index` tells that a class is missing
            path = paths[number // 2 % len(paths)]
            (folder / name / f"{number:06}{path.suffix}").symlink_to(path)


def _drawn(options: Options) -> Path:
    """Photos drawn as the sample is, at the set's size, once for all parts."""
    root, half = options.scratch / "drawn", options.drawn_photos // 2
    wanted = SampleParams(seed=0, image_px=DRAWN_PX, training_real=half, training_fake=half, test_real=1, test_fake=3)
    if not root.exists():
        sample.run(sample.Paths(root), wanted, workers=available_cores())
    return root


def draw_small(folder: Path, count: int, px: int = 64) -> None:
    """`count` JPEGs of coloured blots, half each in folder/{real,fake}, all different; thousands a second."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / ("real", "fake")[number % 2] / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        blots = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        blots.resize((px, px), Image.Resampling.BICUBIC).save(path, quality=85)


def write_params(path: Path, recipe: Path, changes: Changes) -> None:
    params = read_yaml(recipe)
    for section, values in changes.items():
        params[section] |= values
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
