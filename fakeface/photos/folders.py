"""The photos in a folder and the folders below it, by the endings of their names; and whether they are drawn ones."""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fakeface.core.listing import FileRecord
from fakeface.core.records import SAMPLE_MARKER

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff")


class FolderContents(NamedTuple):
    """Photos, sorted; how many files have another ending; and the errors of folders that cannot be listed."""

    photos: list[Path]
    others: int
    errors: list[OSError]


def contents_of(folder: Path) -> FolderContents:
    """What is in a folder at any depth, hidden files and folders left out, through links, each folder once."""
    photos: list[Path] = []
    others = 0
    errors: list[OSError] = []
    seen = {os.path.realpath(folder)}
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not _is_hidden(name) and not _was_seen(Path(parent, name), seen))
        for name in files:
            if _is_hidden(name):
                continue
            if name.lower().endswith(ENDINGS):
                photos.append(Path(parent, name))
            else:
                others += 1
    return FolderContents(sorted(photos), others, errors)


def is_sample(root: Path, files: Iterable[FileRecord]) -> bool:
    """Whether the photos are drawn ones, in whole or in part: a folder that they lie in, or one of theirs, says so."""
    above = Path(os.path.realpath(root)).parents
    return any(PurePosixPath(file.path).name == SAMPLE_MARKER for file in files) or any(
        (folder / SAMPLE_MARKER).is_file() for folder in above
    )


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _was_seen(folder: Path, seen: set[str]) -> bool:
    """Whether the folder, by any name, is in `seen`, to which it is added: links can lead in a circle."""
    place = os.path.realpath(folder)
    if place in seen:
        return True
    seen.add(place)
    return False
