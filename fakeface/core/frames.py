"""Tables (CSV) as pandas frames, with a column per field of a record: for the stages that sort, join and count whole tables.

Apart from `files`, so that what only goes through a table row by row does not wait for pandas.
"""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from fakeface.core.files import each_row, replacing
from fakeface.core.records import Bit

_DTYPES = {int: "int64", Bit: "int64", int | None: "Int64", Bit | None: "Int64"}
"""Of fields that are not text; a nullable Int64 stays whole beside an unknown value."""


def frame_of(kind: type[Any], records: Iterable[Any]) -> pd.DataFrame:
    """Records of the dataclass `kind` as a frame; None is pandas' NA."""
    rows = list(records)
    return pd.DataFrame(
        {
            field.name: pd.Series([getattr(row, field.name) for row in rows], dtype=_DTYPES.get(field.type, "str"))
            for field in fields(kind)
        }
    )


def read_table(path: Path, kind: type[Any]) -> pd.DataFrame:
    """The CSV that `write_table` or `write_rows` wrote, checked cell by cell. Raises as `each_row` does."""
    return frame_of(kind, each_row(path, kind))


def write_table(path: Path, kind: type[Any], frame: pd.DataFrame) -> None:
    """Write the columns that are fields of `kind`, in the order of the fields, in the same bytes as `write_rows`."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, columns=[field.name for field in fields(kind)], index=False, lineterminator="\n")
