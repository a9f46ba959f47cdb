"""What `relate` has computed before, by content, in a folder on disk: a later run computes only what is new. Safe to delete."""

import io
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
import PIL

import fakeface
from fakeface.core.errors import FakefaceError
from fakeface.core.files import each_row, replacing, write_rows
from fakeface.relations.features import Features

MAX_AGE_DAYS = 30
MAX_FOLDERS = 3
DECIDING_MODULES = ("photos/images.py", "relations/features.py", "relations/matching.py")


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """Two contents, sha256_a < sha256_b, the second mirrored or not, and how many keypoints lie alike in them."""

    sha256_a: str
    sha256_b: str
    mirrored: bool
    points: int


@dataclass(frozen=True)
class Cache:
    """Features of contents and comparisons of pairs of them, all computed with the same settings; damaged files are ignored."""

    folder: Path

    def load_features(self, content: str) -> tuple[str, Features] | None:
        """The digest of the pixels and the features of the content with that SHA-256, if they are here."""
        with suppress(OSError, EOFError, ValueError, KeyError, BadZipFile):
            arrays = np.load(io.BytesIO(self._features_file(content).read_bytes()), allow_pickle=False)
            return str(arrays["pixels"]), Features(arrays["points"], arrays["descriptors"])
        return None

    def features(self, content: str) -> Features:
        """The features of a content that was stored. Raises FakefaceError where they are gone."""
        if (stored := self.load_features(content)) is None:
            raise FakefaceError(f"{self._features_file(content)}: gone or damaged since it was written: run this again")
        return stored[1]

    def store_features(self, content: str, pixels: str, features: Features) -> None:
        """Raises FakefaceError where the folder is gone, or another machine's that this one does not see."""
        if not self.folder.is_dir():
            raise FakefaceError(f"{self.folder}: no such folder here: expected the checkout's cache")
        with replacing(self._features_file(content)) as temporary, temporary.open("wb") as file:
            np.savez(file, pixels=pixels, points=features.points, descriptors=features.descriptors)

    def load_comparisons(self) -> Iterator[ComparisonRecord]:
        with suppress(OSError, FakefaceError):
            yield from each_row(self._comparisons_file, ComparisonRecord)

    def add_comparisons(self, new: Iterable[ComparisonRecord]) -> None:
        write_rows(self._comparisons_file, ComparisonRecord, chain(self.load_comparisons(), new))

    def _features_file(self, content: str) -> Path:
        return self.folder / f"{content}.npz"

    @property
    def _comparisons_file(self) -> Path:
        return self.folder / "pairs.csv"


def open_cache(parent: Path, settings: tuple[float, ...]) -> Cache:
    """The cache in `parent` that is named after all that decides what is in it: settings, our code and libraries' versions."""
    digest = sha256(repr((cv2.__version__, PIL.__version__, *settings)).encode())
    for module in DECIDING_MODULES:
        digest.update((Path(fakeface.__file__).parent / module).read_bytes())
    folder = parent / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    return Cache(folder)


def prune_caches(parent: Path, current: Cache) -> list[str]:
    """Delete caches of other settings that were not opened for MAX_AGE_DAYS or are not among the MAX_FOLDERS opened last."""
    last_use = {folder: folder.stat().st_mtime for folder in parent.iterdir() if folder.is_dir() and not folder.is_symlink()}
    by_last_use = sorted(last_use, key=lambda folder: (folder == current.folder, last_use[folder]), reverse=True)
    oldest = time.time() - MAX_AGE_DAYS * 24 * 3600
    others = [(rank, folder) for rank, folder in enumerate(by_last_use) if folder != current.folder]
    unused = [folder for rank, folder in others if rank >= MAX_FOLDERS or last_use[folder] < oldest]
    for folder in unused:
        shutil.rmtree(folder, ignore_errors=True)  # another process may be deleting it too
    return [folder.name for folder in unused if not folder.exists()]
