"""Find the images, read their labels, reject what cannot be used.

Reads a folder of photos in one of the layouts below. Writes a table with a row per usable image, a table of the files that
cannot be used with the reason for each, and counts. Each file is read once: its bytes are hashed and shown to decode.
"""

import argparse
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from stages.errors import FakefaceError, run_as_command
from stages.images import ImageError, image_facts, on_all_cores, read_image_bytes
from stages.params import STRICT, load_params
from stages.records import FAKE, LABEL_NAMES, PARTS, REAL, Bit, ImageRecord, RejectedRecord, write_json, write_rows

Subset = Literal["training", "test", ""]

SAMPLE_ROOT = Path("data/sample")
IGNORED_NAMES = {"thumbs.db", "desktop.ini"}
REAL_NAME = re.compile(r"real_\d+")
FAKE_NAME = re.compile(r"(?P<difficulty>easy|mid|hard)_\d+_(?P<bits>[01]{3,4})")


@checked_dataclass(frozen=True, config=STRICT)
class IndexParams:
    """Section `index`: how many files that cannot be used are still taken for single accidents."""

    max_rejected: int = Field(ge=0)


@dataclass(frozen=True)
class Layout:
    """Folders of one label each; they stand at the root or up to `levels` folders below it."""

    folders: tuple[tuple[str, Bit, Subset], ...]
    levels: int
    names_tell_label: bool

    def __str__(self) -> str:
        return ", ".join(name for name, _, _ in self.folders)


LAYOUTS = (
    Layout(
        (
            ("training/real", REAL, "training"),
            ("training/fake", FAKE, "training"),
            ("test/real", REAL, "test"),
            ("test/fake", FAKE, "test"),
        ),
        levels=2,
        names_tell_label=True,
    ),
    Layout((("training_real", REAL, "training"), ("training_fake", FAKE, "training")), levels=2, names_tell_label=True),
    Layout((("real", REAL, ""), ("fake", FAKE, "")), levels=0, names_tell_label=False),
)
"""The set as its authors give it; as Kaggle packs it; a folder of one's own, where any name will do. The first found counts."""


@dataclass(frozen=True)
class Candidate:
    """A file that should be an image: its path below the root, and what its folder says about it."""

    path: str
    label: Bit
    subset: Subset
    name_tells_label: bool


def candidates(root: Path) -> list[Candidate]:
    """Every file in the folders of the first layout found below `root`, hidden ones left out, sorted by path.

    Raises:
        FakefaceError: no layout is recognised.
        OSError: a folder of the layout cannot be listed.
    """
    for layout in LAYOUTS:
        found = [
            Candidate(Path(entry.path).relative_to(root).as_posix(), label, subset, layout.names_tell_label)
            for parent in _folders_below(root, layout.levels)
            for name, label, subset in layout.folders
            if os.path.lexists(parent / name)
            for entry in os.scandir(parent / name)
            if not entry.name.startswith(".") and entry.name.casefold() not in IGNORED_NAMES
        ]
        if found:
            return sorted(found, key=lambda candidate: candidate.path)
    layouts = "; or ".join(map(str, LAYOUTS))
    raise FakefaceError(f"{root}: no images in a layout that is known: expected the folders {layouts}")


def named(candidate: Candidate) -> tuple[str, tuple[Bit | None, ...]]:
    """The difficulty and the four bits that a file's name tells, "" and None where it does not.

    Raises:
        ImageError: name and folder contradict each other, or the name tells nothing and should, or is no text.
    """
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in candidate.path):
        raise ImageError(candidate.path, "its name holds control characters or is not UTF-8")
    stem = PurePosixPath(candidate.path).stem
    fake = FAKE_NAME.fullmatch(stem)
    label = FAKE if fake else REAL if REAL_NAME.fullmatch(stem) else None
    if label is None and candidate.name_tells_label:
        raise ImageError(candidate.path, "its name tells no label: expected one like real_00001.jpg or easy_100_1110.jpg")
    if label not in (None, candidate.label):
        raise ImageError(candidate.path, f"named {LABEL_NAMES[label]} in a folder of {LABEL_NAMES[candidate.label]} images")
    unknown: tuple[Bit | None, ...] = (None,) * len(PARTS)
    if fake is None:
        return "", unknown
    bits: tuple[Bit | None, ...] = tuple(1 if bit == "1" else 0 for bit in fake["bits"])
    return fake["difficulty"], bits if len(bits) == len(PARTS) else unknown


def examined(candidate: Candidate, root: Path) -> ImageRecord | RejectedRecord:
    """What a candidate's name, bytes and header tell; its bytes are shown to decode."""
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


def without_copies(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """One record of those with the same bytes, name, label and subset: the one nearest to the root. Sorted by path."""
    nearest_last = sorted(records, key=lambda record: (record.path.count("/"), record.path), reverse=True)
    kept = {(record.sha256, PurePosixPath(record.path).name, record.label, record.subset): record for record in nearest_last}
    return sorted(kept.values(), key=lambda record: record.path)


def contradictions(records: Iterable[ImageRecord]) -> list[RejectedRecord]:
    """The records whose very bytes also stand under the other label."""
    by_label: tuple[dict[str, str], dict[str, str]] = ({}, {})
    records = list(records)
    for record in records:
        by_label[record.label].setdefault(record.sha256, record.path)
    return [
        RejectedRecord(record.path, f"the same bytes are labelled {LABEL_NAMES[1 - record.label]} in {other}")
        for record in records
        if (other := by_label[1 - record.label].get(record.sha256)) is not None
    ]


def run(root: Path, images: Path, rejected: Path, metrics: Path, params: IndexParams) -> None:
    """Index `root`. Raises FakefaceError; the table of rejected files is written even then."""
    if not root.is_dir():
        hint = "`dvc repro` draws it" if root == SAMPLE_ROOT else "data.root should name a folder of photos"
        raise FakefaceError(f"{root}: no such folder: {hint}")
    results = list(on_all_cores(partial(examined, root=root), candidates(root), "index"))
    usable = [result for result in results if isinstance(result, ImageRecord)]
    kept = without_copies(usable)
    refused = [result for result in results if isinstance(result, RejectedRecord)] + contradictions(kept)
    refused.sort(key=lambda record: record.path)
    refused_paths = {record.path for record in refused}
    records = [record for record in kept if record.path not in refused_paths]
    write_rows(rejected, RejectedRecord, refused)
    check(records, refused, f"{root}", rejected, params)
    write_rows(images, ImageRecord, records)
    counts = {name: sum(record.label == label for record in records) for label, name in enumerate(LABEL_NAMES)}
    summary = {"images": len(records), **counts, "duplicates": len(usable) - len(kept), "rejected": len(refused)}
    write_json(metrics, summary | {"is_sample": root == SAMPLE_ROOT})
    print("index: " + ", ".join(f"{count:,} {name}" for name, count in summary.items()))


def check(
    records: Sequence[ImageRecord], refused: Sequence[RejectedRecord], root: str, rejected: Path, params: IndexParams
) -> None:
    """Raises FakefaceError where too many files were refused, or a class is empty."""
    reasons = "; ".join(f"{record.path}: {record.reason}" for record in refused[:3])
    if len(refused) > params.max_rejected:
        raise FakefaceError(
            f"{root}: {len(refused):,} files cannot be used, more than index.max_rejected, {params.max_rejected} "
            f"(all in {rejected}): {reasons}"
        )
    for label, name in enumerate(LABEL_NAMES):
        if not any(record.label == label for record in records):
            also = f"; not usable: {reasons}" if refused else ""
            raise FakefaceError(f"{root}: no usable image labelled {name}: expected some of each class{also}")


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.index", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path, help="folder of photos: " + "; or ".join(map(str, LAYOUTS)))
    parser.add_argument("--images", type=Path, required=True, help="CSV to write, a row per usable image")
    parser.add_argument("--rejected", type=Path, required=True, help="CSV to write, a row per file that cannot be used")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON to write: counts")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read section `index` of")
    args = parser.parse_args(argv)
    run(args.root, args.images, args.rejected, args.metrics, load_params(args.params, "index", IndexParams))


def _folders_below(root: Path, levels: int) -> Iterator[Path]:
    yield root
    for depth in range(1, levels + 1):
        yield from root.glob("*/" * depth)


if __name__ == "__main__":
    run_as_command(main)
