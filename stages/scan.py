"""List the files in the photos' folder and in the one of photos from elsewhere, with the SHA-256 of each.

reads   all files below data.root and elsewhere.root but hidden ones; params.yaml: data, elsewhere
does    hashes what is new or changed since it last ran here; opens nothing but regular files
writes  LISTING and ELSEWHERE, a row per file, sorted by path: the same bytes for the same files on every machine. ELSEWHERE has
        no rows where elsewhere.root is null

DVC runs it at every `dvc repro`: so a changed photo is noticed, and what else lies in the folder is no trouble to DVC, which
would hang at a FIFO and fail at a link to nothing. Hashes are kept in .cache/scan of the checkout, which is safe to delete.
"""

import json
import os
import stat
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import fakeface
from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.checkout import checkout_root
from fakeface.core.errors import FakefaceError, ParamsError, run_as_command
from fakeface.core.files import MAX_PHOTO_BYTES, replacing, sha256_of, write_rows
from fakeface.core.listing import FileRecord

IGNORED_NAMES = {"thumbs.db", "desktop.ini"}
MAX_CACHES = 8
"""Hashes are kept for so many folders of photos, those scanned last."""
SETTLED_NS = 2 * 10**9
"""What changed within the last two seconds may change again and bear the same time: its hash is not kept."""

CHECKS = [Path(fakeface.__file__).parent / name for name in ("params.py", "core/params.py", "core/records.py")]
"""What decides which params.yaml is right."""

State = list[int]
"""A file's size, times of the last change of its content and of its status in ns, and inode: while they stay, so does it."""
Hashes = dict[str, tuple[State, str]]
"""By path, the state in which a file was hashed, and its SHA-256."""


@dataclass(frozen=True)
class Paths:
    listing: Annotated[Path, "CSV to write: a row per file in data.root"]
    elsewhere: Annotated[Path, "CSV to write: a row per file in elsewhere.root"]
    params: ParamsPath = Path("params.yaml")


@dataclass(frozen=True)
class Roots:
    """data.root and elsewhere.root."""

    photos: Path
    elsewhere: Path | None


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file's path relative to the root, with its state, or the reason why it cannot be read."""

    path: str
    state: State | None
    reason: str = ""


def find_files(root: Path) -> Iterator[FoundFile]:
    """All files below the root but hidden ones, links followed, in no order. Raises OSError where the root cannot be listed."""
    waiting = [("", [_identity(root.stat())])]
    while waiting:
        folder, above = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                visible = [entry for entry in entries if not _is_hidden(entry.name)]
        except OSError as error:
            if not folder:
                raise
            yield FoundFile(_escape(folder), None, f"a folder that cannot be listed: {error.strerror}")
            continue
        for entry in visible:
            path = f"{folder}/{entry.name}" if folder else entry.name
            try:
                status = entry.stat()
            except OSError as error:
                is_dangling = isinstance(error, FileNotFoundError) and entry.is_symlink()
                yield FoundFile(_escape(path), None, "a link to nothing" if is_dangling else str(error.strerror))
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield _found_file(path, status)
            elif (identity := _identity(status)) in above:
                yield FoundFile(_escape(path), None, "a link to a folder that it lies in")
            else:
                waiting.append((path, [*above, identity]))


def list_files(root: Path, hashes: Hashes) -> tuple[list[FileRecord], Hashes]:
    """All files below the root, sorted by path, and what to pass as `hashes` the next time: what stays is not read again.

    Raises:
        OSError: the root cannot be listed.
    """
    started_ns = time.time_ns()
    files = sorted(find_files(root), key=lambda file: file.path)
    known = [_known_record(file, hashes) for file in files]
    new = [file for file, record in zip(files, known, strict=True) if record is None]
    read = iter(_read_all(new, root))
    records = [record or next(read) for record in known]
    settled = {
        file.path: (file.state, record.sha256)
        for file, record in zip(files, records, strict=True)
        if file.state and record.sha256 and file.state[2] < started_ns - SETTLED_NS
    }
    return records, settled


def load_hashes(cache: Path) -> Hashes:
    """What `store_hashes` stored; nothing where that is missing or damaged."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return {path: (state, digest) for path, (*state, digest) in json.loads(cache.read_text(encoding="utf-8")).items()}
    return {}


def store_hashes(cache: Path, hashes: Hashes) -> None:
    """Keep the hashes for the next run, if there is room for them, and those of the MAX_CACHES folders scanned last."""
    with suppress(OSError):
        with replacing(cache) as temporary:
            temporary.write_text(json.dumps({path: [*state, digest] for path, (state, digest) in hashes.items()}), "utf-8")
        caches = sorted(cache.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for unused in caches[:-MAX_CACHES]:
            unused.unlink(missing_ok=True)


def checked_roots(params: Path, cache: Path) -> Roots:
    """The folders, where no section of params.yaml is wrong: so no later stage is the first to refuse one.

    Kept in `cache` until the file's content changes: to read and check it takes longer than all else here.

    Raises:
        ParamsError: as `load_params`.
    """
    try:
        content = params.read_bytes()
    except FileNotFoundError:
        raise ParamsError(f"{params}: no such file") from None
    home = os.fsencode(os.environ.get("HOME", ""))  # `~` in a folder's name
    digest = sha256(b"".join([content, home, *(path.read_bytes() for path in CHECKS)])).hexdigest()
    with suppress(OSError, ValueError, TypeError):
        known, photos, elsewhere = json.loads(cache.read_text(encoding="utf-8"))
        if known == digest:
            return Roots(Path(photos), elsewhere and Path(elsewhere))
    from fakeface.params import DataParams, ElsewhereParams, load_params

    found = Roots(load_params(params, "data", DataParams).root, load_params(params, "elsewhere", ElsewhereParams).root)
    with suppress(OSError), replacing(cache) as temporary:
        names = [str(found.photos), found.elsewhere and str(found.elsewhere)]
        temporary.write_text(json.dumps([digest, *names]), encoding="utf-8")
    return found


def run(paths: Paths, roots: Roots) -> None:
    if not roots.photos.is_dir():
        raise FakefaceError(f"{roots.photos}: no such folder: data.root should name a folder of photos")
    photos, elsewhere = listed(roots.photos), []
    if roots.elsewhere is not None:
        if not roots.elsewhere.is_dir():
            raise FakefaceError(f"{roots.elsewhere}: no such folder: elsewhere.root should name a folder of photos, or be null")
        elsewhere = listed(roots.elsewhere)
        if complaint := unfit(elsewhere, photos):
            raise FakefaceError(f"{roots.elsewhere}: {complaint}")
    write_rows(paths.listing, FileRecord, photos)
    write_rows(paths.elsewhere, FileRecord, elsewhere)


def listed(root: Path) -> list[FileRecord]:
    """All files below a folder, by the hashes that are known of them."""
    cache = checkout_root() / ".cache" / "scan" / f"{sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]}.json"
    hashes = load_hashes(cache)
    records, settled = list_files(root, hashes)
    if settled != hashes:
        store_hashes(cache, settled)
    return records


def unfit(elsewhere: Sequence[FileRecord], photos: Sequence[FileRecord]) -> str | None:
    """What is wrong with photos from elsewhere: there are none, a folder says they are fakes, or data.root has them too."""
    if not elsewhere:
        return "no file in this folder: elsewhere.root should name a folder of photos, or be null"
    known = {file.sha256: file.path for file in photos if file.sha256}
    for file in elsewhere:
        if file.path.rpartition("/")[0].casefold().endswith("fake"):
            return f"{file.path}: in a folder of fakes: elsewhere.root should name photos none of which is a composite"
        if file.sha256 in known:
            return f"{file.path}: the same bytes as {known[file.sha256]} in data.root: elsewhere.root should name other photos"
    return None


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    run(paths, checked_roots(paths.params, checkout_root() / ".cache" / "params" / "checked"))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in IGNORED_NAMES


def _escape(path: str) -> str:
    """The path as UTF-8 can hold it."""
    return path.encode("utf-8", "backslashreplace").decode()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _found_file(path: str, status: os.stat_result) -> FoundFile:
    if not stat.S_ISREG(status.st_mode):
        return FoundFile(_escape(path), None, "not a regular file")
    if not path.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path):
        return FoundFile(_escape(path), None, "its name holds control characters or is not UTF-8")
    if status.st_size > MAX_PHOTO_BYTES:
        return FoundFile(path, None, f"{status.st_size:,} bytes: more than {MAX_PHOTO_BYTES:,}")
    return FoundFile(path, [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino])


def _known_record(file: FoundFile, hashes: Hashes) -> FileRecord | None:
    if file.state is None:
        return FileRecord(file.path, None, "", file.reason)
    state, digest = hashes.get(file.path, (None, ""))
    return FileRecord(file.path, file.state[0], digest, "") if state == file.state else None


def _read_all(files: Sequence[FoundFile], root: Path) -> Iterable[FileRecord]:
    if not files:
        return ()
    from fakeface.core.parallel import on_all_machines  # a tenth of a second that most runs do not need

    return on_all_machines(partial(_read, root=root), files, "scan")


def _read(file: FoundFile, root: Path) -> FileRecord:
    try:
        return FileRecord(file.path, file.state[0] if file.state else None, sha256_of(root / file.path), "")
    except OSError as error:
        return FileRecord(file.path, None, "", str(error.strerror))


if __name__ == "__main__":
    run_as_command(main)
