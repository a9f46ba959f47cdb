"""The tables (CSV) and JSON files that the stages exchange: written whole or not at all."""

import csv
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from stages.errors import FakefaceError

Row = TypeVar("Row")

REAL: Final = 0
FAKE: Final = 1
LABEL_NAMES = ("real", "fake")
PARTS = ("left_eye", "right_eye", "nose", "mouth")

OBJECTIVE_NAMES = ("ce", "bce")
ObjectiveName = Literal["ce", "bce"]
SHORT_NAMES = {"ce": "cross-entropy", "bce": "BCE"}
THRESHOLD_NAMES = ("half", "balanced_accuracy", "few_false_alarms")
ThresholdName = Literal["half", "balanced_accuracy", "few_false_alarms"]

Bit = Literal[0, 1]
Side = Literal["train", "valid", "test", "excluded"]
RelationKind = Literal["bytes", "pixels", "photo", "mirrored"]
ROWS_AT_A_TIME = 1000
_NUMERIC = (int, float, Bit, int | None, float | None, Bit | None)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One usable image, as `index` found it.

    `path` is relative to data.root, with forward slashes. `label` is 0 for real, 1 for fake. The bits of a composite
    say which parts come from another photo; None where the file's name does not tell. `luma_quantisation_sum` is the
    sum of the 64 entries of the JPEG's luma table, None where the file is not a JPEG. `subset` is where the user's
    folders put the image: "training", "test", or "" where they do not tell.
    """

    path: str
    sha256: str
    label: Bit
    difficulty: str
    left_eye: Bit | None
    right_eye: Bit | None
    nose: Bit | None
    mouth: Bit | None
    width: int
    height: int
    bytes: int
    luma_quantisation_sum: int | None
    subset: Literal["training", "test", ""]


@dataclass(frozen=True)
class RejectedRecord:
    """One file that `index` could not use, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class PairRecord:
    """Two related images, path_a < path_b; `points` is how many keypoints lie alike, 0 where the kind needs none."""

    path_a: str
    path_b: str
    kind: RelationKind
    points: int


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """An image and the group that it is related to, directly or through others: the smallest sha256 in it."""

    path: str
    group: str


@dataclass(frozen=True, slots=True)
class SplitRecord(ImageRecord):
    """One usable image, the side that `split` put it on and the group that `relate` found it in."""

    side: Side
    group: str


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one training; losses and accuracies are means over images, train ones measured while training."""

    epoch: int
    train_loss: float
    valid_loss: float
    train_accuracy: float
    valid_accuracy: float
    learning_rate: float


@dataclass(frozen=True)
class PredictionRecord:
    """One image and what each model makes of it.

    `p_fake` is calibrated, `raw_p_fake` is what the loss trained (temperature 1); `bce_argmax` is the notebook's verdict on
    BCE's two outputs, 1 for fake.
    """

    path: str
    side: Side
    label: Bit
    ce_p_fake: float
    bce_p_fake: float
    ce_raw_p_fake: float
    bce_raw_p_fake: float
    bce_argmax: Bit


@dataclass(frozen=True)
class PerturbedRecord:
    """One test image after one change, JPEG compression say, and each model's calibrated p_fake of it."""

    path: str
    perturbation: str
    ce_p_fake: float
    bce_p_fake: float


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


def write_rows(path: Path, kind: type[Any], rows: Iterable[Any]) -> None:
    """Write dataclass instances as a CSV with a column per field; None is an empty cell."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """All that `write_rows` wrote. Raises as `each_row` does."""
    return list(each_row(path, kind))


def each_row(path: Path, kind: type[Row]) -> Iterator[Row]:
    """Read back what `write_rows` wrote, a few rows at a time, however many there are.

    Raises:
        FakefaceError: the file is no CSV, a column is missing or a cell is not what its field allows.
    """
    numeric = {field.name for field in fields(kind) if field.type in _NUMERIC}  # type: ignore[arg-type]
    checked = TypeAdapter(list[kind]).validate_python  # type: ignore[valid-type]
    first_line = 2
    try:
        with path.open(encoding="utf-8", newline="") as file:
            cells = (
                {name: _number(text) if name in numeric else text for name, text in row.items()}
                for row in csv.DictReader(file, restkey="more cells than columns")
            )
            while rows := list(itertools.islice(cells, ROWS_AT_A_TIME)):
                yield from checked(rows)
                first_line += len(rows)
    except (csv.Error, UnicodeDecodeError) as error:
        raise FakefaceError(f"{path}: not CSV: {error}") from None
    except ValidationError as error:
        row, *column = error.errors()[0]["loc"]
        problem = error.errors()[0]["msg"]
        raise FakefaceError(f"{path}: line {first_line + int(row)}: {'.'.join(map(str, column))}: {problem}") from None


def _number(text: str | None) -> int | float | str | None:
    """An empty cell is None; what is no number stays as it is, to be refused by name."""
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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
