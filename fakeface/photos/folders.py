"""The photos in a folder and the folders below it, by the endings of their names."""

import os
from pathlib import Path
from typing import NamedTuple

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


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _was_seen(folder: Path, seen: set[str]) -> bool:
    """Whether the folder, by any name, is in `seen`, to which it is added: links can lead in a circle."""
    place = os.path.realpath(folder)
    if place in seen:
        return True
    seen.add(place)
    return False
