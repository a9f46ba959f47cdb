"""What a frozen backbone made of the images before, in .cache/looks of the checkout: of both losses' trainings one looks.

Safe to delete.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from fakeface.core.files import replacing

MAX_FOLDERS = 3
"""Of the latest ones; 1,400 photos with two copies take 90 MB."""


@dataclass(frozen=True)
class Looks:
    """Pooled feature maps by the name of the side, computed from the same images by the same code; without a folder, none."""

    folder: Path | None = None

    def load(self, side: str) -> Tensor | None:
        """None where nothing was saved, or what was is damaged."""
        if self.folder is None or not (path := self._file(self.folder, side)).is_file():
            return None
        try:
            pooled: Tensor = load_file(path)["pooled"]
        except (OSError, SafetensorError, KeyError):
            return None
        return pooled

    def save(self, side: str, pooled: Tensor) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._file(self.folder, side)) as temporary:
                temporary.write_bytes(save({"pooled": pooled.cpu().contiguous()}))  # a full disk is then one line

    @staticmethod
    def _file(folder: Path, side: str) -> Path:
        return folder / f"{side}.safetensors"


def open_looks(parent: Path, name: str) -> Looks:
    """Those in `parent`/name, which is named after all that decides what is in it; older ones of other names are removed."""
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    with suppress(FileNotFoundError):  # where another process deletes them too
        for unused in sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-MAX_FOLDERS]:
            shutil.rmtree(unused)
    return Looks(folder)
