"""Checkpoints of interrupted trainings, outside DVC's outs: DVC deletes those before it runs a stage."""

import hashlib
import itertools
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from fakeface.core.console import tell
from fakeface.core.errors import FakefaceError
from fakeface.core.files import replacing
from fakeface.training.devices import BYTES_PER_MIB

STATE_FILES = "[0-9]*.pt"
LOCK_TIMEOUT_S = 1.0
"""Longer than another process holds the lock to prune; one that trains holds it for as long as that takes."""
MAX_INTERRUPTED = 3
MAX_BYTES = 2**30
"""Of a stage's interrupted trainings together; the latest one is kept whatever its size."""
MAX_AGE_DAYS = 7
SECONDS_PER_DAY = 24 * 60 * 60


def fingerprint(*parts: Any) -> str:
    """A name for everything that decides a training's result: JSON values, and files by their content."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else json.dumps(part, sort_keys=True).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


class Checkpoints:
    """A training's state after its last and after its best epoch, in a file each; without a folder, nothing is saved."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def of_refit(self) -> "Checkpoints":
        """Those of a refit after this training, which are removed with it."""
        if self.folder is None:
            return self
        (self.folder / "refit").mkdir(exist_ok=True)
        return Checkpoints(self.folder / "refit")

    def load(self) -> dict[str, Any] | None:
        """The last state saved, with the network of the best epoch as `best_network`; None if there is none."""
        epochs = [] if self.folder is None else [int(path.stem) for path in self.folder.glob(STATE_FILES)]
        if self.folder is None or not epochs:
            return None
        last = state_file(self.folder, max(epochs))
        try:
            state: dict[str, Any] = _load(last)
            best = state if state["best_epoch"] == max(epochs) else _load(state_file(self.folder, state["best_epoch"]))
            return state | {"best_network": best["network"]}
        except Exception as error:  # noqa: BLE001 - a file left half-written by a power cut must not end the training
            reason = " ".join(str(error).split())[:200]
            tell(f"warning: {last}: cannot be resumed from, training starts anew: {reason}")
            return None

    def save(self, state: dict[str, Any], epoch: int, best_epoch: int) -> None:
        """Save the state after `epoch`; a process killed at any point leaves the epoch before or this one, whole."""
        if self.folder is None:
            return
        path, needed = state_file(self.folder, epoch), {state_file(self.folder, number) for number in (epoch, best_epoch)}
        with replacing(path) as temporary, temporary.open("wb") as file:
            try:
                torch.save(state | {"best_epoch": best_epoch}, file)
            except RuntimeError as error:  # if the disk becomes full in the middle, torch's own error names neither
                raise FakefaceError(
                    f"{path}: cannot be written, is the disk full? {' '.join(str(error).split())[:200]}"
                ) from None
        for path in set(self.folder.glob(STATE_FILES)) - needed:
            path.unlink()

    def remove(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def state_file(folder: Path, epoch: int) -> Path:
    return folder / f"{epoch}.pt"


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


@contextmanager
def open_checkpoints(root: Path, stage: str, name: str) -> Iterator[Checkpoints]:
    """Those in `root`/.resume/stage/name, locked; while another process trains the same, nothing is loaded or saved.

    Checkpoints of the stage that nobody is likely to resume are pruned first.
    """
    folder = root / ".resume" / stage
    folder.mkdir(parents=True, exist_ok=True)
    prune(folder, in_use=name)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=LOCK_TIMEOUT_S)
    except Timeout:
        yield Checkpoints(None)
        return
    try:
        (folder / name).mkdir(exist_ok=True)
        for half_written in (folder / name).rglob(".*.tmp"):  # by a process that was killed as it saved
            half_written.unlink()
        yield Checkpoints(folder / name)
    finally:
        lock.release()


def prune(folder: Path, in_use: str) -> None:
    """Remove what interrupted trainings have left, but of the latest ones MAX_INTERRUPTED, MAX_BYTES, for MAX_AGE_DAYS.

    `folder` holds a folder per training, and beside it its lock. The training `in_use` stays, and each whose lock is held.
    """
    others = [path for path in folder.iterdir() if path.is_dir() and path.name != in_use]
    latest_first = sorted(others, key=_saved_at, reverse=True)
    oldest = time.time() - MAX_AGE_DAYS * SECONDS_PER_DAY
    so_far = itertools.accumulate(map(_size, latest_first))
    sizes = [
        _remove(path)
        for place, (path, total) in enumerate(zip(latest_first, so_far, strict=True))
        if place >= MAX_INTERRUPTED or (place > 0 and total > MAX_BYTES) or _saved_at(path) < oldest
    ]
    removed = [size for size in sizes if size is not None]
    if removed:
        tell(
            f"{folder}: removed checkpoints of {len(removed)} interrupted trainings, {sum(removed) / BYTES_PER_MIB:.1f} MiB; "
            f"the latest {MAX_INTERRUPTED} are kept for {MAX_AGE_DAYS} days, or as many as take {MAX_BYTES / 2**30:g} GiB"
        )
    for lock in folder.glob("*.lock"):
        if lock.stem != in_use and not lock.with_suffix("").exists():
            _remove(lock.with_suffix(""))


def _saved_at(folder: Path) -> float:
    """When a checkpoint was last written to it, in seconds since 1970; 0 if another process has just removed it."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(folder: Path) -> int:
    """The bytes in it; 0 if another process has just removed it."""
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in folder.rglob("*.pt"))
    return 0


def _remove(folder: Path) -> int | None:
    """Remove a training's folder and its lock; the bytes that were in it, None if another process holds it."""
    lock = folder.with_suffix(".lock")
    try:
        with FileLock(lock, blocking=False):
            size = _size(folder)
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink()  # while it is held: who waits for it notices, and locks a new file
            return size
    except OSError:  # a Timeout, as another process holds it, or a file that cannot be removed
        return None
