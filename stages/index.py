"""Find the images, read their labels, reject what cannot be used.

reads   ROOT, a folder of photos in one of the layouts below; params.yaml: index
does    hashes each file's bytes, shows that they decode, and takes the label from name and folder
writes  IMAGES, a row per usable image; REJECTED, a row per file that cannot be used, with the reason; METRICS, counts
"""

import argparse
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Literal

import pydantic

from stages.errors import FakefaceError, run_as_command
from stages.images import ImageError, image_facts, on_all_cores, read_image_bytes
from stages.params import STRICT, load_params
from stages.records import FAKE, LABEL_NAMES, PARTS, REAL, Bit, ImageRecord, RejectedRecord, write_json, write_rows

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


def candidates(root: Path) -> list[Candidate]:
    """Every file in the folders of the first of LAYOUTS found, hidden ones left out, sorted by path.

    Raises:
        FakefaceError: no layout is found.
        OSError: a folder of the layout cannot be listed.
    """
    for layout in LAYOUTS:
        parents = [root] if layout.own else [root, *root.glob("[!.]*/"), *root.glob("[!.]*/[!.]*/")]
        found = [
            Candidate(Path(entry.path).relative_to(root).as_posix(), label, subset, layout.own)
            for parent in parents
            for name, label, subset in layout.folders
            if os.path.lexists(parent / name)
            for entry in os.scandir(parent / name)
            if not entry.name.startswith(".") and entry.name.casefold() not in IGNORED_NAMES
        ]
        if found:
            return sorted(found, key=lambda candidate: candidate.path)
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


def without_copies(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """Of records with the same bytes, name, label and subset the one nearest to the root, sorted by path."""
    nearest_last = sorted(records, key=lambda record: (record.path.count("/"), record.path), reverse=True)
    kept = {(record.sha256, PurePosixPath(record.path).name, record.label, record.subset): record for record in nearest_last}
    return sorted(kept.values(), key=lambda record: record.path)


def contradictions(records: Sequence[ImageRecord]) -> list[RejectedRecord]:
    """The records whose very bytes also stand under the other label."""
    path_of: dict[tuple[str, int], str] = {(record.sha256, record.label): record.path for record in records}
    return [
        RejectedRecord(record.path, f"labelled {LABEL_NAMES[1 - record.label]} too: the same bytes as {other}")
        for record in records
        if (other := path_of.get((record.sha256, 1 - record.label)))
    ]


def shortage(records: Sequence[ImageRecord], rejected: Sequence[RejectedRecord], params: IndexParams) -> str | None:
    """What is wrong where too many files were rejected, or a class has no image."""
    reasons = "; ".join(f"{record.path}: {record.reason}" for record in rejected[:3])
    if len(rejected) > params.max_rejected:
        return f"{len(rejected):,} files cannot be used, more than index.max_rejected ({params.max_rejected:,}): {reasons}"
    for label, name in enumerate(LABEL_NAMES):
        if all(record.label != label for record in records):
            return f"no {name} image that can be used: expected some of each class. {reasons}".rstrip(" .")
    return None


def run(root: Path, images_path: Path, rejected_path: Path, metrics_path: Path, params: IndexParams) -> None:
    """Index `root`; the reasons for rejections are written even where they are too many."""
    if not root.is_dir():
        hint = "`dvc repro` draws it" if root == SAMPLE_ROOT else "data.root should name a folder of photos"
        raise FakefaceError(f"{root}: no such folder: {hint}")
    results = list(on_all_cores(partial(examined, root=root), candidates(root), "index"))
    usable = [result for result in results if isinstance(result, ImageRecord)]
    single = without_copies(usable)
    rejected = [result for result in results if isinstance(result, RejectedRecord)] + contradictions(single)
    rejected.sort(key=lambda record: record.path)
    rejected_paths = {record.path for record in rejected}
    records = [record for record in single if record.path not in rejected_paths]
    write_rows(rejected_path, RejectedRecord, rejected)
    if complaint := shortage(records, rejected, params):
        raise FakefaceError(f"{root}: {complaint}" + (f" (all in {rejected_path})" if rejected else ""))
    write_rows(images_path, ImageRecord, records)
    labels = {name: sum(record.label == label for record in records) for label, name in enumerate(LABEL_NAMES)}
    counts = {"images": len(records), **labels, "duplicates": len(usable) - len(single), "rejected": len(rejected)}
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
