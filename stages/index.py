"""Find the images, read their labels, reject what cannot be used.

reads   LISTING, the files that `scan` found in data.root, a folder in one of the layouts below; params.yaml: data, index
does    makes sure that each image decodes and is the one listed, and takes its label from its folder
writes  IMAGES, a row per usable image; REJECTED, a row per file that cannot be used, with the reason; METRICS, counts
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import pandas as pd

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.console import printable
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import read_rows, write_json
from fakeface.core.frames import frame_of, write_table
from fakeface.core.listing import FileRecord
from fakeface.core.parallel import on_all_machines
from fakeface.core.records import (
    DIFFICULTIES,
    FAKE,
    LABEL_NAMES,
    PARTS,
    REAL,
    SAMPLE_MARKER,
    Bit,
    ImageRecord,
    RejectedRecord,
)
from fakeface.params import DataParams, IndexParams, load_params
from fakeface.photos.folders import is_sample
from fakeface.photos.images import ImageError, image_facts, read_unchanged

Subset = Literal["training", "test", ""]

REAL_NAME = re.compile(r"real_\d+")
FAKE_NAME = re.compile(rf"(?P<difficulty>{'|'.join(DIFFICULTIES)})_\d+_(?P<bits>[01]{{3,4}})")
SYNONYMS = {"val": "valid", "validation": "valid"}
"""Other names of a layout's folders."""


@dataclass(frozen=True)
class Paths:
    listing: Annotated[Path, "CSV to read: the files in data.root"]
    images: Annotated[Path, "CSV to write: a row per usable image"]
    rejected: Annotated[Path, "CSV to write: a row per file that cannot be used, with the reason"]
    metrics: Annotated[Path, "JSON to write: counts"]
    params: ParamsPath = Path("params.yaml")


@dataclass(frozen=True)
class Layout:
    """Folders of one label each, in upper or lower case; photos stand in them, or in folders of their own in them.

    Where `named`, the layout is the data set's: its files' names tell the label, and have to agree with the folder. Elsewhere
    files may have any name. The folders stand at the root or at most `depth` folders below it.
    """

    folders: tuple[tuple[str, Bit, Subset], ...]
    named: bool
    depth: int = 2

    def __str__(self) -> str:
        return " ".join(name for name, _, _ in self.folders)


CIPLAB = Layout(
    (
        ("training/real", REAL, "training"),
        ("training/fake", FAKE, "training"),
        ("test/real", REAL, "test"),
        ("test/fake", FAKE, "test"),
    ),
    named=True,
)
KAGGLE = Layout((("training_real", REAL, "training"), ("training_fake", FAKE, "training")), named=True)
DIVIDED = Layout(
    (
        ("train/real", REAL, "training"),
        ("train/fake", FAKE, "training"),
        ("valid/real", REAL, "training"),
        ("valid/fake", FAKE, "training"),
        ("test/real", REAL, "test"),
        ("test/fake", FAKE, "test"),
    ),
    named=False,
)
"""Its valid/ is no subset of its own: `split` draws the side valid, fold by fold, from all that is there to train with."""
OWN = Layout((("real", REAL, ""), ("fake", FAKE, "")), named=False, depth=0)
LAYOUTS = (CIPLAB, KAGGLE, DIVIDED, OWN)
LAST_NAMES = {name.rpartition("/")[2] for layout in LAYOUTS for name, _, _ in layout.folders}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a layout, its path relative to the root, and what the layout takes its files for."""

    layout: Layout
    folder: str
    label: Bit
    subset: Subset


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that should be an image, and the layout's folder that it lies in."""

    file: FileRecord
    place: Place


def places_of(folder: str) -> list[Place]:
    """What the layouts take a folder for; where it lies in folders of several, the outermost counts."""
    names = folder.split("/")
    known = [SYNONYMS.get(name.casefold(), name.casefold()) for name in names]
    for depth in range(len(names)):
        places = []
        for layout in LAYOUTS:
            for name, label, subset in layout.folders if depth <= layout.depth else ():
                end = depth + name.count("/") + 1
                if "/".join(known[depth:end]) == name:
                    places.append(Place(layout, "/".join(names[:end]), label, subset))
        if places:
            return places
    return []


def find_candidates(files: Iterable[FileRecord]) -> list[Candidate]:
    """The files in the folders of the only layout that has any, and what stands in the place of such a folder.

    Raises:
        FakefaceError: no layout has any, or several have.
    """
    known: dict[str, list[Place]] = {}
    inside, unreadable = [], []
    for file in files:
        folder, _, name = file.path.rpartition("/")
        if folder not in known:
            known[folder] = places_of(folder)
        places = known[folder] or (places_of(file.path) if name.casefold() in LAST_NAMES else [])
        if places and name != SAMPLE_MARKER:
            inside.append((file, places))
        elif file.reason:
            unreadable.append(file)
    layouts = {places[0].layout for _, places in inside if len(places) == 1}
    # A folder called test may be of either layout: of the one whose other folders are there, else of the first.
    layouts |= {places[0].layout for _, places in inside if layouts.isdisjoint(place.layout for place in places)}
    candidates = [Candidate(file, place) for file, places in inside for place in places if place.layout in layouts]
    if not layouts:
        reasons = "".join(f"; {file.path}: {file.reason}" for file in unreadable[:3])
        expected = ", or ".join(map(str, LAYOUTS))
        raise FakefaceError(f"no images in the folders of a known layout: expected {expected}{reasons}")
    if len(layouts) > 1:
        counts = Counter((candidate.place.layout, candidate.place.folder) for candidate in candidates)
        listed = (
            ", ".join(f"{folder} ({count:,})" for (its, folder), count in counts.items() if its == layout)
            for layout in LAYOUTS
            if layout in layouts
        )
        raise FakefaceError(f"files in the folders of several layouts, of which one is expected: {'; and '.join(listed)}")
    return candidates


def parse_name(candidate: Candidate) -> tuple[str, tuple[Bit | None, ...]]:
    """The difficulty and the four bits in a file's name, "" and None where it has none or does not agree with the folder.

    Raises:
        ImageError: in the data set's own layouts, the name tells no label, or another one than its folder.
    """
    path, place = candidate.file.path, candidate.place
    stem = PurePosixPath(path).stem
    fake = FAKE_NAME.fullmatch(stem)
    named_label = FAKE if fake else REAL if REAL_NAME.fullmatch(stem) else None
    if place.layout.named and named_label != place.label:
        if named_label is None:
            raise ImageError(path, "its name tells no label: expected one like real_00001.jpg or easy_100_1110.jpg")
        raise ImageError(path, f"its name says {LABEL_NAMES[named_label]}, its folder {LABEL_NAMES[place.label]}")
    if not fake or place.label == REAL:
        return "", (None,) * len(PARTS)
    bits: tuple[Bit | None, ...] = tuple(1 if bit == "1" else 0 for bit in fake["bits"])
    return fake["difficulty"], bits if len(bits) == len(PARTS) else (None,) * len(PARTS)


def examine(candidate: Candidate, root: Path) -> ImageRecord | RejectedRecord:
    """Parse a file's name and decode it: the image's record, or why the file cannot be used.

    Raises:
        ImageError: it is not the file listed any more.
    """
    file, place = candidate.file, candidate.place
    if file.reason:
        return RejectedRecord(file.path, file.reason)
    data = read_unchanged(root / file.path, file.sha256)
    try:
        difficulty, bits = parse_name(candidate)
        facts = image_facts(data, file.path)
    except ImageError as error:
        return RejectedRecord(file.path, error.reason)
    return ImageRecord(
        path=file.path,
        sha256=file.sha256,
        label=place.label,
        difficulty=difficulty,
        **dict(zip(PARTS, bits, strict=True)),
        width=facts.width,
        height=facts.height,
        bytes=len(data),
        luma_quantisation_sum=facts.luma_quantisation_sum,
        subset=place.subset,
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
    counts: dict[str, int] = {
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


def summary(images: pd.DataFrame, rejected: pd.DataFrame, counts: Mapping[str, int], elsewhere: int, reasons: Path) -> str:
    """What was found, in a few lines: images of each class and subset, and what was left out; `reasons` is where all are."""
    lines = [f"{counts['images']:,} images: {counts['real']:,} real, {counts['fake']:,} fake"]
    for subset in sorted(set(images["subset"]) - {""}, reverse=True):
        labels = Counter(images.loc[images["subset"] == subset, "label"])
        lines.append(f"  {subset}: {labels[REAL]:,} real, {labels[FAKE]:,} fake")
    left_out = f"{counts['duplicates']:,} duplicates, {elsewhere:,} files in other folders, {counts['rejected']:,} rejected"
    lines.append(f"left out: {left_out} ({reasons} says why)")
    lines += [printable(f"  {path}: {reason}") for path, reason in rejected.head(3).itertuples(index=False)]
    return "\n".join(lines)


def run(paths: Paths, root: Path, params: IndexParams) -> None:
    """Index the photos in `root`; the reasons for rejections are written even where they are too many."""
    files = read_rows(paths.listing, FileRecord)
    try:
        candidates = find_candidates(files)
    except FakefaceError as error:
        raise FakefaceError(f"{root}: {error}") from None
    records = list(on_all_machines(partial(examine, root=root), candidates, "index"))
    images, rejected, counts = build_index(records)
    write_table(paths.rejected, RejectedRecord, rejected)
    elsewhere = sum(PurePosixPath(file.path).name != SAMPLE_MARKER for file in files) - len(candidates)
    print(summary(images, rejected, counts, elsewhere, paths.rejected))
    if complaint := shortage(counts, rejected, params):
        raise FakefaceError(f"{root}: {complaint}" + (f" (all in {paths.rejected})" if len(rejected) else ""))
    write_table(paths.images, ImageRecord, images)
    write_json(paths.metrics, counts | {"is_sample": is_sample(root, files)})


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    run(paths, load_params(paths.params, "data", DataParams).root, load_params(paths.params, "index", IndexParams))


if __name__ == "__main__":
    run_as_command(main)
