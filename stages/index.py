"""Find the images, read their labels, reject what cannot be used.

reads   ROOT, a folder of photos in one of the layouts below; params.yaml: index
does    hashes each file's bytes, shows that they decode, and takes the label from name and folder
writes  IMAGES, a row per usable image; REJECTED, a row per file that cannot be used, with the reason; METRICS, counts
"""

import argparse
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from glob import iglob
from hashlib import sha256
from itertools import chain, islice, product
from pathlib import Path, PurePosixPath
from sqlite3 import Connection
from typing import Literal

import pydantic

from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import write_json, write_rows
from fakeface.core.parallel import on_all_cores
from fakeface.core.params import STRICT, load_params
from fakeface.core.records import FAKE, LABEL_NAMES, PARTS, REAL, Bit, ImageRecord, RejectedRecord
from fakeface.core.tables import keep, kept, temporary_tables
from fakeface.photos.images import ImageError, image_facts, read_image_bytes

Subset = Literal["training", "test", ""]

SAMPLE_ROOT = Path("data/sample")
IGNORED_NAMES = {"thumbs.db", "desktop.ini"}
REAL_NAME = re.compile(r"real_\d+")
FAKE_NAME = re.compile(r"(?P<difficulty>easy|mid|hard)_\d+_(?P<bits>[01]{3,4})")


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class IndexParams:
    """The section `index`: so many files that cannot be used are still accidents."""

    max_rejected: int = pydantic.Field(ge=0)


@dataclass(frozen=True)
class Layout:
    """Folders of one label each. One's own stand at the root, with any names; the set's up to two folders below it."""

    folders: tuple[tuple[str, Bit, Subset], ...]
    own: bool = False

    def __str__(self) -> str:
        return " ".join(name for name, _, _ in self.folders)


CIPLAB = Layout(
    (
        ("training/real", REAL, "training"),
        ("training/fake", FAKE, "training"),
        ("test/real", REAL, "test"),
        ("test/fake", FAKE, "test"),
    )
)
KAGGLE = Layout((("training_real", REAL, "training"), ("training_fake", FAKE, "training")))
OWN = Layout((("real", REAL, ""), ("fake", FAKE, "")), own=True)
LAYOUTS = (CIPLAB, KAGGLE, OWN)


@dataclass(frozen=True)
class Candidate:
    """A file that should be an image: its path below the root, and what its folder says about it."""

    path: str
    label: Bit
    subset: Subset
    any_name: bool


def listed(root: Path, layout: Layout) -> Iterator[Candidate]:
    """Every file in the folders of a layout, hidden ones left out, in no order. Raises OSError where one cannot be listed."""
    below = () if layout.own else ("*/", "*/*/")
    # Path.glob would hold all files of a folder to find those in it.
    parents = (root / parent for pattern in below for parent in iglob(pattern, root_dir=root))  # noqa: PTH207
    for parent, (name, label, subset) in product((root, *parents), layout.folders):
        if os.path.lexists(parent / name):
            folder = (parent / name).relative_to(root).as_posix()
            with os.scandir(parent / name) as entries:
                for entry in entries:
                    if not entry.name.startswith(".") and entry.name.casefold() not in IGNORED_NAMES:
                        yield Candidate(f"{folder}/{entry.name}", label, subset, layout.own)


def candidates(root: Path) -> Iterator[Candidate]:
    """Every file in the folders of the first of LAYOUTS found, hidden ones left out, in no order.

    Raises:
        FakefaceError: no layout is found.
        OSError: a folder of the layout cannot be listed.
    """
    for layout in LAYOUTS:
        found = listed(root, layout)
        if first := next(found, None):
            return chain([first], found)
    raise FakefaceError(f"{root}: no images in the folders of a known layout: expected {', or '.join(map(str, LAYOUTS))}")


def named(candidate: Candidate) -> tuple[str, tuple[Bit | None, ...]]:
    """The difficulty and the four bits that a file's name tells, "" and None where it does not.

    Raises:
        ImageError: the name contradicts its folder, tells nothing though it should, or is no text.
    """
    path, label = candidate.path, candidate.label
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path):
        raise ImageError(path, "its name holds control characters or is not UTF-8")
    stem = PurePosixPath(path).stem
    fake = FAKE_NAME.fullmatch(stem)
    named_label = FAKE if fake else REAL if REAL_NAME.fullmatch(stem) else None
    if named_label is None and not candidate.any_name:
        raise ImageError(path, "its name tells no label: expected one like real_00001.jpg or easy_100_1110.jpg")
    if named_label not in (None, label):
        raise ImageError(path, f"its name says {LABEL_NAMES[named_label]}, its folder {LABEL_NAMES[label]}")
    bits: tuple[Bit | None, ...] = tuple(1 if bit == "1" else 0 for bit in fake["bits"]) if fake else ()
    return fake["difficulty"] if fake else "", bits if len(bits) == len(PARTS) else (None,) * len(PARTS)


def examined(candidate: Candidate, root: Path) -> ImageRecord | RejectedRecord:
    """What a candidate's name, bytes and header tell, or why it cannot be used."""
    try:
        difficulty, bits = named(candidate)
        data = read_image_bytes(root / candidate.path)
        facts = image_facts(data, candidate.path)
    except ImageError as error:
        return RejectedRecord(candidate.path.encode("utf-8", "backslashreplace").decode(), error.reason)
    return ImageRecord(
        path=candidate.path,
        sha256=sha256(data).hexdigest(),
        label=candidate.label,
        difficulty=difficulty,
        **dict(zip(PARTS, bits, strict=True)),
        width=facts.width,
        height=facts.height,
        bytes=len(data),
        luma_quantisation_sum=facts.luma_quantisation_sum,
        subset=candidate.subset,
    )


def drop_copies(tables: Connection) -> int:
    """Of images with the same bytes, name, label and subset keep the one nearest to the root; how many went."""
    tables.create_function("name_of", 1, posixpath.basename, deterministic=True)
    return tables.execute("""
        DELETE FROM ImageRecord WHERE rowid IN (
            SELECT image FROM (
                SELECT rowid AS image, row_number() OVER (
                    PARTITION BY sha256, name_of(path), label, subset
                    ORDER BY length(path) - length(replace(path, '/', '')), path
                ) AS nearness FROM ImageRecord
            ) WHERE nearness > 1
        )
    """).rowcount


def contradictions(tables: Connection) -> Iterator[RejectedRecord]:
    """The images whose very bytes also stand under the other label."""
    tables.execute("CREATE INDEX content ON ImageRecord (sha256, label, path)")
    for path, label, other in tables.execute("""
        SELECT path, label, (SELECT max(path) FROM ImageRecord WHERE sha256 = image.sha256 AND label = 1 - image.label) AS other
        FROM ImageRecord AS image WHERE other IS NOT NULL
    """):
        yield RejectedRecord(path, f"labelled {LABEL_NAMES[1 - label]} too: the same bytes as {other}")


def shortage(counts: Mapping[str, int], examples: Sequence[RejectedRecord], params: IndexParams) -> str | None:
    """What is wrong where too many files were rejected, or a class has no image."""
    reasons = "; ".join(f"{record.path}: {record.reason}" for record in examples)
    if counts["rejected"] > params.max_rejected:
        return f"{counts['rejected']:,} files cannot be used, more than index.max_rejected ({params.max_rejected:,}): {reasons}"
    for name in LABEL_NAMES:
        if not counts[name]:
            return f"no {name} image that can be used: expected some of each class. {reasons}".rstrip(" .")
    return None


def run(root: Path, images_path: Path, rejected_path: Path, metrics_path: Path, params: IndexParams) -> None:
    """Index `root`; the reasons for rejections are written even where they are too many."""
    if not root.is_dir():
        hint = "`dvc repro` draws it" if root == SAMPLE_ROOT else "data.root should name a folder of photos"
        raise FakefaceError(f"{root}: no such folder: {hint}")
    with temporary_tables(ImageRecord, RejectedRecord) as tables:
        total = sum(1 for _ in candidates(root))
        keep(tables, on_all_cores(partial(examined, root=root), candidates(root), "index", total=total))
        copies = drop_copies(tables)
        keep(tables, contradictions(tables))
        tables.execute("DELETE FROM ImageRecord WHERE path IN (SELECT path FROM RejectedRecord)")
        write_rows(rejected_path, RejectedRecord, kept(tables, RejectedRecord, "path, reason"))
        labels = dict(tables.execute("SELECT label, count(*) FROM ImageRecord GROUP BY label"))
        counts = {
            "images": sum(labels.values()),
            **{name: labels.get(label, 0) for label, name in enumerate(LABEL_NAMES)},
            "duplicates": copies,
            "rejected": tables.execute("SELECT count(*) FROM RejectedRecord").fetchone()[0],
        }
        examples = list(islice(kept(tables, RejectedRecord, "path, reason"), 3))
        if complaint := shortage(counts, examples, params):
            raise FakefaceError(f"{root}: {complaint}" + (f" (all in {rejected_path})" if examples else ""))
        write_rows(images_path, ImageRecord, kept(tables, ImageRecord, "path"))
        write_json(metrics_path, counts | {"is_sample": root == SAMPLE_ROOT})


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.index", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path, help=f"folder of photos with {', or '.join(map(str, LAYOUTS))}")
    parser.add_argument("--images", type=Path, required=True, help="CSV to write, a row per usable image")
    parser.add_argument("--rejected", type=Path, required=True, help="CSV to write, a row per file that cannot be used")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON to write, counts")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read section `index` of")
    args = parser.parse_args(argv)
    run(args.root, args.images, args.rejected, args.metrics, load_params(args.params, "index", IndexParams))


if __name__ == "__main__":
    run_as_command(main)
