"""Part: what an image costs where there are a thousand, ten thousand, a hundred thousand of them."""

import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from bench.child import measured
from bench.photos import draw_small, list_photos, write_params
from bench.rounds import PROJECT, Go, Goal, Measures, Options, Result, alternating
from fakeface.core.files import read_rows, write_rows
from fakeface.core.records import GroupRecord, ImageRecord
from fakeface.params import IndexParams, load_params
from stages import index

GROWTH = 1.2
"""By this factor at most may the time per image grow from the smallest number of images to the largest, and the peak memory of
stages that hold a few images at a time."""
TABLE_STAGES = ("index", "split", "find_faces")
"""Stages that hold a whole table in memory, where each image may take 2 KiB."""
PROCESS_MIB = 160
"""What a process with pandas takes on top of that, its first tables included."""


def scaling(options: Options) -> Result:
    """index, relate, split, find_faces, pack and compute_stats on ever more small images: time per image, peak memory."""
    contenders: dict[str, Go] = {}
    goals = []
    first: dict[str, str] = {}
    for size in options.sizes:
        for stage, command in _commands(Path(mkdtemp(dir=options.scratch)), size).items():
            if stage == "relate" and size not in options.relate_sizes:
                continue
            name = f"{stage}, {size:,}"
            contenders[name] = partial(_per_image, command, size)
            if first.setdefault(stage, name) != name:
                goals.append(Goal(name, first[stage], "ms_per_image", at_most=GROWTH))
                if stage in TABLE_STAGES:
                    goals.append(Goal(name, measure="peak_mib", at_most=PROCESS_MIB + 2 * size / 1024))
                elif stage != "relate":  # the features of all images are in its memory
                    goals.append(Goal(name, first[stage], "peak_mib", at_most=GROWTH))
    return Result(
        "scaling",
        f"Small images ({', '.join(f'{size:,}' for size in options.sizes)}), each stage in a process of its own.",
        alternating("scaling", contenders, options.rounds),
        goals,
    )


def _per_image(command: Go, size: int) -> Measures:
    measures = command()
    return {"ms_per_image": 1000 * measures["s"] / size, "peak_mib": measures["peak_mib"]}


def _commands(folder: Path, size: int) -> dict[str, Go]:
    """The stages on `size` new images, each by its own command line; what one reads is there before the first runs."""
    photos, images, relations, table = (folder / name for name in ("photos", "images.csv", "relations", "split.csv"))
    faces = folder / "faces"
    listing, params, ignored = folder / "listing.csv", folder / "params.yaml", folder / "ignored.json"
    draw_small(photos, size)
    write_params(
        params,
        PROJECT / "params.yaml",
        {
            "data": {"root": str(photos)},
            "pack": {"train_px": 64, "eval_px": 64},
            "augment": {"crop_px": 64},
            "relate": {"image_px": 64},
        },
    )
    list_photos(photos, listing)
    index_paths = index.Paths(listing, images, folder / "rejected.csv", ignored)
    with redirect_stdout(sys.stderr):
        index.run(index_paths, photos, load_params(params, "index", IndexParams))
    write_rows(relations / "pairs.csv", GroupRecord, [])
    write_rows(
        relations / "groups.csv", GroupRecord, [GroupRecord(row.path, row.sha256) for row in read_rows(images, ImageRecord)]
    )

    def stage(name: str, *arguments: object, **environment: str) -> Measures:
        return measured(f"stages.{name}", "main", *arguments, "--params", params, **environment)

    def relate() -> Measures:
        """With an empty cache each time."""
        fresh = mkdtemp(dir=folder)
        return stage("relate", "--images", images, "--relations", fresh, "--metrics", ignored, DVC_ROOT=fresh)

    packed = ("--images", folder / "train.npy")
    rejected = ("--rejected", folder / "rejected.csv")
    return {
        "index": partial(stage, "index", "--listing", listing, "--images", images, *rejected, "--metrics", ignored),
        "relate": relate,
        "split": partial(stage, "split", "--images", images, "--relations", relations, "--split", table, "--metrics", ignored),
        "find_faces": partial(stage, "find_faces", "--images", images, "--faces", faces, "--metrics", ignored),
        "pack": partial(stage, "pack", "--split", table, "--faces", faces, "--packed", folder),
        "compute_stats": partial(measured, "stages.compute_stats", "main", *packed, "--stats", ignored),
    }
