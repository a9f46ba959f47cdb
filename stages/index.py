"""Find the images, read their labels, reject what cannot be used.

reads   the photos in data.root, a folder in one of the layouts below; params.yaml: data, index
does    hashes the bytes of each file, makes sure that they decode, and takes the label from the folder and the file's name
writes  IMAGES, a row per usable image; REJECTED, a row per file that cannot be used, with the reason; METRICS, counts
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from glob import iglob
from hashlib import sha256
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import pandas as pd

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import write_json
from fakeface.core.frames import frame_of, write_table
from fakeface.core.parallel import on_all_cores
from fakeface.core.params import DataParams
from fakeface.core.records import DIFFICULTIES, FAKE, LABEL_NAMES, PARTS, REAL, Bit, ImageRecord, RejectedRecord
from fakeface.params import IndexParams, load_params
from fakeface.photos.images import ImageError, image_facts, read_image_bytes

Subset = Literal["training", "test", ""]

SAMPLE_ROOT = Path("data/sample")
IGNORED_NAMES = {"thumbs.db", "desktop.ini"}
REAL_NAME = re.compile(r"real_\d+")
FAKE_NAME = re.compile(rf"(?P<difficulty>{'|'.join(DIFFICULTIES)})_\d+_(?P<bits>[01]{{3,4}})")


@dataclass(frozen=True)
class Paths:
    images: Annotated[Path, "CSV to write: a row per usable image"]
    rejected: Annotated[Path, "CSV to write: a row per file that cannot be used, with the reason"]
    metrics: Annotated[Path, "JSON to write: counts"]
    params: ParamsPath = Path("params.yaml")


@dataclass(frozen=True)
class Layout:
    """Folders of one label each.

    In a layout of the user's `own`, files may have any name and the folders stand at the root; the data set's file names tell
    the label, and its folders may stand up to two folders below the root.
    """

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that should be an image: its path relative to the root, and the label and subset that its folder stands for."""

    path: str
    label: Bit
    subset: Subset
    any_name: bool


def find_files(root: Path, layout: Layout) -> Iterator[Candidate]:
    """All files in a layout's folders but hidden ones, in no order. Raises OSError where a folder cannot be listed."""
    below = () if layout.own else ("*/", "*/*/")
    # Path.glob would search hidden folders too.
    parents = (root / parent for pattern in below for parent in iglob(pattern, root_dir=root))  # noqa: PTH207
    for parent, (name, label, subset) in product((root, *parents), layout.folders):
        if os.path.lexists(parent / name):
            folder = (parent / name).relative_to(root).as_posix()
            with os.scandir(parent / name) as entries:
                for entry in entries:
                    if not entry.name.startswith(".") and entry.name.casefold() not in IGNORED_NAMES:
                        yield Candidate(f"{folder}/{entry.name}", label, subset, layout.own)


def find_candidates(root: Path) -> list[Candidate]:
    """All files in the folders of the first of LAYOUTS that has any, hidden ones left out, in no order.

    Raises:
        FakefaceError: the folder has none of the layouts.
        OSError: a folder of the layout cannot be listed.
    """
    for layout in LAYOUTS:
        if candidates := list(find_files(root, layout)):
            return candidates
    raise FakefaceError(f"{root}: no images in the folders of a known layout: expected {', or '.join(map(str, LAYOUTS))}")


def parse_name(candidate: Candidate) -> tuple[str, tuple[Bit | None, ...]]:
    """The difficulty and the four bits in a file's name, "" and None where the name does not have them.

    Raises:
        ImageError: the name contradicts its folder, has no label though it should, or is not printable text.
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


def examine(candidate: Candidate, root: Path) -> ImageRecord | RejectedRecord:
    """Decode a file and parse its name: the image's record, or why the file cannot be used."""
    try:
        difficulty, bits = parse_name(candidate)
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


def drop_copies(images: pd.DataFrame) -> pd.DataFrame:
    """The images sorted by path; of those with the same bytes, name, label and subset only the one nearest to the root."""
    keyed = images.assign(name=images["path"].str.replace(".*/", "", regex=True), depth=images["path"].str.count("/"))
    nearest_first = keyed.sort_values(["depth", "path"])
    return nearest_first.drop_duplicates(["sha256", "name", "label", "subset"])[images.columns].sort_values("path")


def find_contradictions(images: pd.DataFrame) -> pd.DataFrame:
    """A rejected file for each image whose very bytes also stand under the other label."""
    last = images.sort_values("path").drop_duplicates(["sha256", "label"], keep="last")
    others = last.assign(label=1 - last["label"])[["sha256", "label", "path"]]
    both = images.merge(others, on=["sha256", "label"], suffixes=("", "_of_other"))
    other_label = (1 - both["label"]).map(dict(enumerate(LABEL_NAMES)))
    return both[["path"]].assign(reason="labelled " + other_label + " too: the same bytes as " + both["path_of_other"])


def build_index(records: Sequence[ImageRecord | RejectedRecord]) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """The usable images, the rejected files, both sorted by path, and counts."""
    readable = frame_of(ImageRecord, (record for record in records if isinstance(record, ImageRecord)))
    unreadable = frame_of(RejectedRecord, (record for record in records if isinstance(record, RejectedRecord)))
    distinct = drop_copies(readable)
    contradictions = find_contradictions(distinct)
    images = distinct[~distinct["path"].isin(contradictions["path"])]
    rejected = pd.concat([unreadable, contradictions]).sort_values(["path", "reason"])
    counts = {
        "images": len(images),
        **{name: int((images["label"] == label).sum()) for label, name in enumerate(LABEL_NAMES)},
        "duplicates": len(readable) - len(distinct),
        "rejected": len(rejected),
    }
    return images, rejected, counts


def shortage(counts: Mapping[str, int], rejected: pd.DataFrame, params: IndexParams) -> str | None:
    """What is wrong where too many files were rejected, or a class has no image."""
    reasons = "; ".join(f"{path}: {reason}" for path, reason in rejected.head(3).itertuples(index=False))
    if counts["rejected"] > params.max_rejected:
        return f"{counts['rejected']:,} files cannot be used, more than index.max_rejected ({params.max_rejected:,}): {reasons}"
    for name in LABEL_NAMES:
        if not counts[name]:
            return f"no {name} image that can be used: expected some of each class. {reasons}".rstrip(" .")
    return None


def run(paths: Paths, root: Path, params: IndexParams) -> None:
    """Index the photos in `root`; the reasons for rejections are written even where they are too many."""
    if not root.is_dir():
        hint = "`dvc repro` draws it" if root == SAMPLE_ROOT else "data.root should name a folder of photos"
        raise FakefaceError(f"{root}: no such folder: {hint}")
    records = list(on_all_cores(partial(examine, root=root), find_candidates(root), "index"))
    images, rejected, counts = build_index(records)
    write_table(paths.rejected, RejectedRecord, rejected)
    if complaint := shortage(counts, rejected, params):
        raise FakefaceError(f"{root}: {complaint}" + (f" (all in {paths.rejected})" if len(rejected) else ""))
    write_table(paths.images, ImageRecord, images)
    write_json(paths.metrics, counts | {"is_sample": root == SAMPLE_ROOT})


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    run(paths, load_params(paths.params, "data", DataParams).root, load_params(paths.params, "index", IndexParams))


if __name__ == "__main__":
    run_as_command(main)
