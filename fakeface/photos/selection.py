"""The photos that a command line names: files, folders, patterns, and a list on standard input."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fakeface.core.errors import describe_os_error
from fakeface.photos.folders import contents_of

LIST = "-"
"""Stands for a list of names on standard input, a line each."""
EXPECTED = "expected JPEG, PNG, WEBP, BMP or TIFF"


@dataclass
class Selection:
    """Photos in the order that they were named in, what to tell of the folders, and what could not be found."""

    photos: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def add_folder(self, folder: Path) -> None:
        contents = contents_of(folder)
        self.photos += contents.photos
        self.complaints += [describe_os_error(error) for error in contents.errors]
        if contents.photos:
            others = f"; {counted(contents.others, 'other file')} left out" if contents.others else ""
            self.notes.append(f"{folder}: {counted(len(contents.photos), 'photo')}{others}")
        elif not contents.errors:
            found = f", found {counted(contents.others, 'other file')}" if contents.others else ""
            self.complaints.append(f"{folder}: no photo in this folder: {EXPECTED}{found}")


def photos_named(words: Iterable[str], listed: BinaryIO) -> Selection:
    """Files as they are named, there or not; the photos in folders; the files and folders that fit a pattern, sorted."""
    selection = Selection()
    for word in _with_list(words, listed):
        paths = _matches(word)
        if not paths:
            selection.complaints.append(f"{word}: nothing fits this pattern")
        for path in paths:
            if path.is_dir():
                selection.add_folder(path)
            else:
                selection.photos.append(path)
    return selection


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _with_list(words: Iterable[str], listed: BinaryIO) -> Iterator[str]:
    for word in words:
        if word == LIST:
            yield from (os.fsdecode(line) for line in listed.read().splitlines() if line)
        else:
            yield word


def _matches(word: str) -> list[Path]:
    """A pattern's matches; the path itself where it is none, or where a file's own name looks like one."""
    if os.path.lexists(word) or not glob.has_magic(word):
        return [Path(word)]
    return [Path(name) for name in sorted(glob.glob(word, recursive=True))]  # noqa: PTH207 - a pattern may be absolute
