"""What an interrupted training needs to go on: kept outside DVC's outs, which DVC deletes before it runs a stage."""

import hashlib
import io
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from stages.records import replacing

STATE_FILE, BEST_FILE = "state.pt", "best.pt"


def fingerprint(*parts: Any) -> str:
    """A name for everything that decides a training's result: JSON values, and files by their content."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else json.dumps(part, sort_keys=True).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


class ResumeFolder:
    """The last finished epoch of one training, and the best one's weights; without a folder, nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def load(self) -> dict[str, Any] | None:
        """The state that `save` was last given, with the best weights under `best`; None where there is none."""
        if self.folder is None or not (self.folder / STATE_FILE).exists():
            return None
        try:
            state: dict[str, Any] = _load(self.folder / STATE_FILE)
            return state | {"best": _load(self.folder / state["best_file"])}
        except Exception as error:  # noqa: BLE001 - what a power cut left half-written is worth a warning, not the training
            reason = " ".join(str(error).split())[:200]
            print(
                f"warning: {self.folder / STATE_FILE}: cannot be resumed from, training starts anew: {reason}", file=sys.stderr
            )
            return None

    def save(self, state: dict[str, Any], best: dict[str, torch.Tensor], best_epoch: int) -> None:
        """Keep a finished epoch; a process killed at any point leaves the previous epoch or this one, whole."""
        if self.folder is None:
            return
        best_file = self.folder / f"{best_epoch}-{BEST_FILE}"
        if not best_file.exists():
            _save(best_file, best)
        _save(self.folder / STATE_FILE, state | {"best_file": best_file.name})
        for older in self.folder.glob(f"*-{BEST_FILE}"):
            if older != best_file:
                older.unlink()

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


def _save(path: Path, value: Any) -> None:
    serialised = io.BytesIO()  # written here, not by torch, whose error on a full disk names no file
    torch.save(value, serialised)
    with replacing(path) as temporary:
        temporary.write_bytes(serialised.getbuffer())


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)
