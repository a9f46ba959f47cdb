"""What an interrupted training needs to go on: kept outside DVC's outs, which DVC deletes before it runs a stage."""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from fakeface.core.errors import FakefaceError
from fakeface.core.files import replacing

STATE_FILES = "[0-9]*.pt"


def fingerprint(*parts: Any) -> str:
    """A name for everything that decides a training's result: JSON values, and files by their content."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else json.dumps(part, sort_keys=True).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


class ResumeFolder:
    """The states of a training after its last and after its best epoch, a file each; without a folder, nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def load(self) -> dict[str, Any] | None:
        """The state that `save` was last given, and under `best` the network of the best epoch; None where there is none."""
        epochs = [] if self.folder is None else [int(path.stem) for path in self.folder.glob(STATE_FILES)]
        if self.folder is None or not epochs:
            return None
        last = state_file(self.folder, max(epochs))
        try:
            state: dict[str, Any] = _load(last)
            best = state if state["best_epoch"] == max(epochs) else _load(state_file(self.folder, state["best_epoch"]))
            return state | {"best": best["network"]}
        except Exception as error:  # noqa: BLE001 - what a power cut left half-written is worth a warning, not the training
            reason = " ".join(str(error).split())[:200]
            print(f"warning: {last}: cannot be resumed from, training starts anew: {reason}", file=sys.stderr)
            return None

    def save(self, state: dict[str, Any], epoch: int, best_epoch: int) -> None:
        """Keep a finished epoch; a process killed at any point leaves the previous epoch or this one, whole."""
        if self.folder is None:
            return
        path, needed = state_file(self.folder, epoch), {state_file(self.folder, number) for number in (epoch, best_epoch)}
        with replacing(path) as temporary, temporary.open("wb") as file:
            try:
                torch.save(state | {"best_epoch": best_epoch}, file)
            except RuntimeError as error:  # where the disk becomes full in the middle, torch's own error names neither
                raise FakefaceError(
                    f"{path}: cannot be written, is the disk full? {' '.join(str(error).split())[:200]}"
                ) from None
        for path in set(self.folder.glob(STATE_FILES)) - needed:
            path.unlink()

    def remove(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def resume_folder(root: Path, stage: str, name: str) -> Iterator[ResumeFolder]:
    """`root`/.resume/stage/name, held by this process alone; where another one trains the same, keep nothing."""
    folder = root / ".resume" / stage / name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield ResumeFolder(None)
        return
    try:
        yield ResumeFolder(folder)
    finally:
        lock.release()


def state_file(folder: Path, epoch: int) -> Path:
    return folder / f"{epoch}.pt"


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)
