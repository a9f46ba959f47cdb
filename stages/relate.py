"""Find the images that share a photo or a part of one, so that `split` can keep them together.

reads   ROOT, the folder of photos; IMAGES, the index; params.yaml: relate
does    links the same bytes, the same pixels, and what local features show to hold a part of the same photo, mirrored or not
writes  RELATIONS/pairs.csv, a row per link; RELATIONS/groups.csv, a row per image with its group; METRICS, counts

What is found out about an image or a pair is kept by content in REMEMBERED: a later run only looks at what is new.
"""

import argparse
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import get_args
from zipfile import BadZipFile

import cv2
import numpy as np
import PIL
import pydantic
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from stages.errors import FakefaceError, run_as_command
from stages.images import on_all_cores, read_indexed
from stages.params import STRICT, load_params
from stages.records import GroupRecord, ImageRecord, PairRecord, RelationKind, read_rows, replacing, write_json, write_rows
from stages.relations import Candidate, Features, features_of, groups_of, mirrored, pixels_digest, shared_points, shortlist


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class RelateParams:
    """Section `relate`: how closely to look, and from how many shared points on two images are related."""

    image_px: int = pydantic.Field(ge=64, le=4096)
    keypoints: int = pydantic.Field(ge=50, le=10_000)
    max_scale: float = pydantic.Field(ge=1)
    min_points: int = pydantic.Field(ge=4)


@dataclass(frozen=True)
class ComparedRecord:
    """Two contents, sha256_a < sha256_b, the second mirrored or not, and how many keypoints lie alike in them."""

    sha256_a: str
    sha256_b: str
    mirrored: bool
    points: int


@dataclass(frozen=True)
class Described:
    """What an image is compared by."""

    pixels: str
    features: Features


def copies(paths: Sequence[str], keys: Sequence[str], kind: RelationKind) -> list[PairRecord]:
    """A link from the first of all paths with the same key to each of the others."""
    alike = defaultdict(list)
    for path, key in sorted(zip(paths, keys, strict=True)):
        alike[key].append(path)
    return [PairRecord(first, other, kind, 0) for first, *others in alike.values() for other in others]


def grouped(records: Sequence[ImageRecord], pairs: Iterable[PairRecord]) -> list[GroupRecord]:
    """The group of each record, in the records' order, whatever the files are called."""
    by_content = sorted(records, key=lambda record: (record.sha256, record.path))
    position = {record.path: number for number, record in enumerate(by_content)}
    group = groups_of(len(records), ((position[pair.path_a], position[pair.path_b]) for pair in pairs))
    return [GroupRecord(record.path, by_content[group[position[record.path]]].sha256) for record in records]


def summary(records: Sequence[ImageRecord], pairs: Sequence[PairRecord], groups: Sequence[GroupRecord]) -> dict[str, int]:
    """Counts of links and of groups with two images or more, those with both labels and with both subsets among them."""
    kinds = Counter(pair.kind for pair in pairs)
    members: defaultdict[str, list[ImageRecord]] = defaultdict(list)
    for record, row in zip(records, groups, strict=True):
        members[row.group].append(record)
    related = [group for group in members.values() if len(group) > 1]
    return {
        "pairs": len(pairs),
        **{f"pairs_{kind}": kinds[kind] for kind in get_args(RelationKind)},
        "groups": len(related),
        "images_in_groups": sum(map(len, related)),
        "largest_group": max(map(len, related), default=0),
        "groups_real_and_fake": sum(len({record.label for record in group}) > 1 for group in related),
        "groups_training_and_test": sum(len({record.subset for record in group}) > 1 for group in related),
    }


def described(record: ImageRecord, root: Path, remembered: Path, params: RelateParams) -> Described:
    """From memory, or from the image, to be remembered. Raises ImageError, also where the file is not the one indexed."""
    known = remembered / f"{record.sha256}.npz"
    # What cannot be read is not known.
    with suppress(OSError, EOFError, ValueError, KeyError, BadZipFile):
        arrays = np.load(io.BytesIO(known.read_bytes()), allow_pickle=False)
        return Described(str(arrays["pixels"]), Features(arrays["points"], arrays["descriptors"]))
    image = read_indexed(root / record.path, record.sha256)
    found = Described(pixels_digest(image), features_of(image, params.image_px, params.keypoints))
    with replacing(known) as temporary, temporary.open("wb") as file:
        np.savez(file, pixels=found.pixels, points=found.features.points, descriptors=found.features.descriptors)
    return found


def compared(
    contents: Sequence[str], features: Sequence[Features], candidates: Sequence[Candidate], remembered: Path, max_scale: float
) -> list[int]:
    """For each candidate the number of points shared, from memory, or compared and remembered."""
    table = remembered / "pairs.csv"
    known: dict[tuple[str, str, bool], int] = {}
    with suppress(OSError, FakefaceError):
        known = {(row.sha256_a, row.sha256_b, row.mirrored): row.points for row in read_rows(table, ComparedRecord)}

    def points_shared(candidate: Candidate) -> int:
        one, other, mirror = candidate
        return shared_points(features[one], mirrored(features[other]) if mirror else features[other], max_scale)

    keys = [(contents[one], contents[other], mirror) for one, other, mirror in candidates]
    new = {key: candidate for key, candidate in zip(keys, candidates, strict=True) if key not in known}
    known |= zip(new, on_all_cores(points_shared, new.values(), "compare"), strict=True)
    if new:
        write_rows(table, ComparedRecord, (ComparedRecord(*key, points) for key, points in sorted(known.items())))
    return [known[key] for key in keys]


def related(records: Sequence[ImageRecord], root: Path, remembered: Path, params: RelateParams) -> list[PairRecord]:
    """All links, sorted; of copies only the one with the smallest sha256 is compared with other images. Raises ImageError."""
    first_path = {record.sha256: record for record in sorted(records, key=lambda record: record.path, reverse=True)}
    unique = [first_path[content] for content in sorted(first_path)]
    describe = partial(described, root=root, remembered=remembered, params=params)
    descriptions = list(on_all_cores(describe, unique, "describe"))
    pairs = copies([record.path for record in records], [record.sha256 for record in records], "bytes")
    pairs += copies([record.path for record in unique], [found.pixels for found in descriptions], "pixels")

    distinct: dict[str, tuple[ImageRecord, Features]] = {}
    for record, found in zip(unique, descriptions, strict=True):
        distinct.setdefault(found.pixels, (record, found.features))
    chosen, features = zip(*distinct.values(), strict=True)
    candidates = shortlist(features)
    shared = compared([record.sha256 for record in chosen], features, candidates, remembered, params.max_scale)
    for (one, other, mirror), points in zip(candidates, shared, strict=True):
        if points >= params.min_points:
            path_a, path_b = sorted((chosen[one].path, chosen[other].path))
            pairs.append(PairRecord(path_a, path_b, "mirrored" if mirror else "photo", points))
    strongest = {(pair.path_a, pair.path_b): pair for pair in sorted(pairs, key=lambda pair: (pair.points, pair.kind))}
    return [strongest[paths] for paths in sorted(strongest)]


def run(root: Path, images: Path, relations: Path, metrics: Path, params: RelateParams) -> None:
    records = read_rows(images, ImageRecord)
    # Images and pairs are spread over the cores; for one of them a core suffices.
    cv2.setNumThreads(1)
    with threadpool_limits(1, "blas"):
        pairs = related(records, root, remembered_folder(params), params)
    groups = grouped(records, pairs)
    write_rows(relations / "pairs.csv", PairRecord, pairs)
    write_rows(relations / "groups.csv", GroupRecord, groups)
    write_json(metrics, summary(records, pairs, groups))


def remembered_folder(params: RelateParams) -> Path:
    """Named after everything that decides what is remembered; in the user's checkout, outside DVC's outs, safe to delete."""
    digest = sha256(repr((cv2.__version__, PIL.__version__, params.image_px, params.keypoints, params.max_scale)).encode())
    for module in ("images.py", "relations.py"):
        digest.update(Path(__file__).with_name(module).read_bytes())
    checkout = Path(os.environ.get("DVC_ROOT", Path(__file__).parents[1]))
    return checkout / ".cache" / "relate" / digest.hexdigest()[:16]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.relate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path, help="folder of photos that was indexed")
    parser.add_argument("--images", type=Path, required=True, help="CSV to read: the index")
    parser.add_argument("--relations", type=Path, required=True, help="folder to write pairs.csv and groups.csv to")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON to write: counts of pairs and groups")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read section `relate` of")
    args = parser.parse_args(argv)
    run(args.root, args.images, args.relations, args.metrics, load_params(args.params, "relate", RelateParams))


if __name__ == "__main__":
    run_as_command(main)
