"""Find the images that share a photo or a part of one, so that `split` can keep them together.

reads   ROOT, the folder of photos; IMAGES, the index; params.yaml: relate
does    links the same bytes, the same pixels, and what local features show to hold a part of the same photo, mirrored or not
writes  RELATIONS/pairs.csv, a row per link; RELATIONS/groups.csv, a row per image with its group; METRICS, counts

What is found out about an image or a pair is kept by content in REMEMBERED: a later run only looks at what is new.
"""

import argparse
import io
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import partial
from hashlib import sha256
from itertools import starmap
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple, get_args
from zipfile import BadZipFile

import cv2
import numpy as np
import PIL
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import fakeface
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import each_row, replacing, write_json, write_rows
from fakeface.core.parallel import on_all_cores
from fakeface.core.records import GroupRecord, ImageRecord, PairRecord, RelationKind
from fakeface.core.tables import temporary_tables
from fakeface.params import RelateParams, load_params
from fakeface.photos.images import read_indexed
from fakeface.relations.features import Features, features_of, mirrored, pixels_digest
from fakeface.relations.matching import groups_of, shared_points
from fakeface.relations.shortlist import FeatureFile, shortlist


@dataclass(frozen=True)
class ComparedRecord:
    """Two contents, sha256_a < sha256_b, the second mirrored or not, and how many keypoints lie alike in them."""

    sha256_a: str
    sha256_b: str
    mirrored: bool
    points: int


class Content(NamedTuple):
    """Bytes that one or more images have, and the first path of those."""

    sha256: str
    path: str


class Described(NamedTuple):
    """What a content is compared by."""

    content: Content
    pixels: str
    features: Features


SCHEMA = """
CREATE TABLE image (path TEXT, sha256 TEXT, label INTEGER, subset TEXT);
CREATE TABLE content (number INTEGER PRIMARY KEY, sha256 TEXT UNIQUE, path TEXT UNIQUE, pixels TEXT, first INTEGER);
CREATE TABLE picture (number INTEGER PRIMARY KEY, sha256 TEXT, path TEXT, pixels TEXT UNIQUE);
CREATE TABLE candidate (one INTEGER, other INTEGER, mirrored INTEGER, sha256_a TEXT, sha256_b TEXT, path_a TEXT, path_b TEXT);
CREATE TABLE compared (
    sha256_a TEXT, sha256_b TEXT, mirrored INTEGER, points INTEGER, PRIMARY KEY (sha256_a, sha256_b, mirrored)
) WITHOUT ROWID;
CREATE TABLE pair (path_a TEXT, path_b TEXT, kind TEXT, points INTEGER, PRIMARY KEY (path_a, path_b)) WITHOUT ROWID;
"""
"""Images in the index's order; contents in that of their SHA-256; of contents with the same pixels the first is the picture.

Contents and pictures are numbered from 0, pictures as their features are. `first` is the first content in a content's group.
"""


def described(content: Content, root: Path, remembered: Path, params: RelateParams) -> Described:
    """From memory, or from the image, to be remembered. Raises ImageError, also where the file is not the one indexed."""
    known = remembered / f"{content.sha256}.npz"
    # What cannot be read is not known.
    with suppress(OSError, EOFError, ValueError, KeyError, BadZipFile):
        arrays = np.load(io.BytesIO(known.read_bytes()), allow_pickle=False)
        return Described(content, str(arrays["pixels"]), Features(arrays["points"], arrays["descriptors"]))
    image = read_indexed(root / content.path, content.sha256)
    found = Described(content, pixels_digest(image), features_of(image, params.image_px, params.keypoints))
    with replacing(known) as temporary, temporary.open("wb") as file:
        np.savez(file, pixels=found.pixels, points=found.features.points, descriptors=found.features.descriptors)
    return found


def add_contents(found: Connection, features: FeatureFile, describe: Callable[[Content], Described]) -> None:
    """All contents, and the pictures with their features. Raises ImageError."""
    (count,) = found.execute("SELECT count(DISTINCT sha256) FROM image").fetchone()
    contents = starmap(Content, found.execute("SELECT sha256, min(path) FROM image GROUP BY sha256 ORDER BY sha256"))
    for number, description in enumerate(on_all_cores(describe, contents, "describe", total=count)):
        row = (*description.content, description.pixels)
        found.execute("INSERT INTO content VALUES (?, ?, ?, ?, NULL)", (number, *row))
        if found.execute("INSERT OR IGNORE INTO picture VALUES (?, ?, ?, ?)", (features.count, *row)).rowcount:
            features.add(description.features)


def add_copies(found: Connection) -> None:
    """A link from the first of all paths with the same bytes, or pixels, to each of the others."""
    found.execute("""
        INSERT INTO pair SELECT first, path, kind, 0 FROM (
            SELECT path, 'bytes' AS kind, min(path) OVER (PARTITION BY sha256) AS first FROM image
            UNION ALL SELECT path, 'pixels', min(path) OVER (PARTITION BY pixels) FROM content
        ) WHERE first < path""")


def add_compared(found: Connection, features: FeatureFile, remembered: Path, max_scale: float) -> None:
    """How many points the candidates share, from memory, or compared and remembered."""
    table = remembered / "pairs.csv"
    with suppress(OSError, FakefaceError):
        known = map(astuple, each_row(table, ComparedRecord))
        found.executemany("INSERT OR REPLACE INTO compared VALUES (?, ?, ?, ?)", known)

    def compared(candidate: tuple[int, int, str, str, int]) -> tuple[str, str, int, int]:
        one, other, sha256_a, sha256_b, mirror = candidate
        second = features.features(other)
        points = shared_points(features.features(one), mirrored(second) if mirror else second, max_scale)
        return sha256_a, sha256_b, mirror, points

    new = "FROM candidate LEFT JOIN compared USING (sha256_a, sha256_b, mirrored) WHERE points IS NULL"
    (count,) = found.execute(f"SELECT count(*) {new}").fetchone()
    if count:
        candidates = found.execute(f"SELECT one, other, sha256_a, sha256_b, mirrored {new} ORDER BY candidate.rowid")
        done = on_all_cores(compared, candidates, "compare", total=count)
        found.executemany("INSERT INTO compared VALUES (?, ?, ?, ?)", done)
        write_rows(table, ComparedRecord, starmap(ComparedRecord, found.execute("SELECT * FROM compared ORDER BY 1, 2, 3")))


def add_related(found: Connection, features: FeatureFile, remembered: Path, params: RelateParams) -> None:
    """Links between pictures that share enough points; of two between the same, the stronger."""
    found.executemany(
        """
        INSERT INTO candidate
        SELECT a.number, b.number, ?3, a.sha256, b.sha256, min(a.path, b.path), max(a.path, b.path)
        FROM picture AS a, picture AS b WHERE a.number = ?1 AND b.number = ?2""",
        shortlist(features, remembered),
    )
    add_compared(found, features, remembered, params.max_scale)
    found.execute(
        """
        INSERT OR REPLACE INTO pair
        SELECT path_a, path_b, iif(mirrored, 'mirrored', 'photo') AS kind, points
        FROM candidate JOIN compared USING (sha256_a, sha256_b, mirrored) WHERE points >= ? ORDER BY points, kind""",
        (params.min_points,),
    )


def add_groups(found: Connection) -> None:
    (contents,) = found.execute("SELECT count(*) FROM content").fetchone()
    links = found.execute("""
        SELECT a.number, b.number FROM pair JOIN content AS a ON a.path = path_a JOIN content AS b ON b.path = path_b""")
    found.executemany("UPDATE content SET first = ?2 WHERE number = ?1", enumerate(groups_of(contents, links)))


def summary(found: Connection) -> dict[str, int]:
    """Counts of links and of groups with two images or more, those with both labels and with both subsets among them."""
    kinds = dict(found.execute("SELECT kind, count(*) FROM pair GROUP BY kind"))
    of_groups = found.execute("""
        SELECT count(*), total(images), ifnull(max(images), 0), total(labels > 1), total(subsets > 1) FROM (
            SELECT count(*) AS images, count(DISTINCT label) AS labels, count(DISTINCT subset) AS subsets
            FROM image JOIN content USING (sha256) GROUP BY first HAVING count(*) > 1
        )""").fetchone()
    names = ("groups", "images_in_groups", "largest_group", "groups_real_and_fake", "groups_training_and_test")
    return {
        "pairs": sum(kinds.values()),
        **{f"pairs_{kind}": kinds.get(kind, 0) for kind in get_args(RelationKind)},
        **dict(zip(names, map(int, of_groups), strict=True)),
    }


def run(root: Path, images: Path, relations: Path, metrics: Path, params: RelateParams) -> None:
    remembered = remembered_folder(params)
    remembered.mkdir(parents=True, exist_ok=True)
    # Images and pairs are spread over the cores; for one of them a core suffices.
    cv2.setNumThreads(1)
    with threadpool_limits(1, "blas"), temporary_tables() as found, FeatureFile(remembered) as features:
        found.executescript(SCHEMA)
        rows = ((row.path, row.sha256, row.label, row.subset) for row in each_row(images, ImageRecord))
        found.executemany("INSERT INTO image VALUES (?, ?, ?, ?)", rows)
        add_contents(found, features, partial(described, root=root, remembered=remembered, params=params))
        add_copies(found)
        add_related(found, features, remembered, params)
        add_groups(found)
        pairs = found.execute("SELECT * FROM pair ORDER BY path_a, path_b")
        write_rows(relations / "pairs.csv", PairRecord, starmap(PairRecord, pairs))
        groups = found.execute("""
            SELECT image.path, head.sha256
            FROM image JOIN content USING (sha256) JOIN content AS head ON head.number = content.first ORDER BY image.rowid""")
        write_rows(relations / "groups.csv", GroupRecord, starmap(GroupRecord, groups))
        write_json(metrics, summary(found))


def remembered_folder(params: RelateParams) -> Path:
    """Named after everything that decides what is remembered; in the user's checkout, outside DVC's outs, safe to delete."""
    digest = sha256(repr((cv2.__version__, PIL.__version__, params.image_px, params.keypoints, params.max_scale)).encode())
    for module in ("photos/images.py", "relations/features.py", "relations/matching.py"):
        digest.update((Path(fakeface.__file__).parent / module).read_bytes())
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
