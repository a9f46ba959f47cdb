"""Tables (CSV) and JSON files, written whole or not at all."""

import csv
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from errno import EISDIR
from pathlib import Path
from typing import Any, TypeVar

from fakeface.core.errors import FakefaceError

Row = TypeVar("Row")

ROWS_AT_A_TIME = 1000
MAX_PHOTO_BYTES = 2**30
"""A larger file is no photo, and is not read."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write under; it takes `path`'s place when the block ends well, else it goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename is None or str(error.filename) == str(temporary):
            error.filename = str(path)  # a full disk is reported without a name
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(path: Path) -> None:
    """Try whether `replacing` could write there, before the work whose result it is. Leaves no file and no folder.

    Raises:
        OSError: the path is a folder, or nothing can be written beside it.
    """
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    existing = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    temporary = existing / f".{path.name}.{os.getpid()}.tmp"
    try:
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        error.filename = str(path)
        raise


def write_rows(path: Path, kind: type[Any], rows: Iterable[Any]) -> None:
    """Write dataclass instances as a CSV with a column per field; None is an empty cell."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        names = [field.name for field in fields(kind)]
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(row, name) for name in names] for row in rows)


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """All rows that `write_rows` wrote. Raises as `each_row` does."""
    return list(each_row(path, kind))


def each_row(path: Path, kind: type[Row]) -> Iterator[Row]:
    """Read back what `write_rows` wrote, a few rows at a time, however many there are.

    Raises:
        FakefaceError: the file is no CSV, a column is missing or a cell is not what its field allows.
    """
    # Not at the top: `scan`, which runs at every `dvc repro`, only writes tables.
    from pydantic import TypeAdapter, ValidationError

    from fakeface.core.records import Bit

    number_types = (int, float, Bit, int | None, float | None, Bit | None)
    numeric = {field.name for field in fields(kind) if field.type in number_types}  # type: ignore[arg-type]
    validate = TypeAdapter(list[kind]).validate_python  # type: ignore[valid-type]
    first_line = 2
    try:
        with path.open(encoding="utf-8", newline="") as file:
            cells = (
                {name: _number(text) if name in numeric else text for name, text in row.items()}
                for row in csv.DictReader(file, restkey="more cells than columns")
            )
            while rows := list(itertools.islice(cells, ROWS_AT_A_TIME)):
                yield from validate(rows)
                first_line += len(rows)
    except (csv.Error, UnicodeDecodeError) as error:
        raise FakefaceError(f"{path}: not CSV: {error}") from None
    except ValidationError as error:
        row, *column = error.errors()[0]["loc"]
        problem = error.errors()[0]["msg"]
        raise FakefaceError(f"{path}: line {first_line + int(row)}: {'.'.join(map(str, column))}: {problem}") from None


def _number(text: str | None) -> int | float | str | None:
    """The number in a cell, None for an empty one; text that is no number stays as it is, to be refused by name."""
    if not text:
        return None
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def write_json(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Raises FakefaceError where the file is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FakefaceError(f"{path}: not JSON: {error}") from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
